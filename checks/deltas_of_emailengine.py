"""What changed at an EmailEngine since its stats or metrics were last read. Pure."""

from __future__ import annotations

from statistics import median
from typing import Final

from checks.counters import add
from checks.facts import NOT_READ, EmailEngineFacts, Missing
from checks.jobs import Queues, merged
from checks.look import DAY_S, FIRST, GAP, HOUR_S, YOUNG_DAY, Look

TEN_MINUTES_S: Final = 600
# Steps of a share's history, and how many of them a median wants: a day's of seven.
SHARE_STEP_S: Final = 6 * HOUR_S
SHARE_STEPS: Final = 28
LEAST_SHARES: Final = 4
# A fall to this share or below may be a loss: the baseline stays until somebody acknowledges it.
ACCOUNTS_HELD_BELOW_RATIO: Final = 0.5
CLOCK_S: Final = 1  # a start time is rounded
EVENTS: Final = ("messageSent", "messageFailed", "messageBounce")
BOUNCE: Final = "messageBounce"
IN_ERROR: Final = ("authenticationError", "connectError")
SUBMIT: Final = "submit"
YOUNG_HOUR: Final = Missing("no_history", "watched for less than an hour")
OF_EMAILENGINE: Final = (
    *("processed_rise", "processed_over_s", "paused_s", "events_day", "webhooks_hour"),
    "accounts_error_median_ratio",
)


def take_emailengine(look: Look, emailengine: EmailEngineFacts) -> None:
    """Compare its counters and states, where this visit read stats or metrics."""
    if emailengine.queues == NOT_READ and emailengine.events == NOT_READ:
        look.found.update(dict.fromkeys(OF_EMAILENGINE, NOT_READ))
        return
    started_at = emailengine.started_at
    started_s = 0 if isinstance(started_at, Missing) else int(started_at.timestamp())
    was_s = look.memory.started_s
    is_restarted = bool(was_s and started_s) and abs(started_s - was_s) > CLOCK_S
    if started_s and (is_restarted or not was_s):
        look.remember(started_s=started_s)
    _take_processed(look, emailengine, is_restarted=is_restarted)
    _take_events(look, emailengine, is_restarted=is_restarted)
    _take_webhooks(look, emailengine, is_restarted=is_restarted)
    _take_queues(look, merged(look.redis, emailengine))
    _take_accounts(look, emailengine)


def _take_processed(look: Look, emailengine: EmailEngineFacts, *, is_restarted: bool) -> None:
    now, before = emailengine.queues_processed, look.memory.processed
    over_s: float | Missing = GAP if look.is_gap(look.stats_s) else look.stats_s
    if is_restarted and not isinstance(over_s, Missing):
        uptime_s = emailengine.uptime_s
        over_s = uptime_s if isinstance(uptime_s, Missing) else min(over_s, uptime_s)
    look.found["processed_over_s"] = over_s
    look.found["processed_rise"] = look.grown(now, before, is_restarted=is_restarted)
    look.remember(processed=dict(now) if not isinstance(now, Missing) else FIRST)


def _take_events(look: Look, emailengine: EmailEngineFacts, *, is_restarted: bool) -> None:
    now = emailengine.events
    if isinstance(now, Missing):
        look.found["events_day"] = now
        return
    kept = {name: now.get(name, 0) for name in EVENTS}
    grown = look.window(kept, look.memory.events, is_restarted=is_restarted)
    rings = {
        name: add(
            look.memory.events_by_hour.get(name, ()),
            look.at_s,
            grown.get(name, 0),
            step_s=HOUR_S,
            keep_s=DAY_S,
        )
        for name in EVENTS
    }
    has_seen_bounce = look.memory.has_seen_bounce or kept[BOUNCE] > 0
    look.remember(
        events=kept,
        events_by_hour={name: ring for name, ring in rings.items() if ring},
        has_seen_bounce=has_seen_bounce,
    )
    look.begin_stats()
    look.found["has_seen_bounce"] = has_seen_bounce
    look.found["events_day"] = look.summed(rings, DAY_S, YOUNG_DAY)


def _take_webhooks(look: Look, emailengine: EmailEngineFacts, *, is_restarted: bool) -> None:
    """Count deliveries in steps of ten minutes; /v1/stats tells the last hour itlook."""
    now = emailengine.webhooks
    if isinstance(now, Missing):
        look.found["webhooks_hour"] = now
    else:
        grown = look.window(now, look.memory.webhooks, is_restarted=is_restarted)
        rings = {
            name: add(
                look.memory.webhooks_by_ten_minutes.get(name, ()),
                look.at_s,
                grown.get(name, 0),
                step_s=TEN_MINUTES_S,
                keep_s=HOUR_S,
            )
            for name in now
        }
        look.remember(
            webhooks=dict(now),
            webhooks_by_ten_minutes={name: ring for name, ring in rings.items() if ring},
        )
        look.begin_stats()
        look.found["webhooks_hour"] = look.summed(rings, HOUR_S, YOUNG_HOUR)
    if not isinstance(emailengine.webhooks_hour, Missing):
        look.found["webhooks_hour"] = emailengine.webhooks_hour


def _take_queues(look: Look, found: Queues | Missing) -> None:
    if isinstance(found, Missing):
        look.found["paused_s"] = found
        look.remember(submit_waiting_count=FIRST, submit_was_paused=FIRST)
        return
    queues = found.queues
    paused = {queue.name for queue in queues if queue.is_paused is True}
    began = {name: look.memory.paused_since_s.get(name, int(look.at_s)) for name in paused}
    look.remember(paused_since_s=began)
    look.found["paused_s"] = {name: look.at_s - since_s for name, since_s in began.items()}
    for queue in queues:
        if queue.name == SUBMIT:
            look.remember(
                submit_waiting_count=queue.waiting_count, submit_was_paused=queue.is_paused
            )


def _take_accounts(look: Look, emailengine: EmailEngineFacts) -> None:
    accounts = emailengine.accounts
    if isinstance(accounts, Missing):
        look.found["accounts_error_median_ratio"] = accounts
        return
    count, before = sum(accounts.values()), look.memory.accounts_count
    if isinstance(before, Missing) or count > before * ACCOUNTS_HELD_BELOW_RATIO:
        look.remember(accounts_count=count)
    shares = look.memory.error_shares
    look.found["accounts_error_median_ratio"] = (
        median(share for _step, share in shares) / 1000
        if len(shares) >= LEAST_SHARES
        else Missing("no_history", "watched for less than a day")
    )
    step = int(look.at_s) // SHARE_STEP_S
    if count and (not shares or shares[-1][0] != step):
        in_error = sum(accounts.get(state, 0) for state in IN_ERROR)
        shares = (*shares, (step, 1000 * in_error // count))
        oldest = step - SHARE_STEPS
        look.remember(error_shares=tuple(one for one in shares if one[0] > oldest))
