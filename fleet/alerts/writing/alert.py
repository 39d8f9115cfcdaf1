"""An alert as a document: what opened, changed, came back or is still open at one tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import compress
from operator import not_
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checks.rule import Severity
from fleet.alerts import links
from fleet.alerts.letter import Alert, Item, Letter, Move, Standing
from fleet.alerts.writing import words
from fleet.alerts.writing.document import Block, Button, Document, Link, More, Room
from fleet.alerts.writing.item import entry, group, line, mark_of, name_of
from fleet.alerts.writing.tame import tame
from fleet.alerts.writing.words import Clock

TENANT: Final = 60  # characters of a tenant's name in a subject
PREHEADER: Final = 5  # pairs named there
IN_FULL: Final = 5  # more criticals than these are grouped by rule. Source: ui §7
IS_OPEN: Final = frozenset({Move.OPENED, Move.WORSE, Move.EASED, Move.STILL, Move.STALE})
NEWS: Final = frozenset({Move.OPENED, Move.WORSE})


def document(letter: Letter, body: Alert, room: Room) -> Document:
    """Write an alert with as much in full as there is room for."""
    clock = Clock.of(letter.reader.time_zone)
    items = sorted(body.items, key=_rank)
    prefix, title = headline(items)
    return Document(
        prefix=prefix,
        about=tame(body.tenant, TENANT),
        title=title,
        preheader=words.listed(list(dict.fromkeys(map(name_of, items))), PREHEADER),
        at=clock.full(letter.at),
        lead=standing(body.standing),
        tone=mark_of(items[0]).tone if items else "note",
        blocks=tuple(_blocks(items, clock, room, body)),
        reminder=_reminder(letter, body, items, clock),
        acts=_acts(items, body),
    )


def standing(now: Standing) -> str:
    """Say how the tenant stands now: `Now 29 of 2,140 pairs are non-compliant (92.4% compliant)`."""
    values = {
        "bad": f"{now.non_compliant_count:,}",
        "risk": f"{now.at_risk_count:,}",
        "pairs": words.pairs(now.pairs_count),
    }
    text = ngettext(
        "Now %(bad)s of %(pairs)s is non-compliant",
        "Now %(bad)s of %(pairs)s are non-compliant",
        now.non_compliant_count,
    )
    if now.at_risk_count:
        text += ngettext(", %(risk)s is at risk", ", %(risk)s are at risk", now.at_risk_count)
    shares = []
    if now.compliant_ratio is not None:
        shares.append(_("%s compliant") % words.share(now.compliant_ratio))
    if now.coverage_ratio is not None:
        shares.append(_("coverage %s") % words.share(now.coverage_ratio))
    return text % values + (f" ({', '.join(shares)})" if shares else "") + "."


def _rank(item: Item) -> tuple[int, int, int]:
    """Put what is open first, the worst first, then what is news; the rest in the letter's order."""
    return (
        0 if item.move in IS_OPEN else 1,
        -item.severity.rank if item.move in IS_OPEN else 0,
        0 if item.move in NEWS else 1,
    )


# What a subject may say, in this order: prefix, which items, and the phrases for requirement and
# operation rules. The first that any item fits leads; nothing below it is told in the subject.
Fits = Callable[[Item], bool]


def headline(items: Sequence[Item]) -> tuple[str, str]:
    """Choose the subject's prefix and sentence by the worst that happened."""
    for prefix, fits, phrase in HEADLINES:
        if found := [one for one in items if fits(one)]:
            return str(prefix), phrase(found)
    return _("Info"), _notes(items)


def _is(severity: Severity, *moves: Move) -> Fits:
    return lambda item: item.severity is severity and item.move in moves


def _move(move: Move) -> Fits:
    return lambda item: item.move is move


def _left(items: Sequence[Item]) -> str:
    return _phrases(
        items,
        lambda n: ngettext("%(n)s left compliance", "%(n)s left compliance", n),
        lambda n: ngettext("%(n)s is failing", "%(n)s are failing", n),
    )


def _at_risk(items: Sequence[Item]) -> str:
    return _phrases(
        items,
        lambda n: ngettext("%(n)s at risk", "%(n)s at risk", n),
        lambda n: ngettext("%(n)s degraded", "%(n)s degraded", n),
    )


def _still_bad(items: Sequence[Item]) -> str:
    return _phrases(
        items,
        lambda n: ngettext("%(n)s still non-compliant", "%(n)s still non-compliant", n),
        lambda n: ngettext("%(n)s still failing", "%(n)s still failing", n),
    )


def _still_at_risk(items: Sequence[Item]) -> str:
    return _phrases(
        items,
        lambda n: ngettext("%(n)s still at risk", "%(n)s still at risk", n),
        lambda n: ngettext("%(n)s still degraded", "%(n)s still degraded", n),
    )


def _phrases(
    items: Sequence[Item], requirement: Callable[[int], str], operation: Callable[[int], str]
) -> str:
    """Count the pairs of both kinds: `2 pairs left compliance, 1 pair is failing`."""
    told = []
    for is_requirement, phrase in ((True, requirement), (False, operation)):
        count = _pairs(one for one in items if one.is_requirement is is_requirement)
        if count:
            told.append(phrase(count) % {"n": words.pairs(count)})
    return ", ".join(told)


def _flapping(items: Sequence[Item]) -> str:
    n = _pairs(items)
    text = ngettext("%(n)s comes and goes", "%(n)s come and go", n)
    return text % {"n": words.pairs(n)}


def _stale(items: Sequence[Item]) -> str:
    n = _pairs(items)
    text = ngettext("%(n)s can no longer be verified", "%(n)s can no longer be verified", n)
    return text % {"n": words.pairs(n)}


def _back(items: Sequence[Item]) -> str:
    """Say that pairs are back only where nothing else is open on them."""
    longest: timedelta = max((one.resolved_at or one.opened_at) - one.opened_at for one in items)
    values = {"span": words.span(items[0].opened_at, items[0].opened_at + longest)}
    if all(one.others_open == 0 for one in items):
        n = _pairs(items)
        text = ngettext("%(n)s is back after %(span)s", "%(n)s are back after %(span)s", n)
        return text % {**values, "n": words.pairs(n)}
    n = len(items)
    text = ngettext(
        "%(n)s finding resolved after %(span)s", "%(n)s findings resolved after %(span)s", n
    )
    return text % {**values, "n": f"{n:,}"}


def _notes(items: Sequence[Item]) -> str:
    n = len(items)
    return ngettext("%(n)s note", "%(n)s notes", n) % {"n": f"{n:,}"}


HEADLINES: Final[tuple[tuple[Promise, Fits, Callable[[Sequence[Item]], str]], ...]] = (
    (gettext_lazy("Critical"), _is(Severity.CRITICAL, Move.OPENED, Move.WORSE), _left),
    (gettext_lazy("Critical"), _is(Severity.CRITICAL, Move.STILL), _still_bad),
    (gettext_lazy("Warning"), _is(Severity.WARNING, Move.OPENED, Move.WORSE, Move.EASED), _at_risk),
    (gettext_lazy("Warning"), _is(Severity.WARNING, Move.STILL), _still_at_risk),
    (gettext_lazy("Flapping"), _move(Move.FLAPPING), _flapping),
    (gettext_lazy("Stale"), _move(Move.STALE), _stale),
    (gettext_lazy("Resolved"), _move(Move.RESOLVED), _back),
)


def _pairs(items: Iterable[Item]) -> int:
    return len({one.pair for one in items})


def _blocks(items: Sequence[Item], clock: Clock, room: Room, body: Alert) -> Iterable[Block]:
    """Write the worst in full, or by rule where they are many; then the button; then two lines each."""
    leading, others = _split(items)
    if len(leading) > IN_FULL:
        yield from _by_rule(leading, clock, room, body)
    else:
        yield from (entry(one, clock, room) for one in leading[: room.entries])
        others = [*leading[room.entries :], *others]
    if leading:
        yield Button(_open(leading, items, body))
    lines = [line(one, clock, room) for one in others[: room.lines // 2]]
    yield from lines
    if rest := len(others) - len(lines):
        yield More(_("and %s more") % f"{rest:,}", _all_of(others[len(lines) :], body))


def _split(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Part what is told in full: open criticals, or open warnings where there are none."""
    for severity in (Severity.CRITICAL, Severity.WARNING):
        leads = [_is_told_in_full(one) and one.severity is severity for one in items]
        if any(leads):
            return list(compress(items, leads)), list(compress(items, map(not_, leads)))
    return [], list(items)


def _is_told_in_full(item: Item) -> bool:
    return item.move in (Move.OPENED, Move.WORSE, Move.EASED, Move.STILL)


def _by_rule(items: Sequence[Item], clock: Clock, room: Room, body: Alert) -> Iterable[Block]:
    rules: dict[str, list[Item]] = {}
    for one in items:
        rules.setdefault(one.rule_id, []).append(one)
    groups = sorted(rules.items(), key=lambda pair: -len(pair[1]))
    for rule_id, found in groups[: room.entries]:
        if len(found) == 1:
            yield entry(found[0], clock, room)
        else:
            url = links.findings(mail=body.mail_id, rule=rule_id, tenant=body.tenant_id)
            yield group(found, clock, room, url)
    rest = [one for _rule, found in groups[room.entries :] for one in found]
    if rest:
        text = ngettext("and %(n)s more finding", "and %(n)s more findings", len(rest))
        yield More(text % {"n": f"{len(rest):,}"}, _all_of(rest, body))


def _open(leading: Sequence[Item], items: Sequence[Item], body: Alert) -> Link:
    """Lead to the one finding that is told in full, or to all of which the mail tells."""
    if len(leading) == 1:
        return Link(_("Open the finding"), links.finding(leading[0].finding_id))
    words_ = ngettext("Open the %(n)s finding", "Open the %(n)s findings", len(items))
    return Link(words_ % {"n": f"{len(items):,}"}, _all_of(items, body))


def _all_of(items: Sequence[Item], body: Alert) -> str:
    """Lead to the list of what this mail tells; in a sample by severity and state, where shared."""
    if body.mail_id:
        return links.findings(mail=body.mail_id)
    severities = {one.severity.value for one in items}
    is_over = all(one.move is Move.RESOLVED for one in items)
    return links.findings(
        tenant=body.tenant_id,
        severity=severities.pop() if len(severities) == 1 else "",
        state="resolved" if is_over else "",
    )


def _reminder(letter: Letter, body: Alert, items: Sequence[Item], clock: Clock) -> str:
    if body.reminder_at is None or not any(one.move in IS_OPEN for one in items):
        return ""
    at = clock.near(body.reminder_at, letter.at)
    return _("Next reminder at %s unless acknowledged.") % at


def _acts(items: Sequence[Item], body: Alert) -> tuple[Link, ...]:
    """Offer to acknowledge what is open, on a page that asks."""
    waiting = [one for one in items if _is_told_in_full(one)]
    if not waiting:
        return ()
    if len(waiting) == 1:
        return (Link(_("Acknowledge"), links.acknowledge(waiting[0].finding_id)),)
    return (Link(_("Acknowledge"), _all_of(waiting, body)),)
