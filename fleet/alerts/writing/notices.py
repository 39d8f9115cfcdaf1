"""Notices as documents: a fleet storm, portal alarms, waivers that end, a test, an address to verify."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checks import remedy
from checks.catalog import BY_ID
from fleet.alerts import links
from fleet.alerts.letter import (
    EndingWaiver,
    Fault,
    Faults,
    Letter,
    Storm,
    Trial,
    Verification,
    Waivers,
)
from fleet.alerts.writing import words
from fleet.alerts.writing.document import (
    Block,
    Button,
    Document,
    Entry,
    Heading,
    Line,
    Link,
    Mark,
    More,
    Paragraph,
    Room,
    Row,
    Rows,
)
from fleet.alerts.writing.tame import tame
from fleet.alerts.writing.words import Clock

NAME: Final = 80  # characters of a tenant's or a channel's name
FEW: Final = 3


def storm(letter: Letter, body: Storm, room: Room) -> Document:
    """Tell operators once that a large part of the fleet changed."""
    clock = Clock.of(letter.reader.time_zone)
    zone = tame(body.zone, NAME)
    is_over = body.recovered_count >= body.changed_count
    fleet = links.findings(mail=body.mail_id) if body.mail_id else links.findings(zone=body.zone)
    return Document(
        prefix=_("Fleet"),
        about="",
        title=_storm_title(body, zone, is_over=is_over),
        preheader=words.listed([tame(one.tenant, NAME) for one in body.tenants], 5),
        at=clock.full(letter.at),
        lead=_storm_lead(body, clock),
        tone="good" if is_over else "bad",
        blocks=(
            Heading(_("Rules")),
            *_counted(body, room),
            Heading(_("Tenants")),
            Rows(
                tuple(
                    Row(tame(one.tenant, NAME), words.pairs(one.pairs_count))
                    for one in body.tenants[: room.lines]
                )
            ),
            *_more(len(body.tenants) - room.lines, fleet),
            Button(Link(_("Open these findings"), fleet)),
        ),
    )


def _storm_title(body: Storm, zone: str, *, is_over: bool) -> str:
    values = {"n": words.pairs(body.changed_count), "zone": zone}
    if is_over:
        text = _("%(n)s back in zone %(zone)s") if zone else _("%(n)s back")
    else:
        text = _("%(n)s changed in zone %(zone)s") if zone else _("%(n)s changed")
    return text % values


def _storm_lead(body: Storm, clock: Clock) -> str:
    values = {
        "changed": f"{body.changed_count:,}",
        "pairs": words.pairs(body.pairs_count),
        "since": clock.short(body.since),
        "back": f"{body.recovered_count:,}",
    }
    text = _("%(changed)s of %(pairs)s changed since %(since)s, %(back)s of them are back.")
    return text % values + " " + _("So many at once are told to operators in one mail.")


def _counted(body: Storm, room: Room) -> Iterable[Block]:
    whole = {"mail": body.mail_id, "zone": body.zone}
    for one in body.rules[: room.lines]:
        yield Line(
            mark=words.OF_SEVERITY[one.severity],
            title=words.pairs(one.pairs_count),
            text=title_of(one.rule_id),
            url=links.findings(rule=one.rule_id, **whole),
        )
    yield from _more(len(body.rules) - room.lines, links.findings(**whole))


def title_of(rule_id: str) -> str:
    """Write a rule's title and id: `Redis never evicts keys (redis.eviction-policy)`."""
    rule = BY_ID.get(rule_id)
    shown = tame(rule_id, NAME)
    return f"{remedy.title(rule)} ({shown})" if rule else shown


def _more(count: int, url: str) -> Iterable[Block]:
    if count > 0:
        yield More(_("and %s more") % f"{count:,}", url)


def faults(letter: Letter, body: Faults, room: Room) -> Document:
    """Tell operators what is wrong with the portal itself, and what mends it."""
    clock = Clock.of(letter.reader.time_zone)
    found = sorted(body.faults, key=lambda one: one.ended_at is not None)
    is_over = all(one.ended_at for one in found)
    return Document(
        prefix=_("Portal"),
        about="",
        title=_faults_title(found, is_over=is_over),
        preheader=words.listed([tame(one.text, NAME) for one in found], FEW),
        at=clock.full(letter.at),
        lead=_("This is about Pairkeeper itself, not about a pair."),
        tone="good" if is_over else "bad",
        blocks=(
            *(_fault(one, clock, room) for one in found[: room.lines]),
            *_more(len(found) - room.lines, links.overview()),
            Button(Link(_("Open the overview"), links.overview())),
        ),
    )


def _faults_title(found: Sequence[Fault], *, is_over: bool) -> str:
    first = tame(found[0].text, 100) if found else ""
    if len(found) == 1:
        return _("Over: %s") % first if is_over else first.rstrip(".")
    text = _("%(n)d alarms are over: %(first)s") if is_over else _("%(n)d alarms: %(first)s")
    return text % {"n": len(found), "first": first}


def _fault(one: Fault, clock: Clock, room: Room) -> Entry:
    over = Mark("✓", _("Over"), "good")
    since = clock.short(one.since)
    if one.ended_at is not None:
        since += ", " + _("over after %s") % words.span(one.since, one.ended_at)
    return Entry(
        mark=over if one.ended_at else Mark("■", _("Alarm"), "bad"),
        title=tame(one.key, NAME),
        message=tame(one.text, 2 * room.text),
        since=since,
        after="" if one.ended_at else _("What to do: %s") % tame(one.cure, 2 * room.text),
    )


def waivers(letter: Letter, body: Waivers, room: Room) -> Document:
    """Tell that waivers end soon, after which their findings count again."""
    clock = Clock.of(letter.reader.time_zone)
    found = sorted(body.waivers, key=lambda one: one.expires_at)
    n = len(found)
    last_s = max((one.expires_at - letter.at).total_seconds() for one in found)
    days = max(-int(-last_s // 86400), 1)
    title = ngettext(
        "%(n)s waiver ends within %(days)s d", "%(n)s waivers end within %(days)s d", n
    )
    return Document(
        prefix=_("Waiver"),
        about=tame(body.tenant, 60),
        title=title % {"n": f"{n:,}", "days": days},
        preheader=words.listed([tame(one.scope, NAME) for one in found], 5),
        at=clock.full(letter.at),
        lead=_(
            "When a waiver ends its findings count again, and alert again. "
            "Renew it, or put right what it covers."
        ),
        tone="note",
        blocks=(
            *ending(found, clock, room),
            *_more(len(found) - room.lines, links.waivers()),
        ),
    )


def ending(found: Sequence[EndingWaiver], clock: Clock, room: Room) -> Iterable[Line]:
    """Write each waiver in two lines: what it covers, until when, and why it was given."""
    for one in found[: room.lines]:
        values = {
            "rule": title_of(one.rule_id),
            "at": clock.full(one.expires_at),
            "covers": ngettext("%(n)d finding", "%(n)d findings", one.findings_count)
            % {"n": one.findings_count},
            "reason": tame(one.reason, room.text),
        }
        text = _("%(rule)s ends %(at)s, covers %(covers)s. Reason: %(reason)s") % values
        if one.requested_by:
            text += " " + _("(asked for by %s)") % tame(one.requested_by, NAME)
        yield Line(
            mark=Mark("□", _("Waiver"), "note"),
            title=tame(one.scope, NAME),
            text=text,
            url=links.waiver(one.waiver_id),
        )


def trial(letter: Letter, body: Trial, _room: Room) -> Document:
    """Show that messages arrive."""
    values = {"channel": tame(body.channel, NAME), "person": tame(body.asked_by, NAME)}
    return Document(
        prefix=_("Test"),
        about="",
        title=_("Pairkeeper reaches this address"),
        preheader=_("Nothing is wrong with any pair."),
        at=Clock.of(letter.reader.time_zone).full(letter.at),
        lead=_("Nothing is wrong with any pair: this is a test."),
        tone="good",
        blocks=(
            Paragraph(
                _("%(person)s asked for it, to see that the channel %(channel)s works.") % values
            ),
            Button(Link(_("Open Pairkeeper"), links.overview())),
        ),
    )


def verification(letter: Letter, body: Verification, _room: Room) -> Document:
    """Ask the owner of an address whether mails may go there."""
    reader = letter.reader
    values = {
        "person": tame(body.asked_by, NAME),
        "tenant": tame(body.tenant, NAME),
        "address": tame(reader.address, NAME),
        "hours": body.hours,
    }
    whose = _("about %(tenant)s") if body.tenant else _("about the fleet and the portal itself")
    asked = _("%(person)s wants Pairkeeper to mail %(address)s ") + whose + "."
    return Document(
        prefix="",
        about="",
        title=_("Confirm that Pairkeeper may mail this address"),
        preheader=asked % values,
        at=Clock.of(reader.time_zone).full(letter.at),
        lead=asked % values,
        tone="note",
        blocks=(
            Button(
                Link(_("Confirm this address"), links.verify(reader.channel_id, reader.address))
            ),
            Paragraph(
                _(
                    "The link holds for %(hours)s h and opens a page that asks once more. "
                    "If you did not expect this mail, do nothing: nothing more will be sent."
                )
                % values
            ),
        ),
    )
