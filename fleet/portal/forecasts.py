"""Who runs out of memory first: the forecasts of a pair, of a tenant and of the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from heapq import nlargest, nsmallest
from statistics import median
from typing import Any, Final, NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from checks.facts import Growth
from checks.growth import LEAST_DAYS, LEAST_MAILBOXES, Mailboxes
from checks.rule import Outcome
from fleet.backups.models import BackupSource
from fleet.history.growth import beside, growths, mailbox_uses
from fleet.inspections.models import PairState
from fleet.inspections.terms import terms
from fleet.portal import addresses, backup_growth, pair_list, pair_page, reading
from fleet.portal.forecast import FAR_DAYS, FORECAST, Forecast, forecast
from fleet.portal.kept import kept
from fleet.portal.over_time import frame, tenant_of, title
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Pair, Target, Tenant
from fleet.registry.policies import FLEET, Policies

A_PAGE, MOST = 50, 200
HEAVIEST: Final = 8
KEPT_S: Final = 60  # they are made once a night
NOBODY: Final = 0  # no pair's id
SOON, STEADY, FAR, YOUNG, NO_CEILING = "soon", "steady", "far", "young", "no_ceiling"


class Known(NamedTuple):
    """What is known of a pair now, as far as its forecast needs it."""

    target_id: int
    environment: str
    tenant_id: int
    used_ratio: float | None
    ceiling_bytes: int | None
    days_count: int | None  # from here the fields of its Growth; None each: no line
    last_day: int | None
    level_bytes: float | None
    slope_bytes: float | None
    low_bytes: float | None
    high_bytes: float | None
    mailboxes_count: int | None  # from here those of its Mailboxes; None each: not counted
    mailboxes_bytes: int | None

    @property
    def growth(self) -> Growth | None:
        """Give its line."""
        line: tuple[Any, ...] = self[5:11]
        return None if self.days_count is None else Growth(*line)

    @property
    def mailboxes(self) -> Mailboxes | None:
        """Give what its mailboxes take."""
        use: tuple[Any, ...] = self[11:]
        return None if self.mailboxes_count is None else Mailboxes(*use)

    @property
    def forecast(self) -> Forecast:
        """Reckon its forecast by the policy that it is judged by."""
        policy = terms().policies.of(self.environment, self.tenant_id, self.target_id)
        return forecast(self.growth, self.ceiling_bytes, policy, self.mailboxes)


@dataclass(frozen=True)
class Line:
    """One pair of the list."""

    target_id: int
    name: str
    tenant: str
    used_ratio: float | None
    forecast: Forecast

    @property
    def url(self) -> str:
        """Where the pair is told in full."""
        return addresses.pair(self.target_id)


@dataclass(frozen=True)
class FleetForecast:
    """All pairs that are checked: those that run out, soonest first, and how many of the rest.

    Per mailbox: over the pairs with enough of them, in bytes.
    """

    lines: list[Line]  # the first MOST
    soon_count: int
    steady_count: int
    far_count: int
    young_count: int
    no_ceiling_count: int
    mailboxes_count: int
    measured_count: int
    each_bytes: float | None
    median_bytes: float | None
    heaviest: list[Line]
    planned: Forecast

    @property
    def active_count(self) -> int:
        """How many pairs were asked."""
        rest = self.steady_count + self.far_count + self.young_count + self.no_ceiling_count
        return self.soon_count + rest


@dataclass
class Tally:
    """What is kept of all pairs, some of them at a time: counts, sums, and those that are shown.

    Of who is shown, what they are ordered by comes first; no two have the same target id.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: list[tuple[float, float, int, Known]] = field(default_factory=list)
    heaviest: list[tuple[float, int, Known]] = field(default_factory=list)
    each_bytes: list[float] = field(default_factory=list)  # per mailbox, one a pair
    mailboxes_count: int = 0
    used_bytes: int = 0

    def foretell(self, some: Iterable[Known], ratio_of: Callable[[Known], float]) -> None:
        """Keep those that run out first, by days and then by what they use now; count all by why not."""
        soon = []
        for one in some:
            days = _days(one, ratio_of)
            self.counts[days if isinstance(days, str) else SOON] += 1
            if not isinstance(days, str):
                soon.append((days, -(one.used_ratio or 0), one.target_id, one))
        self.first = nsmallest(MOST, [*self.first, *soon])

    def weigh(self, some: Iterable[Known]) -> None:
        """Add up what mailboxes take, and keep the pairs whose mailboxes take most."""
        heavy = []
        for one in some:
            use = one.mailboxes
            if use and use.count >= LEAST_MAILBOXES:
                self.mailboxes_count += use.count
                self.used_bytes += use.used_bytes
                self.each_bytes.append(use.used_bytes / use.count)
                heavy.append((self.each_bytes[-1], -one.target_id, one))
        self.heaviest = nlargest(HEAVIEST, [*self.heaviest, *heavy])


@scoped_view
def show(request: HttpRequest, rows: Rows) -> HttpResponse:
    """List who runs out first."""
    tenant, now = tenant_of(request, rows), timezone.now()
    name = f"forecasts-{tenant.pk if tenant else ''}"
    found = kept(name, rows.seen, lambda: fleet_forecast(rows, tenant, now), KEPT_S)
    copies = partial(backup_growth.of_fleet, rows, tenant, now)
    shown: Page[Line] = Paginator(found.lines, A_PAGE).get_page(request.GET.get("page"))
    values = {
        **frame(tenant, "forecasts"),
        "found": found,
        "shown": shown,
        "least_days": LEAST_DAYS,
        "least_mailboxes": LEAST_MAILBOXES,
        "copies": kept(f"copies-{tenant.pk if tenant else ''}", rows.seen, copies, KEPT_S),
        "ahead_days": backup_growth.AHEAD_DAYS,
    }
    return page(request, "portal/trends/forecasts.html", title(tenant), values)


@scoped_view
def of_pair(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Answer with one pair's forecast, for htmx."""
    pair = pair_page.load(rows, target_id)
    state, now = pair_list.state_of(pair.target), timezone.now()
    verdict = reading.latest(rows, pair, state).verdicts.get(FORECAST)
    is_unsure = verdict is not None and verdict.outcome is Outcome.UNKNOWN
    found = forecast(
        growths([pair.pk], now).get(pair.pk),
        state.ceiling_bytes if state and not is_unsure else None,
        pair_page.policy_of(pair.target),
        mailbox_uses([pair.pk], now).get(pair.pk),
    )
    values = {
        "pair": pair,
        "forecast": found,
        "unsure": verdict.message if verdict and is_unsure else "",
        "least_days": LEAST_DAYS,
        "least_mailboxes": LEAST_MAILBOXES,
        "copies": backup_growth.of_sources(_sources(rows, pair), now),
        "ahead_days": backup_growth.AHEAD_DAYS,
    }
    return render(request, "portal/pairs/forecast.html", values)


def _sources(rows: Rows, pair: Pair) -> QuerySet[BackupSource]:
    found = rows.of(BackupSource).filter(target=pair.pk).select_related("growth")
    return found.order_by("label")


def fleet_forecast(rows: Rows, tenant: Tenant | None, now: datetime) -> FleetForecast:
    """Work out every pair's forecast by its own policy. Two queries.

    Of ten thousand pairs only the days are reckoned, and a thousand rows held at once; the lines
    are made of those that are shown.
    """
    states = rows.of(PairState).filter(target__state=Target.State.ACTIVE)
    if tenant is not None:
        states = states.filter(target__tenant=tenant)
    tally = _tally(states, now)
    first = [one for *_order, one in tally.first]
    heaviest = [one for *_order, one in tally.heaviest]
    lines = _lines(states, [*first, *heaviest])
    mailboxes = tally.mailboxes_count
    return FleetForecast(
        lines=[lines[one.target_id] for one in first],
        soon_count=tally.counts[SOON],
        steady_count=tally.counts[STEADY],
        far_count=tally.counts[FAR],
        young_count=tally.counts[YOUNG],
        no_ceiling_count=tally.counts[NO_CEILING],
        mailboxes_count=mailboxes,
        measured_count=len(tally.each_bytes),
        each_bytes=tally.used_bytes / mailboxes if mailboxes else None,
        median_bytes=median(tally.each_bytes) if tally.each_bytes else None,
        heaviest=[lines[one.target_id] for one in heaviest],
        planned=forecast(None, None, terms().policies.laid((FLEET,)), None),
    )


def _tally(states: QuerySet[PairState], now: datetime) -> Tally:
    asked = states.values_list(
        "target_id", "target__environment", "target__tenant_id", "used_ratio", "ceiling_bytes"
    )
    tally, ratio_of = Tally(), _ratios(terms().policies)
    for rows in beside(asked, now):
        some = [Known._make(row) for row in rows]
        tally.foretell(some, ratio_of)
        tally.weigh(some)
    return tally


def _days(one: Known, ratio_of: Callable[[Known], float]) -> float | str:
    """Give the days until a pair's threshold, or the word for why there are none."""
    growth = one.growth
    if growth is None:
        return YOUNG
    if not growth.is_steady:
        return STEADY
    if one.ceiling_bytes is None:
        return NO_CEILING
    days = growth.days_until(ratio_of(one) * one.ceiling_bytes, growth.slope_bytes)
    return days if days <= FAR_DAYS else FAR


def _ratios(policies: Policies) -> Callable[[Known], float]:
    """Give a pair's threshold: looked up once for all pairs of one policy."""

    @cache
    def shared(*home: Any) -> float:
        limits: Any = policies.of(*home)[FORECAST].limits
        ratio: float = limits.warn_used_ratio
        return ratio

    own = policies.own
    return lambda one: shared(*one[1:3], one[0] if one[0] in own else NOBODY)


def _lines(states: QuerySet[PairState], known: Iterable[Known]) -> dict[int, Line]:
    by_id = {one.target_id: one for one in known}
    named = states.filter(pk__in=by_id).values_list("pk", "target__name", "target__tenant__name")
    return {
        pk: Line(pk, name, whose, by_id[pk].used_ratio, by_id[pk].forecast)
        for pk, name, whose in named
    }
