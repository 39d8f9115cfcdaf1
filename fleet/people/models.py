"""Who uses the portal, and in which role for which tenant."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleet.registry.models import Tenant


def validate_time_zone(name: str) -> None:
    """Refuse a time zone the system does not know."""
    if name not in available_timezones():
        raise ValidationError(
            _("%(name)s is no time zone, such as Europe/Berlin."), params={"name": name}
        )


class User(AbstractUser):
    """A person. An operator (superuser) sees every tenant; everybody else those of their memberships."""

    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )

    class Meta(AbstractUser.Meta):
        verbose_name = _("Person")
        verbose_name_plural = _("People")


class Membership(models.Model):
    """What a person may do for one tenant; without a tenant: for all of them."""

    class Role(models.TextChoices):
        OPERATOR = "operator", _("Operator")
        EDITOR = "editor", _("Tenant editor")
        VIEWER = "viewer", _("Tenant viewer")
        AUDITOR = "auditor", _("Auditor")

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="memberships"
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)

    class Meta:
        verbose_name = _("Membership")
        verbose_name_plural = _("Memberships")
        constraints = [
            models.UniqueConstraint(
                "person", "tenant", name="one_role_per_tenant", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.get_role_display()}"
