"""Turns a letter into a mail: subject, preheader, HTML and text, all from one document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from fleet.alerts import links
from fleet.alerts.channels import email
from fleet.alerts.letter import (
    Alert,
    Digest,
    Faults,
    Letter,
    Rendered,
    Report,
    Storm,
    Trial,
    Verification,
    Waivers,
)
from fleet.alerts.writing import alert, digest, notices, plain
from fleet.alerts.writing.document import Document, Link, Room
from fleet.alerts.writing.tame import clip, tame

# The mail as it goes out, encoded; below the 30 kB of ui §7 by what relays add to its headers.
MOST_BYTES: Final = 29_000
SUBJECT: Final = 150  # characters
PREHEADER: Final = 140
# From generous to bare: the first that keeps the mail small enough is used, and the last always does.
ROOMS: Final = (
    Room(entries=5, lines=24, text=300),
    Room(entries=5, lines=12, text=240),
    Room(entries=5, lines=6, text=160),
    Room(entries=3, lines=4, text=100),
    Room(entries=1, lines=2, text=50),
)
WRITERS: Final[Mapping[type, Callable[[Letter, Any, Room], Document]]] = {
    Alert: alert.document,
    Storm: notices.storm,
    Faults: notices.faults,
    Waivers: notices.waivers,
    Trial: notices.trial,
    Verification: notices.verification,
    Digest: digest.day,
    Report: digest.week,
}


def render(letter: Letter) -> Rendered:
    """Write a letter as a mail of at most 30 kB, HTML and text together.

    What there is no room for is counted and linked, never left out in silence.
    """
    for room in ROOMS:
        found = _rendered(letter, document_of(letter, room))
        if email.size_bytes(found) <= MOST_BYTES:
            break
    return found


def document_of(letter: Letter, room: Room = ROOMS[0]) -> Document:
    """Put a letter into blocks, with what stands below every message."""
    document = WRITERS[type(letter.body)](letter, letter.body, room)
    if isinstance(letter.body, Verification):
        return document
    reader = letter.reader
    return replace(
        document,
        why=_("You get this as %s.") % tame(reader.why, 200).rstrip("."),
        acts=(
            *document.acts,
            Link(_("Change"), links.change(reader.channel_id, reader.address)),
            Link(_("Stop these mails"), links.stop(reader.channel_id, reader.address)),
        ),
    )


def subject_of(document: Document) -> str:
    """Write the subject on one line: `[Critical] Northwind Mail: 2 pairs left compliance`."""
    parts = (
        f"[{document.prefix}] " if document.prefix else "",
        f"{document.about}: " if document.about else "",
        document.title,
    )
    return tame("".join(parts), SUBJECT)


def _rendered(letter: Letter, document: Document) -> Rendered:
    return Rendered(
        subject=subject_of(document),
        preheader=clip(document.preheader, PREHEADER),
        text=plain.write(document),
        html=_html(document),
        headers=_headers(letter),
    )


def _html(document: Document) -> str:
    """Fill the template; indentation is taken out, for a mail client shows none of it."""
    context = {"document": document, "preheader": clip(document.preheader, PREHEADER)}
    lines = render_to_string("alerts/mail.html", context).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip()) + "\n"


def _headers(letter: Letter) -> dict[str, str]:
    """Give a machine's headers (RFC 3834), and the one click that ends these mails (RFC 8058)."""
    headers = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
    if isinstance(letter.body, Verification):
        return headers
    reader = letter.reader
    return {
        **headers,
        "List-Unsubscribe": f"<{links.stop(reader.channel_id, reader.address)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
