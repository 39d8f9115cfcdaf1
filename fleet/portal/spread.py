"""How RTT, memory and snapshots are spread over the fleet now, and which pairs lie outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from django.db.models import Aggregate, Count, FloatField, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from checks.rule import Severity
from fleet.inspections.models import PairState
from fleet.inspections.terms import terms
from fleet.portal import addresses, measures
from fleet.portal.kept import kept
from fleet.portal.measures import MEASURES, Measure
from fleet.portal.over_time import frame, tenant_of, title
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Target, Tenant
from fleet.registry.policies import FLEET

OUTLIERS: Final = 8
Bucket = tuple[float | None, float | None]  # from its low edge to below its high one


class Percentile(Aggregate):
    """The value that this share of the rows lies at or below."""

    template = "percentile_disc(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class Bar:
    """One bucket: how many pairs, of which severity by the fleet's limits, and where they are listed."""

    words: str
    count: int
    width: int  # percent of the longest bar
    tone: str
    url: str


@dataclass(frozen=True)
class Outlier:
    """One pair far out: its value, and how grave the pair's own policy finds it."""

    target_id: int
    name: str
    tenant: str
    value: str
    severity: str

    @property
    def url(self) -> str:
        """Where the pair is told in full."""
        return addresses.pair(self.target_id)


@dataclass(frozen=True)
class Spread:
    """One measure over all pairs that have it."""

    name: str
    bars: list[Bar]
    read_count: int
    median: str
    p95: str
    outliers: list[Outlier]

    @property
    def measure(self) -> Measure:
        """What is measured."""
        return measures.BY_NAME[self.name]


@dataclass(frozen=True)
class Spreads:
    """All measures, of so many pairs that are checked."""

    active_count: int
    of: list[Spread]


@scoped_view
def show(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show the distributions."""
    tenant, now = tenant_of(request, rows), timezone.now()
    name = f"spread-{tenant.pk if tenant else ''}"
    found = kept(name, rows.seen, lambda: spreads(rows, tenant, now))
    values = {
        **frame(tenant, "spread"),
        "spreads": found.of,
        "active_count": found.active_count,
        "active_url": addresses.pairs(state="active", tenant=tenant.pk if tenant else ""),
    }
    return page(request, "portal/trends/spread.html", title(tenant), values)


def spreads(rows: Rows, tenant: Tenant | None, now: datetime) -> Spreads:
    """Give the spread of each measure: one query, and one for the outliers of each."""
    states = rows.of(PairState).filter(target__state=Target.State.ACTIVE)
    if tenant is not None:
        states = states.filter(target__tenant=tenant)
    numbers: Any = {one.name: measures.number(one, now) for one in MEASURES}
    found = states.order_by().annotate(**{f"of_{name}": value for name, value in numbers.items()})
    limits = _limits()
    buckets = {one.name: _buckets(one, limits[one.name]) for one in MEASURES}
    counts = found.aggregate(active=Count("pk"), **_counts(buckets))
    return Spreads(
        counts["active"],
        [
            Spread(
                one.name,
                _bars(one, buckets[one.name], counts, limits[one.name], tenant),
                counts[f"{one.name}_read"],
                median=_written(one, counts[f"{one.name}_median"]),
                p95=_written(one, counts[f"{one.name}_p95"]),
                outliers=_outliers(states.annotate(measured=numbers[one.name]), one),
            )
            for one in MEASURES
        ],
    )


def _limits() -> dict[str, tuple[float, float] | None]:
    policy = terms().policies.laid((FLEET,))
    return {one.name: one.limits(policy) for one in MEASURES}


def _buckets(measure: Measure, limits: tuple[float, float] | None) -> list[Bucket]:
    """Cut at the measure's edges, and at the limits."""
    edges = sorted({float(edge) for edge in (*measure.edges, *(limits or ()))})
    return list(pairwise([None, *edges, None]))


def _counts(buckets: dict[str, list[Bucket]]) -> dict[str, Aggregate]:
    """Say what is counted of each measure: all below each edge, and all; and what lies in the middle.

    Below an edge, not in a bucket: one look at the value, where it was three.
    """
    wanted: dict[str, Aggregate] = {}
    for name, cut in buckets.items():
        for number, (_low, high) in enumerate(cut[:-1]):
            wanted[f"{name}_below_{number}"] = Count("pk", filter=Q(**{f"of_{name}__lt": high}))
        wanted[f"{name}_read"] = Count(f"of_{name}")
        wanted[f"{name}_median"] = Percentile(f"of_{name}", share=0.5)
        wanted[f"{name}_p95"] = Percentile(f"of_{name}", share=0.95)
    return wanted


def _written(measure: Measure, value: float | None) -> str:
    return "" if value is None else measure.write(value)


def _bars(
    measure: Measure,
    buckets: Sequence[Bucket],
    counts: dict[str, int],
    limits: tuple[float, float] | None,
    tenant: Tenant | None,
) -> list[Bar]:
    below = [counts[f"{measure.name}_below_{number}"] for number in range(len(buckets) - 1)]
    up_to = [0, *below, counts[f"{measure.name}_read"]]
    by_bucket = [upper - lower for lower, upper in pairwise(up_to)]
    most = max(by_bucket) or 1
    bars = []
    for (low, high), count in zip(buckets, by_bucket, strict=True):
        chosen = {measure.name: measures.as_filter(low, high), "state": "active"}
        bars.append(
            Bar(
                measures.bucket_words(measure, low, high),
                count,
                -(-100 * count // most),
                severity_of(low, limits),
                addresses.pairs(tenant=tenant.pk if tenant else "", **chosen),
            )
        )
    return bars


def severity_of(value: float | None, limits: tuple[float, float] | None) -> str:
    """Say how grave a value is by a warning's and a critical's limit; "" where it is not."""
    if value is None or limits is None or value < limits[0]:
        return ""
    return (Severity.CRITICAL if value >= limits[1] else Severity.WARNING).value


def _outliers(found: QuerySet[Any], measure: Measure) -> list[Outlier]:
    """Give the pairs with the highest values, judged by the policy of each."""
    worst = (
        found.exclude(measured=None)
        .order_by("-measured", "pk")
        .values_list(
            "pk",
            "target__name",
            "target__tenant__name",
            "target__environment",
            "target__tenant_id",
            "measured",
        )
    )
    policies = terms().policies
    return [
        Outlier(
            pk,
            name,
            whose,
            measure.write(value),
            severity_of(value, measure.limits(policies.of(environment, tenant_id, pk))),
        )
        for pk, name, whose, environment, tenant_id, value in worst[:OUTLIERS]
    ]
