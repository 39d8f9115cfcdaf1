"""One finding as blocks of a message: in full with what to do, in two lines, or grouped by rule."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _

from checks import remedy
from checks.catalog import BY_ID
from checks.facts import Engine
from checks.placement import Piece, Server
from checks.remedy import RenderedRemediation
from fleet.alerts import links
from fleet.alerts.letter import Item, Move
from fleet.alerts.writing import words
from fleet.alerts.writing.document import Entry, Fact, Line, Link, Mark, Room
from fleet.alerts.writing.tame import clip, masked, tame
from fleet.alerts.writing.words import Clock

logger = logging.getLogger(__name__)

NAME: Final = 80  # characters of a pair's name
LONGEST_STEPS: Final = 700  # characters of commands; more belongs on the page
NAMES: Final = 8  # pairs named in a group
MAKES: Final = {one.value: one for one in Engine}


def name_of(item: Item) -> str:
    """Write the pair's name."""
    return tame(item.pair, NAME)


def mark_of(item: Item) -> Mark:
    """Mark what happened: its severity while it is open, else the move."""
    return words.OF_MOVE.get(item.move) or words.OF_SEVERITY[item.severity]


def entry(item: Item, clock: Clock, room: Room) -> Entry:
    """Write one finding in full."""
    found = remedy_of(item)
    steps = steps_of(found)
    return Entry(
        mark=mark_of(item),
        title=name_of(item),
        message=tame(item.message, room.text),
        since=clock.short(item.opened_at),
        facts=(
            Fact(_("Observed"), tame(item.observed, room.text), mark_of(item).tone),
            Fact(_("Required"), tame(item.required, room.text)),
        ),
        rule=tame(item.rule_id, NAME),
        do=_do(found, steps),
        steps=steps,
        after=_after(found, room),
        link=Link(_("Make it last, verify, undo"), links.finding(item.finding_id)),
    )


def group(items: Sequence[Item], clock: Clock, room: Room, url: str) -> Entry:
    """Write several findings of one rule as one entry; a command only where all share it."""
    first = items[0]
    remedies = [remedy_of(one) for one in items]
    all_steps = {steps_of(one) for one in remedies}
    makes = {one.engine_label for one in remedies if one}
    steps = steps_of(remedies[0]) if len(all_steps) == 1 else ()
    head = remedies[0]
    return Entry(
        mark=mark_of(first),
        title=words.pairs(len({one.pair for one in items})),
        message=tame(head.do if head else first.message, room.text),
        since=clock.short(min(one.opened_at for one in items)),
        facts=(
            Fact(_("Pairs"), words.listed([name_of(one) for one in items], NAMES)),
            Fact(_("Observed"), _several((one.observed for one in items), room), "bad"),
            Fact(_("Required"), _several((one.required for one in items), room)),
        ),
        rule=tame(first.rule_id, NAME),
        do=_do(head, steps) if len(makes) == 1 else _("Do now:") if steps else "",
        steps=steps,
        after=_after(head, room)
        if steps
        else _("The command differs from pair to pair: each finding shows its own."),
        link=Link(_("Open these findings"), url),
    )


def line(item: Item, clock: Clock, room: Room) -> Line:
    """Write one finding in two lines."""
    return Line(
        mark=mark_of(item),
        title=name_of(item),
        text=tame(_said(item, clock), 2 * room.text),
        url=links.finding(item.finding_id),
    )


def _said(item: Item, clock: Clock) -> str:
    message = (item.short or item.message).rstrip(".")
    if item.move is Move.RESOLVED:
        return _was(item, message)
    texts = {
        Move.OPENED: _("%(message)s; required %(required)s"),
        Move.WORSE: _("%(message)s; required %(required)s; warning before"),
        Move.EASED: _("%(message)s; required %(required)s; critical before"),
        Move.STILL: _("%(message)s; required %(required)s; since %(since)s"),
        Move.STALE: _("No conclusive reading any more. Last: %(message)s; since %(since)s"),
        Move.FRESH: _("Read again: %(message)s; since %(since)s"),
        Move.FLAPPING: _("Comes and goes: %(message)s. Quiet until it has been calm for a while"),
        Move.CALM: _("Comes and goes no more: %(message)s"),
    }
    return texts[item.move] % {
        "message": message,
        "required": item.required,
        "since": clock.short(item.opened_at),
    }


def _was(item: Item, message: str) -> str:
    """Say of a resolved finding how long it lasted, and how bad it got."""
    ended_at: datetime = item.resolved_at or item.opened_at
    values = {
        "message": message,
        "span": words.span(item.opened_at, ended_at),
        "worst": item.worst,
    }
    if item.worst:
        return _("Over after %(span)s, worst %(worst)s. It was: %(message)s") % values
    return _("Over after %(span)s. It was: %(message)s") % values


def remedy_of(item: Item) -> RenderedRemediation | None:
    """Render what to do; None for a rule that is no more, or evidence of another shape."""
    rule = BY_ID.get(item.rule_id)
    if rule is None:
        return None
    make = MAKES.get(item.engine, Engine.UNKNOWN)
    server = Server(make, item.engine_version[:NAME])
    try:
        return remedy.render(rule, item.cause, item.evidence, server, item.limits)
    except (TypeError, ValueError) as error:  # evidence that an older version recorded
        logger.warning(
            "no remediation rule=%s finding=%s: %s", rule.id, item.finding_id, type(error).__name__
        )
        return None


def steps_of(found: RenderedRemediation | None) -> tuple[Piece, ...]:
    """Keep what to do now; what is too long for a mail stands on the page alone."""
    if found is None:
        return ()
    steps = tuple(Piece(masked(one.text), one.is_code) for one in found.now)
    return steps if sum(len(one.text) for one in steps) <= LONGEST_STEPS else ()


def _do(found: RenderedRemediation | None, steps: tuple[Piece, ...]) -> str:
    if found is None or not steps:
        return ""
    if found.engine_label.startswith(Engine.UNKNOWN.label):
        return _("Do now:")
    return _("Do now, on %(server)s:") % {"server": tame(found.engine_label, NAME)}


def _after(found: RenderedRemediation | None, room: Room) -> str:
    if found is None:
        return ""
    effect = found.effect.value.capitalize()
    return clip(masked(f"{effect}. {found.risk}".strip()), 2 * room.text)


def _several(values: Iterable[str], room: Room) -> str:
    distinct = list(dict.fromkeys(tame(one, room.text) for one in values))
    return clip(words.listed(distinct, 3), room.text)
