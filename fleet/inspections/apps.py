"""One visit and what it leaves."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InspectionsConfig(AppConfig):
    name = "fleet.inspections"
    verbose_name = _("Inspections")
