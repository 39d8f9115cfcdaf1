"""The portal's own pulse."""

from __future__ import annotations

from django.db import models


class Pulse(models.Model):
    """When the portal last looked at itself, and when its dead-man's switch last answered: one row."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    watched_at = models.DateTimeField()
    pinged_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_pulse")]

    def __str__(self) -> str:
        return f"{self.watched_at}"
