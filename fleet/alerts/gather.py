"""Deliveries become mails: grouped by reader and tenant, many pairs at once as one mail of the fleet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db import connection, transaction
from django.db.models import Count

from fleet.alerts import settle
from fleet.alerts.decide import Fate, News, decide
from fleet.alerts.letter import Move
from fleet.alerts.models import Channel, Mail, new_message_id
from fleet.alerts.news import waiting
from fleet.alerts.storms import in_storm, rising, zone_sizes
from fleet.alerts.threads import roots
from fleet.alerts.timing import CAP, CAP_WITHIN, FIRST_WINDOW, STORM_TAIL, UPDATE_WINDOW
from fleet.findings.maintenance import silenced

# One gatherer at a time: two would group the same news twice.
GATHER_LOCK: Final = 7_214_010
GROUPED: Final = (Mail.Kind.ALERT, Mail.Kind.FLEET)
CAPPED: Final = (*GROUPED, Mail.Kind.REMINDER)

Key = tuple[int, int | None]  # channel, tenant; None: across the fleet


class Say(NamedTuple):
    """News and how it is told."""

    news: News
    move: Move

    @property
    def cover(self) -> tuple[str, str, int] | None:
        """What a fleet mail covers by telling this: direction, rule, zone."""
        if self.move in (Move.OPENED, Move.WORSE):
            return ("down", self.news.rule_id, self.news.zone_id)
        if self.move is Move.RESOLVED:
            return ("back", self.news.rule_id, self.news.zone_id)
        return None


@dataclass
class Group:
    """What one mail is to tell."""

    key: Key
    says: list[Say]
    is_storm: bool = False

    @property
    def kind(self) -> str:
        return Mail.Kind.FLEET if self.key[1] is None else Mail.Kind.ALERT

    @property
    def first_at(self) -> datetime:
        """When the first of it was routed."""
        return min(say.news.first_at for say in self.says)


class Unsent(NamedTuple):
    """A mail on its way; `takes_more`: nobody tried to send it yet."""

    mail_id: int
    takes_more: bool


def gather(now: datetime) -> int | None:
    """Group what waits into mails that are due; returns how many were made. Safe to run twice.

    None where another is at it just now.
    """
    with transaction.atomic():
        if not _lock():
            return None
        # In this order: what a mail told that was taken meanwhile is then known of its news.
        unsent = _unsent()
        news = waiting()
        if not news:
            return 0
        says = _sort(news, unsent, now)
        groups = _within_cap(_due(_absorb(says, now), now), now)
        _make(groups, now)
        return len(groups)


def _lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [GATHER_LOCK])
        row = cursor.fetchone()
        return bool(row and row[0])


def _sort(news: Collection[News], unsent: Mapping[Key, Unsent], now: datetime) -> list[Say]:
    """Put news into mails that wait, drop what is none any more, and give what is to be told.

    While a mail about a tenant is on its way nobody knows what its reader was told: news waits.
    """
    quiet = silenced({one.target_id for one in news}, now)
    placed: list[tuple[News, int]] = []
    dropped: list[tuple[News, Fate]] = []
    says: list[Say] = []
    for one in news:
        under_way = _under_way(one, unsent)
        if under_way:
            if under_way.takes_more and one.target_id not in quiet:
                placed.append((one, under_way.mail_id))
            continue
        fate = decide(one, now, is_silenced=one.target_id in quiet)
        if fate.kind == "drop":
            dropped.append((one, fate))
        elif fate.move:
            says.append(Say(one, fate.move))
    settle.put(placed)
    settle.drop(dropped)
    return says


def _under_way(news: News, unsent: Mapping[Key, Unsent]) -> Unsent | None:
    of_tenant = unsent.get((news.channel_id, news.tenant_id))
    return unsent.get((news.channel_id, None)) or of_tenant


def _unsent() -> dict[Key, Unsent]:
    """Give the mails on their way, the untried ones locked: no sender takes them meanwhile."""
    mine = Mail.objects.filter(kind__in=GROUPED)
    on_way = mine.filter(state__in=[Mail.State.WAITING, Mail.State.LEASED])
    found: dict[Key, Unsent] = {
        (channel_id, tenant_id): Unsent(pk, takes_more=False)
        for channel_id, tenant_id, pk in on_way.values_list("channel_id", "tenant_id", "pk")
    }
    untried = mine.filter(state=Mail.State.WAITING, attempts=0, is_doubtful=False)
    rows = untried.select_for_update(skip_locked=True).order_by("pk")
    for channel_id, tenant_id, pk in rows.values_list("channel_id", "tenant_id", "pk"):
        found[channel_id, tenant_id] = Unsent(pk, takes_more=True)
    return found


def _absorb(says: Iterable[Say], now: datetime) -> list[Say]:
    """Let fleet mails of the last minutes count for what they covered; give the rest."""
    covers: dict[tuple[int, tuple[str, str, int]], int] = {}
    rows = Mail.objects.filter(
        kind=Mail.Kind.FLEET, state=Mail.State.SENT, made_at__gt=now - STORM_TAIL
    )
    for pk, channel_id, covered in rows.values_list("pk", "channel_id", "covers"):
        covers.update({(channel_id, (one[0], one[1], one[2])): pk for one in covered})
    rest: list[Say] = []
    absorbed: defaultdict[int, list[Say]] = defaultdict(list)
    for say in says:
        mail_id = covers.get((say.news.channel_id, say.cover)) if say.cover else None
        if mail_id is None:
            rest.append(say)
        else:
            absorbed[mail_id].append(say)
    for mail_id, held in absorbed.items():
        settle.put((say.news, mail_id) for say in held)
        settle.tell(mail_id, held, now)
    return rest


def _due(says: Sequence[Say], now: datetime) -> list[Group]:
    """Group by reader and tenant, a storm of an operators' channel as one, and give what is due."""
    if not says:
        return []
    sizes = zone_sizes()
    channel_ids = {say.news.channel_id for say in says}
    operators = set(
        Channel.objects.filter(pk__in=channel_ids, tenant=None).values_list("pk", flat=True)
    )
    groups = list(_groups(says, operators, sizes))
    of_tenants = [say.news for say in says if say.news.channel_id not in operators]
    growing = rising(of_tenants, sizes, now)
    last = _last_made(channel_ids, now)
    return [
        group
        for group in groups
        if now >= _due_at(group, last.get(group.key)) and group.key not in growing
    ]


def _groups(
    says: Iterable[Say], operators: Collection[int], sizes: Mapping[int, int]
) -> Iterator[Group]:
    of_channel: defaultdict[int, list[Say]] = defaultdict(list)
    for say in says:
        of_channel[say.news.channel_id].append(say)
    for channel_id, held in of_channel.items():
        storm = set()
        if channel_id in operators:
            storm = {id(news) for news in in_storm([say.news for say in held], sizes)}
        groups: defaultdict[Key, list[Say]] = defaultdict(list)
        for say in held:
            tenant_id = None if id(say.news) in storm else say.news.tenant_id
            groups[channel_id, tenant_id].append(say)
        yield from (Group(key, of, is_storm=key[1] is None) for key, of in groups.items())


def _due_at(group: Group, last_made_at: datetime | None) -> datetime:
    first = group.first_at + FIRST_WINDOW
    return max(first, last_made_at + UPDATE_WINDOW) if last_made_at else first


def _last_made(channel_ids: Collection[int], now: datetime) -> dict[Key, datetime]:
    rows = Mail.objects.filter(
        channel__in=channel_ids, kind__in=GROUPED, made_at__gt=now - UPDATE_WINDOW
    ).exclude(state=Mail.State.CANCELLED)
    found = rows.order_by("made_at").values_list("channel_id", "tenant_id", "made_at")
    return {(channel_id, tenant_id): at for channel_id, tenant_id, at in found}


def _within_cap(groups: Sequence[Group], now: datetime) -> list[Group]:
    """Keep each address within its cap: the last mail of an operators' channel collects the rest."""
    if not groups:
        return []
    channels = {group.key[0] for group in groups}
    whose = {
        pk: (address, tenant_id is None)
        for pk, address, tenant_id in Channel.objects.filter(pk__in=channels).values_list(
            "pk", "address", "tenant_id"
        )
    }
    left = slots_left({address for address, _ in whose.values()}, now)
    of_channel: defaultdict[int, list[Group]] = defaultdict(list)
    for group in sorted(groups, key=lambda one: one.first_at):
        of_channel[group.key[0]].append(group)
    kept: list[Group] = []
    for channel_id, held in of_channel.items():
        address, is_operators = whose[channel_id]
        wanted = held
        if is_operators and len(held) > 1 and len(held) >= left[address]:
            wanted = [Group((channel_id, None), [say for group in held for say in group.says])]
        kept += wanted[: max(left[address], 0)]
        left[address] -= len(wanted)
    return kept


def slots_left(addresses: Collection[str], now: datetime) -> dict[str, int]:
    """Give how many mails about findings each address may still get within the hour. One query."""
    made = Mail.objects.filter(
        channel__address__in=addresses, kind__in=CAPPED, made_at__gt=now - CAP_WITHIN
    ).exclude(state=Mail.State.CANCELLED)
    counts = made.order_by().values_list("channel__address").annotate(mails_count=Count("pk"))
    return {**dict.fromkeys(addresses, CAP), **{one: CAP - count for one, count in counts}}


def _make(groups: Sequence[Group], now: datetime) -> None:
    if not groups:
        return
    threads = roots({group.key[0] for group in groups})
    mails = Mail.objects.bulk_create(
        Mail(
            channel_id=group.key[0],
            tenant_id=group.key[1],
            kind=group.kind,
            message_id=new_message_id(),
            root_id=threads.get(group.key),
            covers=sorted({say.cover for say in group.says if say.cover and group.is_storm}),
            made_at=now,
            next_attempt_at=now,
        )
        for group in groups
    )
    settle.put(
        (say.news, mail.pk) for group, mail in zip(groups, mails, strict=True) for say in group.says
    )
