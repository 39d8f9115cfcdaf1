"""The demo fleet in the registry: recognised by its tenants' mark, put in and taken out as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from fleet.history.models import (
    ComplianceDay,
    FleetHour,
    LampMove,
    MailboxUse,
    MemoryGrowth,
    ScoreDay,
    Visit,
    VisitDay,
    VisitHour,
)
from fleet.inspections.demo_backups import register_backup, remove_copies
from fleet.registry.models import Pair, Target, Tenant, Zone
from fleet.registry.sealed import seal

LOCATION = "demo/a"

HISTORY: Final = (
    Visit,
    VisitHour,
    VisitDay,
    ComplianceDay,
    LampMove,
    MemoryGrowth,
    MailboxUse,
)


def register(entries: Iterable[Mapping[str, Any]], now: datetime) -> int:
    """Put the fleet in, or move it to this run's ports; returns the number of pairs."""
    zone, _made = Zone.objects.get_or_create(slug="local")
    if not zone.location:
        zone.location = LOCATION
        zone.save()
    return len([_register_one(entry, zone, now) for entry in entries])


def _register_one(entry: Mapping[str, Any], zone: Zone, now: datetime) -> Target:
    tenant, _made = Tenant.objects.get_or_create(name=entry["tenant"], defaults={"is_demo": True})
    target, _made = Target.objects.update_or_create(
        tenant=tenant,
        name=entry["name"],
        defaults={"zone": zone, "environment": "demo", "labels": _labels(entry)},
    )
    Pair.objects.update_or_create(target=target, defaults=_columns(entry, zone))
    register_backup(target, entry, now)
    return target


def _labels(entry: Mapping[str, Any]) -> dict[str, str]:
    labels = {"demo": entry["note"]}
    if entry["emailengine_url"]:
        labels["emailengine"] = "simulator"
    return labels


def _columns(entry: Mapping[str, Any], zone: Zone) -> dict[str, Any]:
    secrets = ("redis_password", "metrics_token", "api_token")
    return {
        "redis_url": entry["redis_url"],
        "redis_location": zone.location,
        "emailengine_url": entry["emailengine_url"],
        "emailengine_location": zone.location,
        "expected_mailboxes": entry["expected_mailboxes"],
        **{name: seal(entry[name]) if entry[name] else "" for name in secrets},
    }


def remove() -> int:
    """Take the demo tenants out with all that hangs on them, and the files of their copies.

    Returns the number of pairs.
    """
    targets = Target.objects.filter(tenant__is_demo=True)
    ids = list(targets.values_list("pk", flat=True))
    for model in HISTORY:
        model._default_manager.filter(target_id__in=ids).delete()
    remove_copies(ids)
    targets.delete()
    Tenant.objects.filter(is_demo=True).delete()
    if not Target.objects.exists():  # then the fleet's own figures were the demo's
        for fleets in (ScoreDay, FleetHour):
            fleets.objects.all().delete()
    return len(ids)
