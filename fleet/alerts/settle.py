"""Write down what became of news: told, as of an accepted mail, or dropped, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from fleet.alerts.decide import Fate, News
from fleet.alerts.letter import Move
from fleet.alerts.models import Told
from fleet.alerts.timing import TELL_AT_MOST, next_reminder
from fleet.registry.arrays import run

_DROP: Final = """
UPDATE alerts_delivery d SET state = 'dropped', reason = n.reason
FROM (SELECT unnest(%b::int8[]) AS id, unnest(%b::text[]) AS reason) n
WHERE d.id = n.id AND d.state <> 'dropped'
"""
_PUT: Final = """
UPDATE alerts_delivery d SET state = 'mailed', mail_id = n.mail_id, reason = ''
FROM (SELECT unnest(%b::int8[]) AS id, unnest(%b::int8[]) AS mail_id) n
WHERE d.id = n.id AND d.state = 'waiting'
"""
_BACK: Final = """
UPDATE alerts_delivery SET state = 'waiting', mail_id = NULL WHERE id = ANY(%b::int8[])
"""
# What the reader believes moves without a word: it is over, or it is another opening of the same.
_CLOSE: Final = """
UPDATE alerts_told k SET is_open = false, next_reminder_at = NULL
FROM (SELECT unnest(%b::int8[]) AS channel_id, unnest(%b::int8[]) AS target_id,
    unnest(%b::text[]) AS rule_id) n
WHERE k.channel_id = n.channel_id AND k.target_id = n.target_id AND k.rule_id = n.rule_id
"""
_REFRESH: Final = """
UPDATE alerts_told k SET finding_id = n.finding_id, opened_at = f.opened_at
FROM (SELECT unnest(%b::int8[]) AS channel_id, unnest(%b::int8[]) AS target_id,
    unnest(%b::text[]) AS rule_id, unnest(%b::int8[]) AS finding_id) n
JOIN findings_finding f ON f.id = n.finding_id
WHERE k.channel_id = n.channel_id AND k.target_id = n.target_id AND k.rule_id = n.rule_id
"""
_UPSERTED: Final = (
    "finding",
    "mail",
    "is_open",
    "severity",
    "opened_at",
    "is_flapping",
    "told_at",
    "reminders_count",
    "next_reminder_at",
)


def drop(dropped: Sequence[tuple[News, Fate]]) -> None:
    """Settle news that is told to nobody, within the caller's transaction. At most three queries."""
    ids = [(one, fate.reason) for news, fate in dropped for one in news.delivery_ids]
    if ids:
        run(_DROP, [[one for one, _ in ids], [reason for _, reason in ids]])
    over = [news for news, _ in dropped if news.is_told_open and news.state != "open"]
    if over:
        run(_CLOSE, _keys(over))
    same = [news for news, _ in dropped if news.is_told_open and news.state == "open"]
    if same:
        run(_REFRESH, [*_keys(same), [news.finding_id for news in same]])


def _keys(news: Iterable[News]) -> list[list[int] | list[str]]:
    held = list(news)
    return [
        [one.channel_id for one in held],
        [one.target_id for one in held],
        [one.rule_id for one in held],
    ]


def put(placed: Iterable[tuple[News, int]]) -> None:
    """Put news into mails, given by their ids. One query."""
    ids = [(one, mail_id) for news, mail_id in placed for one in news.delivery_ids]
    if ids:
        run(_PUT, [[one for one, _ in ids], [mail_id for _, mail_id in ids]])


def put_back(held: Iterable[News]) -> None:
    """Take news out of its mail: it waits again. One query."""
    ids = [one for news in held for one in news.delivery_ids]
    if ids:
        run(_BACK, [ids])


def tell(mail_id: int, told: Sequence[tuple[News, Move]], now: datetime) -> None:
    """Write down that this was said in a mail that was accepted. One query per thousand."""
    Told.objects.bulk_create(
        [_told(mail_id, news, move, now) for news, move in told],
        update_conflicts=True,
        unique_fields=["channel", "target", "rule_id"],
        update_fields=list(_UPSERTED),
        batch_size=1000,
    )


def _told(mail_id: int, news: News, move: Move, now: datetime) -> Told:
    before = news.told.at if news.told else ()
    is_open = move is not Move.RESOLVED
    return Told(
        channel_id=news.channel_id,
        target_id=news.target_id,
        rule_id=news.rule_id,
        finding_id=news.finding_id,
        mail_id=mail_id,
        is_open=is_open,
        severity=news.severity,
        opened_at=news.opened_at,
        is_flapping=move is Move.FLAPPING,
        told_at=[*before, now][-TELL_AT_MOST:],
        reminders_count=0,
        next_reminder_at=next_reminder(news.severity, 0, now) if is_open else None,
    )
