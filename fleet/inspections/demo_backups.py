"""How the demo's pairs are copied: by the portal's pulls, by a job that fell silent, and damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from fleet.backups import folder_store
from fleet.backups.heartbeat import beat, new_token
from fleet.backups.models import BackupSource, DrillPlan
from fleet.registry.models import Target
from fleet.registry.sealed import seal

Entry = Mapping[str, Any]
Kind = BackupSource.Kind
# The pulls come first, one after another; a real pair's first drill comes within a day.
FIRST_DRILL_AFTER: Final = timedelta(minutes=2)
SILENT_FOR: Final = timedelta(hours=40)
# The folder that run/demo puts damaged copies in: nothing else is ever removed.
COPIES: Final = "pairkeeper-demo"


def register_backup(target: Target, entry: Entry, now: datetime) -> None:
    """Give a pair of the demo its source of copies, where it has one. Safe to run at every start."""
    if entry["backup"]:
        REGISTERS[entry["backup"]](target, entry, now)


def remove_copies(target_ids: Sequence[int]) -> None:
    """Remove the files of these pairs' copies: those that were pulled, and the damaged ones."""
    sources = BackupSource.objects.filter(target_id__in=target_ids, kind=Kind.DIRECTORY)
    for folder in map(Path, sources.values_list("folder", flat=True)):
        if folder.parent.name == COPIES and folder.exists():
            shutil.rmtree(folder)
    for target_id in target_ids:
        folder_store.forget(target_id)


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
