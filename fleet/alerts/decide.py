"""What is one reader to hear of one rule on one target? A difference: what it is now, and what was told.

| what happened | what is told |
| --- | --- |
| opened | OPENED, where the severity is the channel's; info stands in the digest only |
| severity rose | WORSE; one that fell stands in the digest |
| resolved | RESOLVED, to those who were told that it was open; also when a person accepted a loss |
| withdrawn | nothing: no recovery |
| opened and resolved before a mail went | nothing |
| flapping | FLAPPING, once; then nothing until it is calm |
| calm | CALM where it is still open, RESOLVED where it ended |
| waived | nothing, nor that it ended while waived |
| its waiver ended while it is open | OPENED again |
| acknowledged | nothing; no reminders until it ends |
| stale, read again | nothing; the digest counts it |
| maintenance | waits; what is then different is told |
| the pair is paused | waits; archived: nothing |
| three mails about the target lately | waits; what is then different is told |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

from checks.rule import Severity
from fleet.alerts.letter import Move
from fleet.alerts.timing import TELL_AGAIN_WITHIN, TELL_AT_MOST, TELL_WITHIN

# The causes that may be told of; the others stand in the timeline and in the digest.
TOLD_CAUSES: Final = frozenset(
    {"opened", "severity", "resolved", "withdrawn", "acknowledged", "flapping", "calm", "unwaived"}
)
RANKS: Final = {severity.value: severity.rank for severity in Severity}


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTold:
    """What the channel was last told of this rule on this target; `at` the last times, newest last."""

    is_open: bool
    severity: str
    finding_id: int
    opened_at: datetime | None
    is_flapping: bool = False
    at: tuple[datetime, ...] = ()
    mail_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What came for one channel of one rule on one target, and how the finding stands now.

    `causes` are those of the transitions that brought it; `closing` is the cause of the last one
    that ended the finding, "" where none did. `first_at` is when the first of them was routed;
    `target_told_at` the times of mails to the channel about any rule of the target.
    """

    channel_id: int
    tenant_id: int
    target_id: int
    zone_id: int
    rule_id: str
    finding_id: int
    state: str
    severity: str
    opened_at: datetime | None
    first_at: datetime
    least: str  # the channel's least severity
    causes: frozenset[str]
    delivery_ids: tuple[int, ...]
    closing: str = ""
    target_state: str = "active"
    is_waived: bool = False
    is_flapping: bool = False
    is_stopped: bool = False  # nothing may go there: stopped, or not verified
    told: LastTold | None = field(default=None)
    target_told_at: frozenset[datetime] = frozenset()

    @property
    def is_told_open(self) -> bool:
        """Tell whether the reader believes that it is open.

        Another opening than the one told of is the same to the reader if its end is among the news.
        """
        told = self.told
        if told is None or not told.is_open:
            return False
        episode = (told.finding_id, told.opened_at)
        return bool(self.closing) or episode == (self.finding_id, self.opened_at)


class Fate(NamedTuple):
    """What becomes of news: told as `move`, kept for later, or dropped, and why."""

    kind: Literal["tell", "hold", "drop"]
    reason: str = ""
    move: Move | None = None


def decide(news: News, now: datetime, *, is_silenced: bool = False) -> Fate:
    """Say what becomes of news; `is_silenced`: the target is in maintenance now."""
    if news.is_stopped or news.target_state == "archived":
        return Fate("drop", "stopped" if news.is_stopped else "archived")
    if is_silenced or news.target_state == "paused":
        return Fate("hold", "maintenance" if is_silenced else "paused")
    fate = _difference(news)
    if fate.kind == "tell" and _is_often(news, now):
        return Fate("hold", "often")
    return fate


def _difference(news: News) -> Fate:
    if news.state == "open" and news.causes == {"acknowledged"}:
        return Fate("drop", "acknowledged")  # also where it opened before anybody was told
    if news.is_flapping:
        return _flapping(news)
    return _open(news) if news.state == "open" else _over(news)


def _flapping(news: News) -> Fate:
    if news.told and news.told.is_flapping and news.told.is_open:
        return Fate("drop", "flapping")
    if news.is_waived:
        return Fate("drop", "waived")
    if _is_below(news) and not news.is_told_open:
        return Fate("drop", "below")
    return Fate("tell", move=Move.FLAPPING)


def _open(news: News) -> Fate:
    if news.is_waived:
        return Fate("drop", "waived")
    if _is_below(news):
        return Fate("drop", "below")
    told = news.told
    if told is None or not news.is_told_open or "unwaived" in news.causes:
        return Fate("tell", move=Move.OPENED)
    if RANKS[news.severity] > RANKS[told.severity]:
        return Fate("tell", move=Move.WORSE)
    if told.is_flapping:
        return Fate("tell", move=Move.CALM)
    return Fate("drop", "eased" if news.severity != told.severity else "told")


def _over(news: News) -> Fate:
    if not news.is_told_open:
        return Fate("drop", "over")
    if news.is_waived or news.closing == "withdrawn":
        return Fate("drop", "waived" if news.is_waived else "withdrawn")
    return Fate("tell", move=Move.RESOLVED)


def _is_below(news: News) -> bool:
    return RANKS[news.severity] < RANKS[news.least]


def _is_often(news: News, now: datetime) -> bool:
    """Tell whether there were mails enough about the target; a rule told of lately waits longer."""
    told_at = news.told.at if news.told else ()
    is_again = any(now - at < TELL_AGAIN_WITHIN for at in told_at)
    within = TELL_AGAIN_WITHIN if is_again else TELL_WITHIN
    return sum(now - at < within for at in news.target_told_at) >= TELL_AT_MOST
