"""The fleet's settings as they are now."""

from __future__ import annotations

from fleet.registry.models import FleetSettings


def fleet_settings() -> FleetSettings:
    """Return the one row, or the defaults where nobody saved it yet. One query."""
    return FleetSettings.objects.first() or FleetSettings()
