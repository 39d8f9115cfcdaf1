"""The key ring's turn: sealed values are opened with any key and sealed with the newest."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.fernet import InvalidToken
from django.db import transaction

from fleet.registry.models import Pair
from fleet.registry.sealed import PREFIX, SealedField, key_ring

BATCH = 500


@dataclass
class Rotation:
    """What a run did: how many values it sealed, and which it could not open (`pair: field`)."""

    sealed: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate() -> Rotation:
    """Seal all stored secrets anew, in short transactions; references stay as they are."""
    done = Rotation()
    ids = list(Pair.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), BATCH):
        with transaction.atomic():
            rows = Pair.objects.select_for_update(of=("self",)).select_related("target")
            for pair in rows.filter(pk__in=ids[start : start + BATCH]).order_by("pk"):
                _rotate_one(pair, done)
    return done


def _rotate_one(pair: Pair, done: Rotation) -> None:
    ring = key_ring()
    changed = []
    for name in SECRET_FIELDS:
        stored: str = getattr(pair, name)
        if not stored.startswith(PREFIX):
            continue
        try:
            token = ring.rotate(stored.removeprefix(PREFIX).encode()).decode()
        except InvalidToken:
            done.unreadable.append(f"{pair.target.name}: {name}")
            continue
        setattr(pair, name, PREFIX + token)
        changed.append(name)
    if changed:
        # Past the change history: who may see it learns nothing from a new seal.
        Pair.objects.filter(pk=pair.pk).update(**{name: getattr(pair, name) for name in changed})
        done.sealed += len(changed)


SECRET_FIELDS = tuple(
    column.name for column in Pair._meta.concrete_fields if isinstance(column, SealedField)
)
