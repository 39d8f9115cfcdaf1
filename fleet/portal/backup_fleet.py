"""The fleet's backups: who has no proven one, the oldest copies, drills due, room used and to come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks.growth import LEAST_DAYS
from fleet.backups.models import Artefact, BackupSource, Drill, DrillPlan
from fleet.findings.models import Finding
from fleet.inspections.models import PairState
from fleet.portal.backup_stores import FORECAST_DAYS, stores_of
from fleet.portal.backup_words import BAD
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Target

PER_PAGE: Final = 50
PROVEN_FOR: Final = timedelta(days=30)
DAY: Final = timedelta(days=1)
TOLD_OF_BAD: Final = ("backup.intact", "backup.size")  # the rules that judge such copies
# What ?view= shows, in the order of the chips.
VIEWS: Final = {
    "unproven": gettext_lazy("No proven backup"),
    "oldest": gettext_lazy("Oldest copies"),
    "drills": gettext_lazy("Drills due"),
    "trouble": gettext_lazy("Sources in trouble"),
}


@scoped_view
def show(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Answer with the page: counts, and one of its lists."""
    now = timezone.now()
    view = request.GET.get("view", "")
    view = view if view in VIEWS else "unproven"
    active = rows.of(Target).filter(state=Target.State.ACTIVE)
    lists = {
        "unproven": _unproven(rows, active, now),
        "oldest": _oldest(rows, active),
        "drills": _drills_due(rows, now),
        "trouble": _in_trouble(rows),
    }
    counts = {name: found.order_by().count() for name, found in lists.items()}
    pages = Paginator(lists[view], PER_PAGE)
    pages.count = counts[view]
    shown = pages.get_page(request.GET.get("page"))
    context = {
        "now": now,
        "view": view,
        "chips": [(name, words, counts[name]) for name, words in VIEWS.items()],
        "pairs_count": active.count(),
        "shown": shown,
        "stores": stores_of(rows, now),
        "forecast_days": FORECAST_DAYS,
        "least_days": LEAST_DAYS,
    }
    return page(request, "portal/backups/fleet.html", _("Backups"), context)


def _unproven(rows: Rows, active: Any, now: datetime) -> Any:
    """Give the pairs without a drill that passed lately and was not followed by one that failed."""
    failed_later = rows.of(Drill).filter(
        target=OuterRef("target"), outcome=Drill.Outcome.FAILED, ended_at__gt=OuterRef("ended_at")
    )
    proven = rows.of(Drill).filter(
        ~Exists(failed_later), outcome=Drill.Outcome.PASSED, ended_at__gt=now - PROVEN_FOR
    )
    return _told(rows, active.exclude(pk__in=proven.values("target_id"))).order_by(
        F("pair_state__last_backup_at").asc(nulls_first=True), "name"
    )


def _told(rows: Rows, targets: Any) -> Any:
    """Add what a line tells. Sources are counted for the lines shown, not joined to ten thousand."""
    own = rows.of(BackupSource).filter(target=OuterRef("pk"), is_enabled=True).order_by()
    count = own.values("target").annotate(n=Count("pk")).values("n")
    return targets.select_related("tenant", "pair_state").annotate(
        sources_count=Coalesce(Subquery(count), 0)
    )


def _oldest(rows: Rows, active: Any) -> Any:
    """Give the pairs with a copy, the oldest first."""
    dated = rows.of(PairState).filter(last_backup_at__isnull=False).values("target_id")
    return _told(rows, active.filter(pk__in=dated)).order_by("pair_state__last_backup_at", "name")


def _in_trouble(rows: Rows) -> Any:
    """Give the sources whose last look or job failed, and those whose newest copy is bad.

    The latter are looked for among pairs with a finding about it, so that few copies are read.
    """
    looked_at = rows.of(Artefact).filter(source=OuterRef("pk"), gone_at=None)
    newest = looked_at.exclude(state=Artefact.State.SEEN).order_by("-stored_at")
    found = rows.of(Finding).filter(rule_id__in=TOLD_OF_BAD, state=Finding.State.OPEN)
    is_bad = Q(target__in=found.values("target"), newest_state__in=BAD)
    sources = rows.of(BackupSource).annotate(
        newest_state=Subquery(newest.values("state")[:1]),
        newest_text=Subquery(newest.values("text")[:1]),
    )
    return (
        sources.filter(Q(is_enabled=True) | Q(is_on_trial=True), ~Q(last_reason="") | is_bad)
        .filter(target__state=Target.State.ACTIVE)
        .select_related("target__tenant")
        .order_by("last_ok_at", "pk")
    )


def _drills_due(rows: Rows, now: datetime) -> Any:
    return (
        rows.of(DrillPlan)
        .filter(is_enabled=True, next_due_at__lte=now + DAY, target__state=Target.State.ACTIVE)
        .select_related("target__tenant", "target__pair_state")
        .order_by("next_due_at", "pk")
    )
