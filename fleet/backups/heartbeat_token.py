"""The secret part of a heartbeat's address, as the database keeps it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class HeartbeatToken(models.Model):
    """The secret part of a heartbeat's URL, as a SHA-256 alone; several may live, for rotation.

    `window_at` and `window_count` count what came lately, across web processes.
    """

    source = models.ForeignKey(
        "backups.BackupSource", on_delete=models.CASCADE, related_name="tokens"
    )
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(_("begins with"), max_length=8)
    made_at = models.DateTimeField(_("made"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    last_used_at = models.DateTimeField(_("last used"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    window_at = models.DateTimeField(null=True)
    window_count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("Heartbeat token")
        verbose_name_plural = _("Heartbeat tokens")

    def __str__(self) -> str:
        return f"{self.hint}…"
