"""What proves that a pair could come back."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BackupsConfig(AppConfig):
    name = "fleet.backups"
    verbose_name = _("Backups")
