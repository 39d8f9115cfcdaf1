"""The backup tab of a pair: sources, copies, drills, what is under way, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from checks.growth import LEAST_DAYS
from fleet.backups.models import (
    Artefact,
    BackupJob,
    BackupSource,
    Drill,
    DrillPlan,
    HeartbeatToken,
)
from fleet.portal import backup_growth, backup_words, pair_page
from fleet.portal.backup_words import BAD, GOOD, OUTCOMES, TONES
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Attestation, Pair

COPIES_SHOWN: Final = 15
DRILLS_SHOWN: Final = 10
LIVE: Final = (BackupJob.State.WAITING, BackupJob.State.LEASED)
LISTED: Final = (BackupSource.Kind.DIRECTORY, BackupSource.Kind.BUCKET)


@dataclass(frozen=True)
class SourceCard:
    """One source as the tab shows it."""

    source: BackupSource
    tone: str
    words: str
    newest: Artefact | None
    tokens: Sequence[HeartbeatToken]

    @property
    def can_look(self) -> bool:
        """Tell whether its place can be listed."""
        return self.source.kind in LISTED

    @property
    def is_pull(self) -> bool:
        """Tell whether the worker itself makes its copies."""
        return self.source.kind == BackupSource.Kind.PULL

    @property
    def edit_url(self) -> str:
        """Give the form's address."""
        return reverse("admin:backups_backupsource_change", args=[self.source.pk])


@dataclass(frozen=True)
class CopyLine:
    """One copy as the tab shows it."""

    copy: Artefact
    label: str
    can_verify: bool
    is_pulled: bool  # kept by the portal itself, so that it can be handed out

    @property
    def tone(self) -> str:
        """Give the key of its mark."""
        return TONES[Artefact.State(self.copy.state)]

    @property
    def keys_count(self) -> int | None:
        """Give how many keys it says to hold."""
        return sum(self.copy.keys.values()) if self.copy.keys else None

    @property
    def by_database(self) -> str:
        """Give the keys of each database, where there are several."""
        return backup_words.by_database(self.copy.keys)


@scoped_view
def show(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponseBase:
    """Answer with the whole tab."""
    pair = pair_page.load(rows, target_id)
    now = timezone.now()
    values = {**pair_page.shell(rows, pair, "backups"), **context(rows, pair, now)}
    sources = [card.source for card in values["sources"]]
    values |= {
        "growths": backup_growth.of_sources(sources, now),
        "ahead_days": backup_growth.AHEAD_DAYS,
        "least_days": LEAST_DAYS,
    }
    return page(request, "portal/backups/tab.html", pair.target.name, values)


@scoped_view
def body(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Answer with what work under way changes, for htmx."""
    pair = pair_page.load(rows, target_id)
    return render(request, "portal/backups/body.html", context(rows, pair, timezone.now()))


def context(rows: Rows, pair: Pair, now: datetime) -> dict[str, Any]:
    """Give all that the tab shows, in eight queries."""
    sources = list(
        rows.of(BackupSource).filter(target=pair.pk).select_related("growth").order_by("label")
    )
    copies = _copies(rows, pair)
    drills = list(
        rows.of(Drill)
        .filter(target=pair.pk)
        .select_related("artefact", "asked_by")
        .order_by("-ended_at")[:DRILLS_SHOWN]
    )
    jobs = rows.of(BackupJob).filter(target=pair.pk, state__in=LIVE).select_related("source")
    good = _newest_good(rows, pair)
    proven = next((one for one in drills if one.outcome != Drill.Outcome.NOT_DONE), None)
    counted = [one for source in sources if source.is_enabled and (one := good.get(source.pk))]
    seen = [one for one in counted if one.state != Artefact.State.REPORTED]
    # What was verified counts before what was only told.
    newest = max(seen or counted, key=_content_at, default=None)
    tone, words = backup_words.sentence(newest, proven, _hours(rows, pair, now), now)
    return {
        "now": now,
        "pair": pair,
        "may_edit": rows.may_edit(Pair, pair),
        "sentence": words,
        "sentence_tone": tone,
        "sources": _cards(rows, sources, (good, _newest_bad(copies)), now),
        "copies": [_line(one, sources) for one in copies[:COPIES_SHOWN]],
        "copies_shown": COPIES_SHOWN,
        "has_more": len(copies) > COPIES_SHOWN,
        "drills": [_drill_line(one) for one in drills],
        "plan": rows.of(DrillPlan).filter(pk=pair.pk).first(),
        "jobs": [(job, backup_words.progress(job)) for job in jobs],
        "kinds": [(kind, label) for kind, label in BackupSource.Kind.choices],
        "can_drill": bool(seen),
    }


def _copies(rows: Rows, pair: Pair) -> list[Artefact]:
    """Give the newest copies of all sources, those that are gone left out."""
    found = rows.of(Artefact).filter(source__target=pair.pk, gone_at=None)
    return list(found.order_by("-stored_at", "-pk")[: COPIES_SHOWN + 1])


def _newest_good(rows: Rows, pair: Pair) -> dict[int, Artefact]:
    """Give each source's newest good copy: a job that reports often must not hide a daily one."""
    found = rows.of(Artefact).filter(source__target=pair.pk, gone_at=None, state__in=GOOD)
    age = Coalesce("content_at", "stored_at", "seen_at")
    newest = found.order_by("source_id", age.desc()).distinct("source_id")
    return {one.source_id: one for one in newest}


def _newest_bad(copies: Sequence[Artefact]) -> dict[int, Artefact]:
    """Give each source's newest copy where that is bad; `copies` are the newest of all."""
    newest: dict[int, Artefact] = {}
    for one in copies:
        if one.state != Artefact.State.SEEN:
            newest.setdefault(one.source_id, one)
    return {source_id: one for source_id, one in newest.items() if one.state in BAD}


def _content_at(copy: Artefact) -> datetime:
    return copy.content_at or copy.stored_at or copy.seen_at


def _cards(
    rows: Rows,
    sources: Sequence[BackupSource],
    newest: tuple[Mapping[int, Artefact], Mapping[int, Artefact]],
    now: datetime,
) -> list[SourceCard]:
    good, bad = newest
    tokens = list(
        rows.of(HeartbeatToken).filter(source__in=sources, ended_at=None).order_by("made_at")
    )
    return [
        SourceCard(
            source,
            *backup_words.of_source(source, good.get(source.pk), bad.get(source.pk), now),
            good.get(source.pk),
            [one for one in tokens if one.source_id == source.pk],
        )
        for source in sources
    ]


def _line(copy: Artefact, sources: Sequence[BackupSource]) -> CopyLine:
    source = next(one for one in sources if one.pk == copy.source_id)
    is_pulled = source.kind == BackupSource.Kind.PULL
    return CopyLine(copy, source.label, is_pulled or source.kind in LISTED, is_pulled)


def _drill_line(drill: Drill) -> tuple[Drill, str, list[str]]:
    return drill, OUTCOMES[Drill.Outcome(drill.outcome)], backup_words.compared(drill)


def _hours(rows: Rows, pair: Pair, now: datetime) -> int | None:
    """Give what is attested of the provider's snapshots: the pair's own word beats its tenant's."""
    of_it = Q(target=pair.pk) | Q(target=None, tenant=pair.target.tenant_id)
    said = (
        rows.of(Attestation)
        .filter(of_it, key="managed_snapshot_hours", ended_at=None, expires_at__gt=now)
        .order_by("target_id")
        .first()
    )
    return said.value if said and isinstance(said.value, int) else None
