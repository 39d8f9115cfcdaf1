"""Put a pair into the registry, and pause, resume or archive it: with its history, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from simple_history.utils import bulk_update_with_history

from fleet.registry.models import Pair, Target

BATCH = 500
HISTORY_NOTE = "_change_reason"  # where django-simple-history looks for it


def put(target: Target, pair: Pair, secrets_changed: Iterable[str] = ()) -> Pair:
    """Save a pair and its target together, new or changed.

    `secrets_changed` are the words for secrets that were replaced or removed: their values are
    kept out of the history, so it says at least that they changed.
    """
    note = ", ".join(secrets_changed)
    with transaction.atomic():
        target.save()
        pair.target = target
        if note:
            setattr(pair, HISTORY_NOTE, note[:100])
        pair.save()
    return pair


def set_state(targets: QuerySet[Target], state: Target.State) -> list[int]:
    """Move targets to a state; returns the ids of those that were in another."""
    with transaction.atomic():
        moved = list(targets.exclude(state=state).select_for_update(of=("self",)).order_by("pk"))
        for target in moved:
            target.state = state
        if moved:
            bulk_update_with_history(moved, Target, ["state"], batch_size=BATCH)
    return [target.pk for target in moved]
