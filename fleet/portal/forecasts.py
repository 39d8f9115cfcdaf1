"""Who runs out of memory first: the forecasts of a pair, of a tenant and of the fleet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from checks.facts import Growth
from checks.growth import LEAST_DAYS, LEAST_MAILBOXES, Mailboxes
from checks.rule import Outcome
from fleet.history.growth import growths, mailbox_uses
from fleet.inspections.models import PairState
from fleet.inspections.terms import terms
from fleet.portal import addresses, pair_list, pair_page, reading
from fleet.portal.forecast import FORECAST, Forecast, forecast
from fleet.portal.kept import kept
from fleet.portal.over_time import frame, tenant_of, title
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Target, Tenant
from fleet.registry.policies import FLEET

A_PAGE, MOST = 50, 200
HEAVIEST: Final = 8


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


@scoped_view
def show(request: HttpRequest, rows: Rows) -> HttpResponse:
    """List who runs out first."""
    tenant, now = tenant_of(request, rows), timezone.now()
    name = f"forecasts-{tenant.pk if tenant else ''}"
    found = kept(name, rows.seen, lambda: fleet_forecast(rows, tenant, now))
    shown: Page[Line] = Paginator(found.lines, A_PAGE).get_page(request.GET.get("page"))
    values = {
        **frame(tenant, "forecasts"),
        "found": found,
        "shown": shown,
        "least_days": LEAST_DAYS,
        "least_mailboxes": LEAST_MAILBOXES,
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
    }
    return render(request, "portal/pairs/forecast.html", values)


def fleet_forecast(rows: Rows, tenant: Tenant | None, now: datetime) -> FleetForecast:
    """Work out every pair's forecast by its own policy. Three queries."""
    lines = _lines(rows, tenant, now)
    soon = [line for line in lines if line.forecast.likely_days is not None]
    soon.sort(key=lambda line: (line.forecast.likely_days, -(line.used_ratio or 0), line.name))
    rest = [line.forecast for line in lines if line.forecast.likely_days is None]
    with_line = [one for one in rest if one.growth is not None]
    growing = [one for one in with_line if one.is_growing]
    weighed = [line for line in lines if line.forecast.each_bytes is not None]
    weighed.sort(key=lambda line: (-(line.forecast.each_bytes or 0), line.name))
    each = [line.forecast.each_bytes or 0 for line in weighed]
    mailboxes = [line.forecast.mailboxes for line in weighed if line.forecast.mailboxes]
    count = sum(one.count for one in mailboxes)
    return FleetForecast(
        lines=soon[:MOST],
        soon_count=len(soon),
        steady_count=len(with_line) - len(growing),
        far_count=sum(one.ceiling_bytes is not None for one in growing),
        young_count=len(rest) - len(with_line),
        no_ceiling_count=sum(one.ceiling_bytes is None for one in growing),
        mailboxes_count=count,
        measured_count=len(weighed),
        each_bytes=sum(one.used_bytes for one in mailboxes) / count if count else None,
        median_bytes=median(each) if each else None,
        heaviest=weighed[:HEAVIEST],
        planned=forecast(None, None, terms().policies.laid((FLEET,)), None),
    )


def _lines(rows: Rows, tenant: Tenant | None, now: datetime) -> list[Line]:
    states = rows.of(PairState).filter(target__state=Target.State.ACTIVE)
    if tenant is not None:
        states = states.filter(target__tenant=tenant)
    found = list(
        states.values_list(
            "pk",
            "target__name",
            "target__tenant__name",
            "target__environment",
            "target__tenant_id",
            "used_ratio",
            "ceiling_bytes",
        )
    )
    ids = [row[0] for row in found]
    grown: dict[int, Growth] = growths(ids, now)
    uses: dict[int, Mailboxes] = mailbox_uses(ids, now)
    policies: Any = terms().policies
    return [
        Line(
            pk,
            name,
            whose,
            used_ratio,
            forecast(grown.get(pk), ceiling, policies.of(environment, tenant_id, pk), uses.get(pk)),
        )
        for pk, name, whose, environment, tenant_id, used_ratio, ceiling in found
    ]
