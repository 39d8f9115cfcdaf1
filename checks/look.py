"""One visit's comparison with what the visits before remember: what both halves of a pair need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from checks.counters import Ring, rises
from checks.facts import Missing, RedisFacts, Since
from checks.past import Past
from checks.quick import quickly_made

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
# A rise over a longer time than this belongs to no window: nobody knows when it came about.
GAP_S: Final = HOUR_S
FIRST: Final = Missing("first_visit", "nothing to compare with yet")
YOUNG_DAY: Final = Missing("no_history", "watched for less than a day")
GAP: Final = Missing("no_history", "the last look is too long ago for a rate")


@quickly_made
@dataclass(frozen=True, slots=True)
class Memory:
    """What one pair's visits remember; it changes only when something did.

    Missing counters were not read at the last look that was due. Times are Unix times in s.
    """

    began_s: int
    run_id: str = ""
    master_replid: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] | Missing = FIRST
    slow_fsync_looks: tuple[bool, ...] = ()
    had_workers: bool | Missing = FIRST
    config_maxclients: int | Missing = FIRST
    auth_errors: Ring = ()  # by the hour
    keys_count: int | Missing = FIRST
    accounts_count: int | Missing = FIRST
    baseline_at_s: int = 0
    started_s: int = 0  # EmailEngine's process; 0 = not known
    stats_began_s: int = 0
    processed: Mapping[str, int] | Missing = FIRST
    events: Mapping[str, int] | Missing = FIRST
    webhooks: Mapping[str, int] | Missing = FIRST
    submit_waiting_count: int | Missing = FIRST
    submit_was_paused: bool | Missing = FIRST
    paused_since_s: Mapping[str, int] = field(default_factory=dict)
    events_by_hour: Mapping[str, Ring] = field(default_factory=dict)
    webhooks_by_ten_minutes: Mapping[str, Ring] = field(default_factory=dict)
    has_seen_bounce: bool = False
    error_shares: Ring = ()  # thousandths of the accounts, the first of each step
    past: Past = field(default_factory=Past)


class Look:
    """One visit's comparison: `found` are fields of Since, `memory` is what it leaves."""

    def __init__(
        self, since: Since | Missing, memory: Memory, redis: RedisFacts | Missing, at_s: float
    ) -> None:
        self.memory = memory
        self.found: dict[str, Any] = {
            "had_workers": memory.had_workers,
            "config_maxclients": memory.config_maxclients,
            "baseline_keys_count": memory.keys_count,
            "baseline_accounts_count": memory.accounts_count,
            "submit_waiting_count": memory.submit_waiting_count,
            "submit_was_paused": memory.submit_was_paused,
            "has_seen_bounce": memory.has_seen_bounce,
        }
        self.redis = redis
        self.at_s = at_s
        self.answer_s: float | Missing = FIRST
        self.stats_s: float | Missing = FIRST
        if not isinstance(since, Missing):
            self.answer_s, self.stats_s = since.last_answer_s, since.last_stats_s

    def remember(self, **fields: Any) -> None:
        """Note what is new; most visits bring nothing new, and making a Memory costs 15 µs."""
        memory = self.memory
        for name, value in fields.items():
            if getattr(memory, name) != value:
                self.memory = replace(memory, **fields)
                return

    def is_gap(self, elapsed_s: float | Missing) -> bool:
        return not isinstance(elapsed_s, Missing) and elapsed_s > GAP_S

    def grown(
        self,
        now: Mapping[str, int] | Missing,
        before: Mapping[str, int] | Missing,
        *,
        is_restarted: bool,
    ) -> dict[str, int] | Missing:
        if isinstance(now, Missing):
            return now
        if isinstance(before, Missing):
            return before
        return rises(now, before, is_restarted=is_restarted)

    def window(
        self, now: Mapping[str, int], before: Mapping[str, int] | Missing, *, is_restarted: bool
    ) -> dict[str, int]:
        """Return what may enter a window: nothing at the first look, nor after a gap."""
        grown = self.grown(now, before, is_restarted=is_restarted)
        return {} if isinstance(grown, Missing) or self.is_gap(self.stats_s) else grown

    def begin_stats(self) -> None:
        if not self.memory.stats_began_s:
            self.remember(stats_began_s=int(self.at_s))

    def summed(
        self, rings: Mapping[str, Ring], window_s: int, young: Missing
    ) -> dict[str, int] | Missing:
        if self.at_s - self.memory.stats_began_s < window_s:
            return young
        return {name: sum(count for _step, count in ring) for name, ring in rings.items()}
