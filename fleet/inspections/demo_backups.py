"""How the demo's pairs are copied: pulled by the portal, by a job that fell silent, by one that damages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from fleet.backups.heartbeat import beat, new_token
from fleet.backups.models import BackupSource, DrillPlan
from fleet.registry.models import Target
from fleet.registry.sealed import seal

Entry = Mapping[str, Any]
Kind = BackupSource.Kind
# The pulls come first, one after another; a real pair's first drill comes within a day.
FIRST_DRILL_AFTER: Final = timedelta(minutes=2)
SILENT_FOR: Final = timedelta(hours=40)


def register_backup(target: Target, entry: Entry, now: datetime) -> None:
    """Give a pair of the demo its source of copies, where it has one. Safe to run at every start."""
    if entry["backup"]:
        REGISTERS[entry["backup"]](target, entry, now)


def _pulled(target: Target, entry: Entry, now: datetime) -> None:
    """Let the portal pull at once, and prove the copy soon; the password is this run's."""
    password = {"pull_password": seal(entry["redis_password"])}
    BackupSource.objects.update_or_create(
        target=target,
        label="Daily pull (demo)",
        defaults=password,
        create_defaults={"kind": Kind.PULL, **password},
    )
    DrillPlan.objects.get_or_create(
        target=target, defaults={"next_due_at": now + FIRST_DRILL_AFTER}
    )


def _late(target: Target, _entry: Entry, now: datetime) -> None:
    """Let a job have called once, too long ago; nobody has kept its URL."""
    source, is_new = BackupSource.objects.get_or_create(
        target=target, label="Nightly job (demo)", defaults={"kind": Kind.HEARTBEAT}
    )
    if is_new:
        called_at = now - SILENT_FOR
        beat(new_token(source, None, called_at), "done", {}, called_at)


def _damaged(target: Target, entry: Entry, _now: datetime) -> None:
    BackupSource.objects.update_or_create(
        target=target,
        label="Nightly copy (demo)",
        defaults={"folder": entry["backup_folder"]},
        create_defaults={
            "kind": Kind.DIRECTORY,
            "folder": entry["backup_folder"],
            "name_pattern": "*.rdb",
        },
    )


REGISTERS: Final[Mapping[str, Callable[[Target, Entry, datetime], None]]] = {
    "pulled": _pulled,
    "late": _late,
    "damaged": _damaged,
}
