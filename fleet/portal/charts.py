"""The charts of one pair: from what history read to lines, bands, limits and gaps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

from django.utils.translation import gettext as _

from checks.policy import Policy
from checks.render import THIN, duration, milliseconds, percent, size
from checks.rule import Severity
from fleet.history.trend import Pace
from fleet.portal.chart import Band, Chart, Points, Series, Write, broken

MIB: Final = 1024**2

# What a chart reads: by visit, and by hour or day where another column stands for it there.
BY_VISIT: Final = (
    "rtt_median_us",
    "emailengine_rtt_us",
    "used_memory_bytes",
    "maxmemory_bytes",
    "last_save_age_s",
    "submit_waiting_count",
    "notify_waiting_count",
    "api_response_us",
    "connected_clients",
    "fragmentation_ratio",
    "rdb_changes_since_last_save",
    "evicted_keys",
    "submit_delayed_count",
    "processed_per_minute",
    "bounce_ratio",
)
ROLLED: Final = {
    "last_save_age_s": "last_save_age_max_s",
    "submit_delayed_count": "submit_delayed_max_count",
}
# What a visit's own PINGs tell beside their median.
BY_PING: Final = ("rtt_min_us", "rtt_max_us")
# A period's extremes, drawn as a band around its mean.
BANDS: Final = {
    "rtt_median_us": ("rtt_min_us", "rtt_max_us"),
    "used_memory_bytes": ("used_memory_min_bytes", "used_memory_max_bytes"),
}
HIGHEST: Final = {
    "emailengine_rtt_us": "emailengine_rtt_max_us",
    "submit_waiting_count": "submit_waiting_max_count",
    "notify_waiting_count": "notify_waiting_max_count",
    "api_response_us": "api_response_max_us",
    "connected_clients": "connected_clients_max",
    "fragmentation_ratio": "fragmentation_max_ratio",
    "processed_per_minute": "processed_per_minute_max",
    "bounce_ratio": "bounce_max_ratio",
}


# Charts and lines of what EmailEngine's stats and metrics tell, which are read more seldom.
OF_STATS: Final = ("queues", "pace", "bounces", "emailengine_rtt_us")
# Why nothing was read: by a visit's outcome, or by what a period counted.
SILENT, BLIND = 1, 2
COUNTS: Final = ("visits_count", "silent_count", "blind_count")


def columns(pace: Pace) -> tuple[str, ...]:
    """Name the columns of history that the charts read at this pace."""
    if pace is Pace.VISIT:
        return (*BY_VISIT, *BY_PING, "outcome")
    extremes = [*(name for pair in BANDS.values() for name in pair), *HIGHEST.values()]
    return (*(ROLLED.get(name, name) for name in BY_VISIT), *extremes, *COUNTS)


class Rest(NamedTuple):
    """A time in which nobody looked, on purpose or not, and why (Unix times)."""

    since: float
    until: float
    why: str


@dataclass(frozen=True)
class Reading:
    """What history gave for one pair and one time: values by column, at the same instants."""

    pace: Pace
    since: float
    until: float
    every_s: float  # how often the pair is read
    stats_every_s: float  # how often EmailEngine's stats are
    at: Sequence[float]
    values: dict[str, Sequence[float | None]]
    zone: str = ""  # where our probe stands
    ceiling_bytes: int | None = None  # what is known of it now, where no maxmemory is set
    rests: Sequence[Rest] = ()

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[float | None]],
        pace: Pace,
        edges: tuple[float, float],
        every_s: float,
        stats_every_s: float,
        **known: Any,
    ) -> Reading:
        """Turn rows of [Unix time, a value per column of columns(pace), …] round."""
        names = columns(pace)
        turned = list(zip(*rows, strict=True)) if rows else [()] * (len(names) + 1)
        at = [value or 0.0 for value in turned[0]]
        return cls(
            pace,
            *edges,
            every_s,
            stats_every_s,
            at,
            dict(zip(names, turned[1:], strict=True)),
            **known,
        )

    def pace_s(self, name: str) -> float:
        """Give how long a chart or a line may be without a reading before that is a gap."""
        every_s = self.stats_every_s if name in OF_STATS else self.every_s
        return max(every_s * 3, self.pace.seconds * 1.5)

    def points(self, name: str) -> Points:
        """Give one column's values with their instants."""
        column = name if self.pace is Pace.VISIT else ROLLED.get(name, name)
        return list(zip(self.at, self.values[column], strict=True))

    def band(self, name: str) -> Band:
        """Give what lay between a period's least and highest; empty where only one of them is kept."""
        is_of_pings = name in BANDS and BANDS[name] == BY_PING
        if (self.pace is Pace.VISIT and not is_of_pings) or name in ROLLED:
            return []
        least, most = BANDS.get(name, (name, HIGHEST.get(name, name)))
        found = zip(self.at, self.values[least], self.values[most], strict=True)
        return [(at, low, high) for at, low, high in found if low is not None and high is not None]

    def why(self, start: float, end: float) -> str:
        """Say why nothing was read between two readings."""
        seen = {what for at, what in self._outcomes() if start < at < end}
        if BLIND in seen:
            return _("our probe was blind")
        if SILENT in seen:
            return _("Redis did not answer")
        if seen:
            return _("not read")
        shares = [(min(end, one.until) - max(start, one.since), one.why) for one in self.rests]
        longest, why = max(shares, default=(0.0, ""), key=lambda share: share[0])
        return why if longest >= (end - start) / 2 else _("not checked")

    def _outcomes(self) -> Iterator[tuple[float, float]]:
        if self.pace is Pace.VISIT:
            found = zip(self.at, self.values["outcome"], strict=True)
            yield from ((at, what or 0) for at, what in found)
            return
        for at, *counts in zip(self.at, *(self.values[name] for name in COUNTS), strict=True):
            answered, silent, blind = (count or 0 for count in counts)
            yield at, 0 if answered else BLIND if blind >= silent else SILENT

    def is_read(self, name: str) -> bool:
        """Say whether a column holds any value."""
        return any(value is not None for _at, value in self.points(name))


def charts(read: Reading, policy: Policy) -> list[Chart]:
    """Draw all charts of a pair, in the order its page shows them; the empty ones too."""
    return [
        broken(chart, read.until, read.pace_s(chart.name), read.why)
        for chart in _charts(read, policy)
    ]


def _charts(read: Reading, policy: Policy) -> Iterator[Chart]:
    yield _rtt(read, policy)
    yield _memory(read, policy)
    yield _snapshot_age(read)
    yield _queues(read, policy)
    yield _pace(read, policy)
    yield _bounces(read, policy)
    yield _api(read, policy)
    yield _fragmentation(read, policy)
    yield _counted(read, "clients", _("Connected clients"), "connected_clients")
    yield _counted(read, "changes", _("Changes since the last save"), "rdb_changes_since_last_save")
    yield _evictions(read)


def _line(read: Reading, name: str, label: str) -> Series:
    return Series(label, read.points(name), read.band(name), pace_s=read.pace_s(name))


def _rtt(read: Reading, policy: Policy) -> Chart:
    has_theirs = read.is_read("emailengine_rtt_us")
    probe = _("probe in %(zone)s to Redis") % {"zone": read.zone}
    own = _line(read, "rtt_median_us", probe).scaled(1 / 1000)
    lines: tuple[Series, ...] = (own,)
    if has_theirs:
        lines = (
            _line(read, "emailengine_rtt_us", _("EmailEngine to Redis")).scaled(1 / 1000),
            own,
        )
    return Chart(
        "rtt",
        _("RTT, EmailEngine to Redis")
        if has_theirs
        else _("RTT, our probe in %(zone)s to Redis") % {"zone": read.zone},
        "ms",
        lambda value: milliseconds(value * 1000),
        lines,
        limits_of(policy, "pair.rtt", "rtt_ms"),
        ("pair.rtt", "redis.stall"),
    )


def _memory(read: Reading, policy: Policy) -> Chart:
    rules = ("redis.memory-headroom", "redis.memory-forecast")
    used = _line(read, "used_memory_bytes", _("used"))
    ceilings = dict(read.points("maxmemory_bytes"))
    if not any(ceilings.values()):
        return _memory_alone(read, used, policy, rules)
    share = Series(
        used.label,
        [(at, _share(value, ceilings.get(at))) for at, value in used.points],
        [
            (at, low, high)
            for at, least, most in used.band
            if (low := _share(least, ceilings.get(at))) is not None
            and (high := _share(most, ceilings.get(at))) is not None
        ],
    )
    return Chart(
        "memory",
        _("Memory, share of maxmemory"),
        "%",
        lambda value: percent(value / 100),
        (share,),
        limits_of(policy, "redis.memory-headroom", "used_ratio", 100),
        rules,
    )


def _memory_alone(read: Reading, used: Series, policy: Policy, rules: tuple[str, ...]) -> Chart:
    """Draw bytes; against the RAM that is known now, where no maxmemory is set."""
    ceiling = read.ceiling_bytes
    most = max((value or 0 for _at, value in used.points), default=0)
    unit, factor = unit_of(max(int(most), ceiling or 0))
    write: Write = lambda value: size(value * factor)  # noqa: E731  the unit of the axis
    if not read.is_read("maxmemory_bytes"):
        title = _("Memory used")
    elif ceiling:
        title = _("Memory used, of %(ram)s; no maxmemory set") % {"ram": size(ceiling)}
    else:
        title = _("Memory used; no maxmemory set, no ceiling known")
    shares = limits_of(policy, "redis.memory-headroom", "used_ratio", (ceiling or 0) / factor)
    limits = tuple((round(value, 2), how) for value, how in shares) if ceiling else ()
    return Chart("memory", title, unit, write, (used.scaled(1 / factor),), limits, rules)


SIZES: Final = (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", 1024), ("B", 1))


def unit_of(largest_bytes: int) -> tuple[str, int]:
    """Give the unit in which sizes up to this are drawn, and its bytes."""
    return next(one for one in SIZES if (largest_bytes or MIB) >= one[1] // 2)


def _share(value: float | None, ceiling: float | None) -> float | None:
    return 100 * value / ceiling if value is not None and ceiling else None


def _snapshot_age(read: Reading) -> Chart:
    points = read.points("last_save_age_s")
    oldest_s = max((value for _at, value in points if value is not None), default=0.0)
    unit, seconds = next((one for one in AGES if oldest_s >= 2 * one[1]), AGES[-1])
    write: Write = lambda value: duration(value * seconds)  # noqa: E731  the unit of the axis
    age = Series(_("age"), points).scaled(1 / seconds)
    rules = ("redis.rdb-fresh", "redis.rdb-last-status")
    return Chart("snapshot", _("Age of the last snapshot"), unit, write, (age,), (), rules)


AGES: Final = (("d", 86_400), ("h", 3600), ("min", 60))


def _queues(read: Reading, policy: Policy) -> Chart:
    lines = [_line(read, "submit_waiting_count", _("submit"))]
    if read.is_read("notify_waiting_count"):
        lines.append(_line(read, "notify_waiting_count", _("notify")))
    if read.is_read("submit_delayed_count"):
        lines.append(_line(read, "submit_delayed_count", _("submit, put off")))
    return Chart(
        "queues",
        _("Jobs waiting"),
        "",
        _count,
        tuple(lines),
        limits_of(policy, "emailengine.queue-size", "waiting_count"),
        ("emailengine.queue-size", "emailengine.queue-workers", "emailengine.processing-rate"),
    )


def _pace(read: Reading, policy: Policy) -> Chart:
    limits: Any = policy["emailengine.processing-rate"].limits
    title = _("Messages sent a minute; the limits hold while %(count)s wait")
    return Chart(
        "pace",
        title % {"count": _count(limits.least_waiting_count)},
        "/min",
        lambda value: f"{value:,.0f}{THIN}/min",
        (_line(read, "processed_per_minute", _("sent")),),
        limits_of(policy, "emailengine.processing-rate", "per_minute_count"),
        ("emailengine.processing-rate", "emailengine.queue-workers", "emailengine.queue-paused"),
    )


def _bounces(read: Reading, policy: Policy) -> Chart:
    return Chart(
        "bounces",
        _("Bounced or failed, of a day’s messages"),
        "%",
        lambda value: f"{value:.1f}%",
        (_line(read, "bounce_ratio", _("bounced")).scaled(100),),
        limits_of(policy, "emailengine.bounce-rate", "bounce_ratio", 100),
        ("emailengine.bounce-rate",),
        fits=True,
    )


def _api(read: Reading, policy: Policy) -> Chart:
    return Chart(
        "api",
        _("EmailEngine, answer of /health"),
        "ms",
        lambda value: milliseconds(value * 1000),
        (_line(read, "api_response_us", _("/health")).scaled(1 / 1000),),
        limits_of(policy, "emailengine.api-response", "response_s", 1000),
        ("emailengine.api-response", "emailengine.reachable"),
    )


def _fragmentation(read: Reading, policy: Policy) -> Chart:
    limits: Any = policy["redis.fragmentation"].limits
    return Chart(
        "fragmentation",
        _("Fragmentation"),
        "×",
        lambda value: f"{value:.2f}{THIN}×",
        (_line(read, "fragmentation_ratio", _("fragmentation")),),
        ((limits.most_fragmentation_times, Severity.INFO),),
        ("redis.fragmentation",),
    )


def _counted(read: Reading, name: str, title: str, column: str) -> Chart:
    return Chart(name, title, "", _count, (_line(read, column, title),))


def _evictions(read: Reading) -> Chart:
    """Draw how many keys went between two readings; after a gap or first sight nothing is told."""
    rises: Points = list(
        rises_of(read.points("evicted_keys"), max(read.every_s, read.pace.seconds) * 3)
    )
    rule = ("redis.evicted-keys",)
    title = _("Keys evicted between readings")
    # One reading alone is one, but tells of no rise.
    empty = _("Told from the second reading on.") if read.is_read("evicted_keys") else ""
    line = Series(_("evicted"), rises)
    return Chart("evictions", title, "", _count, (line,), (), rule, empty=empty)


def rises_of(
    points: Iterable[tuple[float, float | None]], most_s: float
) -> Iterator[tuple[float, float | None]]:
    """Give a counter's rises between readings at most `most_s` apart; a fall is a restart at 0."""
    read = [(at, value) for at, value in points if value is not None]
    for (before, old), (at, new) in pairwise(read):
        if at - before <= most_s:
            yield at, new - old if new >= old else new


def _count(value: float) -> str:
    return f"{value:,.0f}"


def limits_of(
    policy: Policy, rule_id: str, stem: str, factor: float = 1
) -> tuple[tuple[float, Severity], ...]:
    """Take the two limits of a rule, `warn_<stem>` and `critical_<stem>`, in the chart's unit."""
    limits: Any = policy[rule_id].limits
    names = ((f"warn_{stem}", Severity.WARNING), (f"critical_{stem}", Severity.CRITICAL))
    return tuple(
        (getattr(limits, name) * factor, how) for name, how in names if hasattr(limits, name)
    )
