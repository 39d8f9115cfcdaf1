"""Whom we watch."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RegistryConfig(AppConfig):
    name = "fleet.registry"
    verbose_name = _("Fleet")
