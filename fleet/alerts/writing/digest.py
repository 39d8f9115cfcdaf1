"""A day and a week as documents: what is new, what is still open, what ended, and the trend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checks.render import duration
from checks.rule import Severity
from fleet.alerts import links
from fleet.alerts.letter import Digest, EndingWaiver, Item, Letter, Move, Report
from fleet.alerts.writing import words
from fleet.alerts.writing.alert import TENANT, standing
from fleet.alerts.writing.document import (
    Block,
    Button,
    Document,
    Heading,
    Line,
    Link,
    More,
    Paragraph,
    Room,
    Row,
    Rows,
)
from fleet.alerts.writing.item import line, name_of
from fleet.alerts.writing.notices import NAME, ending, title_of
from fleet.alerts.writing.tame import tame
from fleet.alerts.writing.words import Clock


def day(letter: Letter, body: Digest, room: Room) -> Document:
    """Write a day's digest: new, still open, resolved, waivers ending, not verified, forecasts."""
    clock = Clock.of(letter.reader.time_zone)
    opened, still = _worst_first(body.opened), _worst_first(body.still_open)
    return Document(
        prefix=_("Digest"),
        about=tame(body.tenant, TENANT) or _("Fleet"),
        title=_("%(new)s new, %(open)s still open, %(resolved)s resolved")
        % {
            "new": f"{len(opened):,}",
            "open": f"{len(still):,}",
            "resolved": f"{len(body.resolved):,}",
        },
        preheader=words.listed(list(dict.fromkeys(map(name_of, (*opened, *still)))), 5),
        at=clock.full(letter.at),
        lead=_("Since %s.") % clock.short(body.since) + " " + standing(body.standing),
        tone=_tone((*opened, *still)),
        blocks=(
            *_section(_("New"), opened, clock, room, body.tenant_id),
            *_section(_("Still open"), still, clock, room, body.tenant_id),
            *_section(_("Resolved"), body.resolved, clock, room, body.tenant_id),
            *_waivers(body.waivers, clock, room),
            *_doubts(body, room),
            *_forecasts(body, room),
            Button(Link(_("Open findings"), links.findings(tenant=body.tenant_id))),
        ),
    )


def _worst_first(items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda one: (-one.severity.rank, one.opened_at))


def _tone(items: Sequence[Item]) -> str:
    worst = max((one.severity for one in items), key=lambda one: one.rank, default=None)
    return words.OF_SEVERITY[worst].tone if worst else "good"


def _section(
    title: str, items: Sequence[Item], clock: Clock, room: Room, tenant_id: int | None
) -> Iterable[Block]:
    if not items:
        return
    yield Heading(f"{title} ({len(items):,})")
    most = max(room.lines // 3, 1)  # three sections share the room
    yield from (line(one, clock, room) for one in items[:most])
    if len(items) > most:
        state = "resolved" if items[0].move is Move.RESOLVED else ""
        url = links.findings(tenant=tenant_id, state=state)
        yield More(_("and %s more") % f"{len(items) - most:,}", url)


def _waivers(found: Sequence[EndingWaiver], clock: Clock, room: Room) -> Iterable[Block]:
    if not found:
        return
    yield Heading(_("Waivers ending (%s)") % f"{len(found):,}")
    few = Room(room.entries, max(room.lines // 4, 1), room.text)
    soon = sorted(found, key=lambda one: one.expires_at)
    lines: list[Line] = list(ending(soon, clock, few))
    yield from lines
    if rest := len(found) - len(lines):
        yield More(_("and %s more") % f"{rest:,}", links.waivers())


def _doubts(body: Digest, room: Room) -> Iterable[Block]:
    if not body.doubts:
        return
    yield Heading(_("Not verified"))
    url = links.pairs(tenant=body.tenant_id, compliance="unverified")
    most = max(room.lines // 4, 1)
    yield Rows(
        tuple(
            Row(tame(one.why, room.text), words.pairs(one.pairs_count))
            for one in body.doubts[:most]
        )
    )
    yield More(_("Open the pairs that could not be verified"), url)


def _forecasts(body: Digest, room: Room) -> Iterable[Block]:
    if not body.forecasts:
        return
    yield Heading(_("Forecasts"))
    most = max(room.lines // 4, 1)
    yield Rows(
        tuple(Row(tame(one.pair, NAME), tame(one.text, room.text)) for one in body.forecasts[:most])
    )
    if len(body.forecasts) > most:
        rest = len(body.forecasts) - most
        url = links.findings(tenant=body.tenant_id, rule="redis.memory-forecast")
        yield More(_("and %s more") % f"{rest:,}", url)


def week(letter: Letter, body: Report, room: Room) -> Document:
    """Write a tenant's week: the share of compliant pairs by day, findings, the worst, waivers."""
    clock = Clock.of(letter.reader.time_zone)
    dates = f"{words.day(body.first_day)} – {words.day(body.last_day)}"
    return Document(
        prefix=_("Report"),
        about=tame(body.tenant, TENANT),
        title=_week_title(body, dates),
        preheader=words.listed([tame(name, NAME) for name, _count in body.worst_pairs], 5),
        at=clock.full(letter.at),
        lead=standing(body.standing),
        tone="bad" if body.standing.non_compliant_count else "good",
        blocks=tuple(_week(body, clock, room)),
    )


def _week_title(body: Report, dates: str) -> str:
    shares = [share for _day, share in body.days if share is not None]
    if not shares:
        return _("The week %(dates)s") % {"dates": dates}
    values = {"share": words.share(shares[-1]), "dates": dates}
    return _("%(share)s compliant, %(dates)s") % values


def _week(body: Report, clock: Clock, room: Room) -> Iterable[Block]:
    yield Heading(_("Compliant pairs"))
    yield Rows(
        tuple(
            Row(words.day(on), _("no reading") if share is None else words.share(share))
            for on, share in body.days[:7]
        )
    )
    yield Heading(_("Findings"))
    yield Rows(tuple(_figures(body)))
    if body.rules:
        yield Heading(_("Most failed rules"))
        yield from _rules(body, room)
    if body.worst_pairs:
        yield Heading(_("Pairs with the most open findings"))
        yield Rows(tuple(_worst(body, max(room.lines // 4, 1))))
    yield from _waivers(body.waivers, clock, room)
    if not (body.rules or body.worst_pairs):
        yield Paragraph(_("Nothing is open."))
    yield Button(Link(_("Open the pairs"), links.pairs(tenant=body.tenant_id)))


def _figures(body: Report) -> Iterable[Row]:
    yield Row(_("Opened"), f"{body.opened_count:,}")
    yield Row(_("Resolved"), f"{body.resolved_count:,}")
    yield Row(_("Open now"), f"{body.open_count:,}")
    if body.median_open_s is not None:
        yield Row(_("Half were resolved within"), duration(body.median_open_s))


def _rules(body: Report, room: Room) -> Iterable[Line]:
    for one in body.rules[: max(room.lines // 4, 1)]:
        yield Line(
            mark=words.OF_SEVERITY[Severity(one.severity)],
            title=words.pairs(one.pairs_count),
            text=title_of(one.rule_id),
            url=links.findings(tenant=body.tenant_id, rule=one.rule_id),
        )


def _worst(body: Report, most: int) -> Iterable[Row]:
    for name, count in body.worst_pairs[:most]:
        text = ngettext("%(n)s finding", "%(n)s findings", count) % {"n": f"{count:,}"}
        yield Row(tame(name, NAME), text)
