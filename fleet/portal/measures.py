"""What is measured of every pair and shown as a distribution: RTT, memory, age of the snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import (
    Case,
    DurationField,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    Q,
    Value,
    When,
)
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from checks.policy import Policy
from checks.render import THIN, milliseconds, percent
from fleet.portal.figures import long_age


@dataclass(frozen=True)
class Measure:
    """One number of every pair, in the unit of its edges; `limit` names its rule and two limits.

    `edges` cut it into buckets: a value equal to an edge belongs to the bucket above.
    """

    name: str
    title: str | Promise
    about: str | Promise
    edges: tuple[float, ...]
    write: Callable[[float], str]
    rule_id: str = ""
    warn: str = ""
    critical: str = ""
    factor: float = 1  # from the limits' unit to the edges'

    def limits(self, policy: Policy) -> tuple[float, float] | None:
        """Give the limits of a policy in the unit of the edges; None where no rule has two."""
        if not self.rule_id:
            return None
        found: Any = policy[self.rule_id].limits
        warn, critical = (getattr(found, name) * self.factor for name in (self.warn, self.critical))
        return round(warn, 6), round(critical, 6)  # 0.29 × 100 is a little less than 29


MEASURES: Final = (
    Measure(
        "rtt",
        _("RTT"),
        _("as judged: EmailEngine’s own, or our probe’s where it stands in the same place"),
        (0.25, 0.5, 1, 2, 5, 10, 50),
        lambda value: milliseconds(value * 1000),
        "pair.rtt",
        "warn_rtt_ms",
        "critical_rtt_ms",
    ),
    Measure(
        "memory",
        _("Memory"),
        _("used, as a share of maxmemory or of what Redis may use"),
        (20, 40, 60, 70, 80, 90, 100),
        lambda value: percent(value / 100),
        "redis.memory-headroom",
        "warn_used_ratio",
        "critical_used_ratio",
        100,
    ),
    Measure(
        "snapshot",
        _("Age of the last snapshot"),
        _("whether one is overdue depends on the pair’s own schedule"),
        (300, 900, 3600, 6 * 3600, 24 * 3600, 3 * 86_400),
        long_age,
    ),
)
BY_NAME: Final = {one.name: one for one in MEASURES}


def number(measure: Measure, now: datetime, path: str = "") -> Case:
    """Give a pair's value in the unit of the edges; NULL where its last visit did not read it.

    `path` leads from the rows to the pair's state: "" or "target__pair_state__".
    """
    has_it = Q(**{f"{path}answered_at__gte": F(f"{path}checked_at")})
    if measure.name == "rtt":
        value: Any = F(f"{path}rtt_us") / Value(1000.0)
        has_it &= ~Q(**{f"{path}rtt_vantage": ""})
    elif measure.name == "memory":
        value = F(f"{path}used_ratio") * Value(100.0)
    else:
        age = ExpressionWrapper(Value(now) - F(f"{path}last_save_at"), output_field=DurationField())
        value = Func(age, template="extract(epoch FROM %(expressions)s)")
    in_unit = ExpressionWrapper(value, output_field=FloatField())
    return Case(When(has_it, then=in_unit), output_field=FloatField())


def within(name: str, low: float | None, high: float | None) -> Q:
    """Say which rows' annotated number is of a bucket."""
    chosen = Q(**{f"{name}__isnull": False})
    if low is not None:
        chosen &= Q(**{f"{name}__gte": low})
    return chosen if high is None else chosen & Q(**{f"{name}__lt": high})


def bucket_words(measure: Measure, low: float | None, high: float | None) -> str:
    """Write a bucket: `1.00 ms – 2.00 ms`, `< 0.25 ms`, `≥ 50.0 ms`."""
    if low is None:
        return f"<{THIN}{measure.write(high or 0)}"
    if high is None:
        return f"≥{THIN}{measure.write(low)}"
    return f"{measure.write(low)} – {measure.write(high)}"


def as_filter(low: float | None, high: float | None) -> str:
    """Write a bucket as the pair list's filter takes it: `1-2`, `-0.25`, `50-`."""
    return f"{'' if low is None else f'{low:g}'}-{'' if high is None else f'{high:g}'}"


def parsed(text: str) -> tuple[float | None, float | None]:
    """Read such a bucket; raises ValueError for what is none."""
    low, dash, high = text.partition("-")
    if not dash or text == "-":
        raise ValueError(f"{text!r} is no range, such as 1-2")
    edges = tuple(None if not one else float(one) for one in (low, high))
    if any(one is not None and not 0 <= one < 1e12 for one in edges):
        raise ValueError(f"{text!r} is no range, such as 1-2")
    return edges[0], edges[1]
