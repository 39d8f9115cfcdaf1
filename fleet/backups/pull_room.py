"""How full the disk of a zone's pull folder is, as the database keeps it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleet.registry.models import Zone


class PullRoom(models.Model):
    """The disk that a zone's PULL_FOLDER lies on, as one of the zone's workers saw it last.

    `total_bytes` is what may be used, without what the file system keeps for root; null with
    `free_bytes`: it could not be read, and `error` says why. `days` is [[day counted from 1970, the
    most bytes used on it]], at most 28, oldest first, of this folder.
    """

    zone = models.OneToOneField(
        Zone, on_delete=models.CASCADE, primary_key=True, related_name="pull_room"
    )
    read_at = models.DateTimeField(_("read"))
    worker = models.CharField(_("worker"), max_length=120)
    folder = models.TextField(_("folder"))
    total_bytes = models.BigIntegerField(null=True)
    free_bytes = models.BigIntegerField(null=True)
    error = models.TextField(blank=True, default="", db_default="")
    sources_count = models.IntegerField(default=0, db_default=0)  # that are on and write there
    round_bytes = models.BigIntegerField(default=0, db_default=0)  # one more copy of each of them
    days = models.JSONField(default=list)

    class Meta:
        verbose_name = _("Room for pulled copies")
        verbose_name_plural = _("Room for pulled copies")

    def __str__(self) -> str:
        return f"{self.zone_id}: {self.free_bytes} of {self.total_bytes} B free"
