"""The list of channels: who is told, of what, and whether it arrives."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.alerts.models import Channel, Mail
from fleet.portal import addresses, figures, marks
from fleet.portal.scoped_admin import Rows

TWO_LINES: Final = '<span class="pk-line1">{}</span><span class="pk-line2">{}</span>'
MAIL_MARKS: Final = {
    Mail.State.WAITING: "pending",
    Mail.State.LEASED: "pending",
    Mail.State.SENT: "pass",
    Mail.State.DEAD: "critical",
    Mail.State.CANCELLED: "not_applicable",
}


def with_last_mail(channels: QuerySet[Channel], rows: Rows) -> QuerySet[Channel]:
    """Add the last message of each: when it was made, and its state."""
    last = rows.of(Mail).filter(channel=OuterRef("pk")).order_by("-made_at")
    return channels.annotate(
        last_made_at=Subquery(last.values("made_at")[:1]),
        last_state=Subquery(last.values("state")[:1]),
    )


def state_mark(channel: Channel) -> SafeString:
    """Say whether anything goes there."""
    if channel.stopped_at:
        return marks.mark("paused", _("Stopped"))
    if channel.verified_at is None:
        return marks.mark("not_verified", _("Not confirmed"))
    return marks.mark("pass", _("In use"))


def shown_address(channel: Channel) -> str:
    """Write where it goes; of a URL the host alone, for the rest may be a secret."""
    if channel.kind == Channel.Kind.EMAIL:
        return channel.address
    parts = urlsplit(channel.address)
    return f"{parts.scheme}://{parts.hostname}/…"


def whose(channel: Channel) -> str:
    """Name the tenant, or the operators."""
    return channel.tenant.name if channel.tenant else _("Operators: the whole fleet")


def mail_mark(state: str) -> SafeString:
    """Mark a message's state."""
    found = Mail.State(state)
    return marks.mark(MAIL_MARKS[found], str(found.label))


@admin.display(description=gettext_lazy("Channel"), ordering="name")
def name_cell(channel: Channel) -> SafeString:
    """Link the channel; where it goes below."""
    return format_html(
        '<a class="pk-name pk-line1" href="{}">{}</a><span class="pk-line2">{}</span>',
        reverse("admin:alerts_channel_change", args=[channel.pk]),
        channel.name,
        shown_address(channel),
    )


@admin.display(description=gettext_lazy("About"), ordering="tenant__name")
def about_cell(channel: Channel) -> SafeString:
    """Name whose findings it is told."""
    return format_html(TWO_LINES, whose(channel), channel.get_kind_display())


@admin.display(description=gettext_lazy("Hears"))
def hears_cell(channel: Channel) -> SafeString:
    """Say how bad it must be, and what narrows it."""
    narrowed = [*channel.environments, *channel.subjects]
    below = ", ".join(narrowed) if narrowed else _("every environment and rule")
    return format_html(TWO_LINES, channel.get_min_severity_display(), below)


@admin.display(description=gettext_lazy("Digest"), ordering="digest_hour")
def digest_cell(channel: Channel) -> SafeString:
    """Say when the daily digest comes."""
    daily = _("%(hour)02d:00") % {"hour": channel.digest_hour} if channel.has_digest else _("none")
    return format_html(TWO_LINES, daily, channel.time_zone)


@admin.display(description=gettext_lazy("State"))
def state_cell(channel: Channel) -> SafeString:
    """Say whether anything goes there, and why not."""
    return state_mark(channel)


@admin.display(description=gettext_lazy("Last message"), ordering="last_made_at")
def last_cell(channel: Channel) -> SafeString:
    """Lead to what was sent there."""
    made_at = channel.last_made_at  # type: ignore[attr-defined]
    if made_at is None:
        return format_html('<span class="pk-line1 pk-quiet">{}</span>', _("none yet"))
    return format_html(
        '<a class="pk-line1" href="{}">{}</a><span class="pk-line2">{}</span>',
        addresses.mails(channel=channel.pk),
        figures.ago(made_at, channel.now),  # type: ignore[attr-defined]
        mail_mark(channel.last_state),  # type: ignore[attr-defined]
    )
