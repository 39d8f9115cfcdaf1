"""Two visits' counters: what changed between them, and what to remember for the next. Pure.

A server that restarted (another run id, or a shorter uptime than the time between the visits)
counts from zero, and so does a counter that is smaller than it was. The first look compares with
nothing. What rose over a gap between visits is in no window: nobody knows when it came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from statistics import median
from typing import Any, Final

from checks.counters import Ring, add, rise, rises, total
from checks.facts import NOT_READ, EmailEngineFacts, Missing, RedisFacts, Since
from checks.jobs import Queues, merged
from checks.past import Past
from checks.quick import quickly_made

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
TEN_MINUTES_S: Final = 600
# A rise over a longer time than this belongs to no window: nobody knows when it came about.
GAP_S: Final = HOUR_S
# Steps of a share's history, and how many of them a median wants: a day's of seven.
SHARE_STEP_S: Final = 6 * HOUR_S
SHARE_STEPS: Final = 28
LEAST_SHARES: Final = 4
# A key count's drift below this is not written down: each visit would write.
DRIFT_RATIO: Final = 0.05
# A fall to this share or below may be a loss: the baseline stays until somebody acknowledges it.
KEYS_HELD_BELOW_RATIO: Final = 0.2
ACCOUNTS_HELD_BELOW_RATIO: Final = 0.5
CLOCK_S: Final = 1  # a start time is rounded
# Taken with each health visit and judged with each fifth: those in between must not be lost.
FSYNC_LOOKS: Final = 7

# What is remembered of errorstats: the rest rises with every visit and tells nothing.
WATCHED_ERRORS: Final = frozenset(
    {"NOAUTH", "WRONGPASS", "NOPERM", "OOM", "READONLY", "MISCONF", "NOREPLICAS", "CLUSTERDOWN"}
)
AUTH_ERRORS: Final = ("NOAUTH", "WRONGPASS")
EVENTS: Final = ("messageSent", "messageFailed", "messageBounce")
BOUNCE: Final = "messageBounce"
IN_ERROR: Final = ("authenticationError", "connectError")
SUBMIT: Final = "submit"
COUNTERS: Final = (
    "evicted_keys",
    "rejected_connections",
    "output_buffer_disconnections",
    "aof_delayed_fsync",
)
FIRST: Final = Missing("first_visit", "nothing to compare with yet")
YOUNG_DAY: Final = Missing("no_history", "watched for less than a day")
YOUNG_HOUR: Final = Missing("no_history", "watched for less than an hour")
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


def compare(
    since: Since | Missing,
    before: Memory | None,
    redis: RedisFacts | Missing,
    emailengine: EmailEngineFacts | Missing,
    at_s: float,
    acknowledged_at_s: float = 0.0,
) -> tuple[Since | Missing, Memory]:
    """Complete what the last visits left by what this one read; return it, and what to remember.

    acknowledged_at_s is when somebody last accepted a loss of data: the next look after it takes
    a new baseline. A first visit has nothing to compare and only remembers.
    """
    look = _Look(since, before or Memory(began_s=int(at_s)), redis, at_s)
    if isinstance(redis, Missing):
        look.found.update(dict.fromkeys(_OF_REDIS, redis))
    else:
        look.take_redis(redis, acknowledged_at_s)
    if isinstance(emailengine, Missing):
        look.found.update(dict.fromkeys(_OF_EMAILENGINE, emailengine))
    else:
        look.take_emailengine(emailengine)
    if isinstance(since, Missing):
        return since, look.memory
    return Since(*_left(since), **look.found), look.memory


# What the caller fills of Since, its first fields; the others are found here.
_left: Final = attrgetter(
    *("last_visit_s", "last_answer_s", "is_restarted", "recent_rtt_us", "recent_stall_us"),
    *("rtt_vantage", "last_stats_s"),
)
_OF_ERRORS: Final = ("errors_rise", "auth_errors_hour_count", "auth_errors_day_mean_count")
_OF_REDIS: Final = (*(f"{name}_rise" for name in COUNTERS), "is_failed_over", *_OF_ERRORS)
_OF_EMAILENGINE: Final = (
    *("processed_rise", "processed_over_s", "paused_s", "events_day", "webhooks_hour"),
    "accounts_error_median_ratio",
)


class _Look:
    """One visit's comparison: `found` are fields of Since, `memory` is what it leaves."""

    def __init__(
        self, since: Since | Missing, memory: Memory, redis: RedisFacts | Missing, at_s: float
    ) -> None:
        self.memory = memory
        self.found: dict[str, Any] = {
            "had_workers": memory.had_workers,
            "baseline_keys_count": memory.keys_count,
            "baseline_accounts_count": memory.accounts_count,
            "submit_waiting_count": memory.submit_waiting_count,
            "submit_was_paused": memory.submit_was_paused,
            "has_seen_bounce": memory.has_seen_bounce,
        }
        self._redis = redis
        self._at_s = at_s
        self._answer_s: float | Missing = FIRST
        self._stats_s: float | Missing = FIRST
        if not isinstance(since, Missing):
            self._answer_s, self._stats_s = since.last_answer_s, since.last_stats_s

    # --- Redis

    def take_redis(self, redis: RedisFacts, acknowledged_at_s: float) -> None:
        """Compare the server's counters, and its keys with the baseline."""
        is_restarted = self._is_restarted(redis)
        self._take_identity(redis)
        self._take_counters(redis, is_restarted=is_restarted)
        self._take_errors(redis, is_restarted=is_restarted)
        if not isinstance(redis.bull_clients, Missing):
            here = any(one.database == redis.database for one in redis.bull_clients)
            self._remember(had_workers=here or self.memory.had_workers is True)
        if acknowledged_at_s > self.memory.baseline_at_s:
            self._remember(
                baseline_at_s=int(self._at_s) + 1, keys_count=FIRST, accounts_count=FIRST
            )
            self.found.update(baseline_keys_count=FIRST, baseline_accounts_count=FIRST)
        self._take_keys(redis)

    def _is_restarted(self, redis: RedisFacts) -> bool:
        run_id = redis.run_id
        if self.memory.run_id and not isinstance(run_id, Missing):
            return run_id != self.memory.run_id
        if isinstance(redis.uptime_s, Missing) or isinstance(self._answer_s, Missing):
            return False
        return redis.uptime_s < self._answer_s

    def _take_identity(self, redis: RedisFacts) -> None:
        """Tell a failover: the new primary remembers the old one's replication id."""
        run_id, replid, replid2 = redis.run_id, redis.master_replid, redis.master_replid2
        memory = self.memory
        if isinstance(run_id, Missing):
            self.found["is_failed_over"] = run_id
            return
        has_moved = bool(memory.run_id) and run_id != memory.run_id
        if memory.run_id:
            is_heir = bool(memory.master_replid) and replid2 == memory.master_replid
            self.found["is_failed_over"] = has_moved and is_heir
        known = {} if isinstance(replid, Missing) else {"master_replid": replid[:64]}
        self._remember(run_id=run_id[:64], **known)

    def _take_counters(self, redis: RedisFacts, *, is_restarted: bool) -> None:
        known = dict(self.memory.counters)
        for name in COUNTERS:
            now: int | Missing = getattr(redis, name)
            if isinstance(now, Missing):
                self.found[f"{name}_rise"] = now
                continue
            if name in known:
                grown = rise(now, known[name], is_restarted=is_restarted)
                self.found[f"{name}_rise"] = grown
                if name == "aof_delayed_fsync":
                    looks = (*self.memory.slow_fsync_looks, grown > 0)[-FSYNC_LOOKS:]
                    self._remember(slow_fsync_looks=looks)
            known[name] = now
        self.found["slow_fsync_looks"] = self.memory.slow_fsync_looks
        self._remember(counters=known)

    def _take_errors(self, redis: RedisFacts, *, is_restarted: bool) -> None:
        errors, before = redis.errors, self.memory.errors
        if isinstance(errors, Missing):
            self.found.update(dict.fromkeys(_OF_ERRORS, errors))
            return
        watched = {name: count for name, count in errors.items() if name in WATCHED_ERRORS}
        refused = 0
        if not isinstance(before, Missing):
            grown = rises(watched, before, is_restarted=is_restarted)
            self.found["errors_rise"] = grown
            refused = sum(grown.get(name, 0) for name in AUTH_ERRORS)
        self._remember(
            errors=watched,
            auth_errors=add(
                self.memory.auth_errors,
                self._at_s,
                0 if self._is_gap(self._answer_s) else refused,
                step_s=HOUR_S,
                keep_s=DAY_S + 2 * HOUR_S,
            ),
        )
        step, ring = int(self._at_s) // HOUR_S, self.memory.auth_errors
        self.found["auth_errors_hour_count"] = total(ring, step - 1, step)
        is_young = self._at_s - self.memory.began_s < DAY_S + 2 * HOUR_S
        self.found["auth_errors_day_mean_count"] = (
            YOUNG_DAY if is_young else total(ring, step - 25, step - 2) / 24
        )

    def _take_keys(self, redis: RedisFacts) -> None:
        """Let the baseline follow the keys, but not a fall that may be a loss."""
        keys = redis.keys_by_database
        if isinstance(keys, Missing) or redis.is_loading is True:
            return
        now, before = keys.get(str(redis.database), 0), self.memory.keys_count
        if isinstance(before, Missing) or (
            now > before * KEYS_HELD_BELOW_RATIO and abs(now - before) > before * DRIFT_RATIO
        ):
            self._remember(keys_count=now)

    # --- EmailEngine

    def take_emailengine(self, emailengine: EmailEngineFacts) -> None:
        """Compare its counters and states, where this visit read stats or metrics."""
        if emailengine.queues == NOT_READ and emailengine.events == NOT_READ:
            self.found.update(dict.fromkeys(_OF_EMAILENGINE, NOT_READ))
            return
        started_at = emailengine.started_at
        started_s = 0 if isinstance(started_at, Missing) else int(started_at.timestamp())
        was_s = self.memory.started_s
        is_restarted = bool(was_s and started_s) and abs(started_s - was_s) > CLOCK_S
        if started_s and (is_restarted or not was_s):
            self._remember(started_s=started_s)
        self._take_processed(emailengine, is_restarted=is_restarted)
        self._take_events(emailengine, is_restarted=is_restarted)
        self._take_webhooks(emailengine, is_restarted=is_restarted)
        self._take_queues(merged(self._redis, emailengine))
        self._take_accounts(emailengine)

    def _take_processed(self, emailengine: EmailEngineFacts, *, is_restarted: bool) -> None:
        now, before = emailengine.queues_processed, self.memory.processed
        over_s: float | Missing = GAP if self._is_gap(self._stats_s) else self._stats_s
        if is_restarted and not isinstance(over_s, Missing):
            uptime_s = emailengine.uptime_s
            over_s = uptime_s if isinstance(uptime_s, Missing) else min(over_s, uptime_s)
        self.found["processed_over_s"] = over_s
        self.found["processed_rise"] = self._grown(now, before, is_restarted=is_restarted)
        self._remember(processed=dict(now) if not isinstance(now, Missing) else FIRST)

    def _take_events(self, emailengine: EmailEngineFacts, *, is_restarted: bool) -> None:
        now = emailengine.events
        if isinstance(now, Missing):
            self.found["events_day"] = now
            return
        kept = {name: now.get(name, 0) for name in EVENTS}
        grown = self._window(kept, self.memory.events, is_restarted=is_restarted)
        rings = {
            name: add(
                self.memory.events_by_hour.get(name, ()),
                self._at_s,
                grown.get(name, 0),
                step_s=HOUR_S,
                keep_s=DAY_S,
            )
            for name in EVENTS
        }
        has_seen_bounce = self.memory.has_seen_bounce or kept[BOUNCE] > 0
        self._remember(
            events=kept,
            events_by_hour={name: ring for name, ring in rings.items() if ring},
            has_seen_bounce=has_seen_bounce,
        )
        self._begin_stats()
        self.found["has_seen_bounce"] = has_seen_bounce
        self.found["events_day"] = self._summed(rings, DAY_S, YOUNG_DAY)

    def _take_webhooks(self, emailengine: EmailEngineFacts, *, is_restarted: bool) -> None:
        """Count deliveries in steps of ten minutes; /v1/stats tells the last hour itself."""
        now = emailengine.webhooks
        if isinstance(now, Missing):
            self.found["webhooks_hour"] = now
        else:
            grown = self._window(now, self.memory.webhooks, is_restarted=is_restarted)
            rings = {
                name: add(
                    self.memory.webhooks_by_ten_minutes.get(name, ()),
                    self._at_s,
                    grown.get(name, 0),
                    step_s=TEN_MINUTES_S,
                    keep_s=HOUR_S,
                )
                for name in now
            }
            self._remember(
                webhooks=dict(now),
                webhooks_by_ten_minutes={name: ring for name, ring in rings.items() if ring},
            )
            self._begin_stats()
            self.found["webhooks_hour"] = self._summed(rings, HOUR_S, YOUNG_HOUR)
        if not isinstance(emailengine.webhooks_hour, Missing):
            self.found["webhooks_hour"] = emailengine.webhooks_hour

    def _take_queues(self, found: Queues | Missing) -> None:
        if isinstance(found, Missing):
            self.found["paused_s"] = found
            self._remember(submit_waiting_count=FIRST, submit_was_paused=FIRST)
            return
        queues = found.queues
        paused = {queue.name for queue in queues if queue.is_paused is True}
        began = {name: self.memory.paused_since_s.get(name, int(self._at_s)) for name in paused}
        self._remember(paused_since_s=began)
        self.found["paused_s"] = {name: self._at_s - since_s for name, since_s in began.items()}
        for queue in queues:
            if queue.name == SUBMIT:
                self._remember(
                    submit_waiting_count=queue.waiting_count, submit_was_paused=queue.is_paused
                )

    def _take_accounts(self, emailengine: EmailEngineFacts) -> None:
        accounts = emailengine.accounts
        if isinstance(accounts, Missing):
            self.found["accounts_error_median_ratio"] = accounts
            return
        count, before = sum(accounts.values()), self.memory.accounts_count
        if isinstance(before, Missing) or count > before * ACCOUNTS_HELD_BELOW_RATIO:
            self._remember(accounts_count=count)
        shares = self.memory.error_shares
        self.found["accounts_error_median_ratio"] = (
            median(share for _step, share in shares) / 1000
            if len(shares) >= LEAST_SHARES
            else Missing("no_history", "watched for less than a day")
        )
        step = int(self._at_s) // SHARE_STEP_S
        if count and (not shares or shares[-1][0] != step):
            in_error = sum(accounts.get(state, 0) for state in IN_ERROR)
            shares = (*shares, (step, 1000 * in_error // count))
            oldest = step - SHARE_STEPS
            self._remember(error_shares=tuple(one for one in shares if one[0] > oldest))

    # --- What they have in common

    def _remember(self, **fields: Any) -> None:
        """Note what is new; most visits bring nothing new, and making a Memory costs 15 µs."""
        memory = self.memory
        if any(getattr(memory, name) != value for name, value in fields.items()):
            self.memory = replace(memory, **fields)

    def _is_gap(self, elapsed_s: float | Missing) -> bool:
        return not isinstance(elapsed_s, Missing) and elapsed_s > GAP_S

    def _grown(
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

    def _window(
        self, now: Mapping[str, int], before: Mapping[str, int] | Missing, *, is_restarted: bool
    ) -> dict[str, int]:
        """Return what may enter a window: nothing at the first look, nor after a gap."""
        grown = self._grown(now, before, is_restarted=is_restarted)
        return {} if isinstance(grown, Missing) or self._is_gap(self._stats_s) else grown

    def _begin_stats(self) -> None:
        if not self.memory.stats_began_s:
            self._remember(stats_began_s=int(self._at_s))

    def _summed(
        self, rings: Mapping[str, Ring], window_s: int, young: Missing
    ) -> dict[str, int] | Missing:
        if self._at_s - self.memory.stats_began_s < window_s:
            return young
        return {name: sum(count for _step, count in ring) for name, ring in rings.items()}
