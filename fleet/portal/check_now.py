"""Check now: ask for a visit, and say how far it is until the result is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from fleet.inspections import schedule
from fleet.inspections.models import PairSchedule
from fleet.portal import addresses, figures
from fleet.portal.manning import SEEN_WITHIN
from fleet.portal.scoped_admin import Rows, scoped_view
from fleet.registry.models import Pair, Target, Worker

# After this the page stops asking; the visit itself goes on.
GIVE_UP: Final = timedelta(seconds=90)
OVER: Final = frozenset({"done", "late", "paused"})


@scoped_view
def start(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Ask for a visit of one pair by POST; answer with its progress or, without htmx, go to its page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    pair = _pair(rows, target_id)
    now = timezone.now()
    schedule.check_now([pair.pk], now)
    found = _progress(pair, now, now)
    if "HX-Request" not in request.headers:
        messages.info(request, found["words"])
        return HttpResponseRedirect(addresses.pair(pair.pk))
    return _answer(request, found)


@scoped_view
def progress(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Say how far the visit asked for at ?since=<Unix time> is; when it is done, tell the page."""
    pair = _pair(rows, target_id)
    now = timezone.now()
    try:
        since = datetime.fromtimestamp(float(request.GET.get("since", "")), tz=now.tzinfo)
    except (ValueError, OverflowError, OSError):
        since = now
    return _answer(request, _progress(pair, since, now))


def under_way(pair: Pair, now: datetime) -> dict[str, Any] | None:
    """Give the progress of a visit that was asked for and is not answered yet, for a page that opens."""
    schedule_row: PairSchedule | None = getattr(pair.target, "schedule", None)
    if schedule_row is None or schedule_row.asked_at is None:
        return None
    found = _progress(pair, schedule_row.asked_at, now)
    return None if found["is_over"] else found


def absence(zone_slug: str, seen_at: datetime | None, now: datetime) -> str:
    """Say that nobody is there to check; "" where a worker was seen."""
    if seen_at is None:
        return _("No worker was ever seen in zone %(zone)s.") % {"zone": zone_slug}
    if now - seen_at <= SEEN_WITHIN:
        return ""
    age = figures.long_age((now - seen_at).total_seconds())
    return _("No worker seen in zone %(zone)s for %(age)s.") % {"zone": zone_slug, "age": age}


def waiting(rows: Rows, pair: Pair, now: datetime) -> str:
    """Say what keeps an active pair from being checked, for its page. One query."""
    if pair.target.state != Target.State.ACTIVE:
        return ""
    seen = rows.of(Worker).filter(zone=pair.target.zone_id).aggregate(at=Max("last_seen_at"))
    return absence(pair.target.zone.slug, seen["at"], now)


def _pair(rows: Rows, target_id: int) -> Pair:
    return rows.get(Pair, "target__pair_state", pk=target_id)


def _answer(request: HttpRequest, found: Mapping[str, Any]) -> HttpResponse:
    response = render(request, "portal/pairs/progress.html", dict(found))
    if found["step"] == "done":
        response.headers["HX-Trigger-After-Settle"] = "pk-checked"
    return response


def _progress(pair: Pair, since: datetime, now: datetime) -> dict[str, Any]:
    step, words = _step(pair, since, now)
    return {
        "pair": pair,
        "step": step,
        "words": words,
        "is_over": step in OVER,
        "since": f"{since.timestamp():.3f}",
    }


def _step(pair: Pair, since: datetime, now: datetime) -> tuple[str, str]:
    if pair.target.state != Target.State.ACTIVE:
        return "paused", _("Not checked: resume the pair first.")
    found = schedule.progress([pair.pk], now).get(pair.pk)
    if found is not None and found.state == "done":
        return "done", _result(pair)
    if found is not None and found.state == "no_worker":
        absent = absence(found.zone, found.worker_seen_at, now)
        return "no_worker", _("Queued. %(absent)s") % {"absent": absent}
    if now - since > GIVE_UP:
        return "late", _("No result yet. The check goes on; look again later.")
    if found is not None and found.state == "checking":
        has_emailengine = bool(pair.emailengine_url)
        words = _("Checking… connect, Redis, EmailEngine, judged")
        return "checking", words if has_emailengine else _("Checking… connect, Redis, judged")
    return "queued", _("Queued…")


def _result(pair: Pair) -> str:
    state = getattr(pair.target, "pair_state", None)
    if state is None:
        return _("Checked.")
    return _("Checked: %(compliance)s, %(health)s.") % {
        "compliance": state.get_compliance_display(),
        "health": state.get_health_display(),
    }
