"""The key ring's turn: sealed values are opened with any key and sealed with the newest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import models, transaction

from fleet.registry.sealed import PREFIX, SealedField, key_ring

BATCH = 500


@dataclass
class Rotation:
    """What a run did: how many values it sealed, and which it could not open (`name: field`)."""

    sealed: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate() -> Rotation:
    """Seal all stored secrets anew, of every app, in short transactions; references stay as they are."""
    done = Rotation()
    for model in apps.get_models():
        columns = [one.name for one in model._meta.concrete_fields if isinstance(one, SealedField)]
        if columns:
            _rotate_all(model, columns, done)
    return done


def _rotate_all(model: type[models.Model], columns: Sequence[str], done: Rotation) -> None:
    rows = model._default_manager.order_by("pk")
    ids = list(rows.values_list("pk", flat=True))
    for start in range(0, len(ids), BATCH):
        with transaction.atomic():
            batch = rows.filter(pk__in=ids[start : start + BATCH])
            for row in batch.select_for_update(of=("self",)):
                _rotate_one(row, columns, done)


def _rotate_one(row: models.Model, columns: Sequence[str], done: Rotation) -> None:
    ring = key_ring()
    changed = {}
    for name in columns:
        stored: str = getattr(row, name)
        if not stored.startswith(PREFIX):
            continue
        try:
            token = ring.rotate(stored.removeprefix(PREFIX).encode()).decode()
        except InvalidToken:
            done.unreadable.append(f"{row}: {name}")
            continue
        changed[name] = PREFIX + token
    if changed:
        # Past the change history: who may see it learns nothing from a new seal.
        type(row)._default_manager.filter(pk=row.pk).update(**changed)
        done.sealed += len(changed)
