"""The deliveries log: every message, to whom, what became of it, and what the server said last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.alerts.models import Channel, Mail
from fleet.portal import figures
from fleet.portal.channel_list import TWO_LINES, mail_mark, shown_address
from fleet.portal.filters import Choices, SelectFilter, TenantFilter
from fleet.portal.scoped_admin import rows_of
from fleet.registry.scoping import EVERYTHING


class MailStateFilter(SelectFilter):
    """What became of it."""

    title = gettext_lazy("state")
    parameter_name = "state"
    path = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return Mail.State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Count what is being sent just now among what waits: nobody looks for it apart."""
        if self.value() == Mail.State.WAITING:
            return queryset.filter(state__in=[Mail.State.WAITING, Mail.State.LEASED])
        return super().queryset(request, queryset)


class MailKindFilter(SelectFilter):
    """What it is about."""

    title = gettext_lazy("kind")
    parameter_name = "kind"
    path = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return Mail.Kind.choices


class ChannelFilter(SelectFilter):
    """To whom it goes."""

    title = gettext_lazy("channel")
    parameter_name = "channel"
    path = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        found: Iterable[Channel] = rows_of(request).of(Channel).order_by("name")[:200]
        return [(str(one.pk), one.name) for one in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Find nothing for what is no channel's number."""
        value = self.value() or ""
        return (
            queryset.none()
            if value and not value.isdecimal()
            else super().queryset(request, queryset)
        )


class MailTenantFilter(TenantFilter):
    """Whose findings it tells."""

    path = "tenant"


@admin.display(description=gettext_lazy("When"), ordering="made_at")
def when_cell(mail: Mail) -> SafeString:
    """Say how long ago it was made; of what waits, when it is tried next."""
    now = mail.now  # type: ignore[attr-defined]
    below = ""
    if mail.state == Mail.State.WAITING and mail.next_attempt_at > now:
        below = _("next try at %s") % figures.clock(mail.next_attempt_at)
    return format_html(TWO_LINES, figures.ago(mail.made_at, now), below)


@admin.display(description=gettext_lazy("Message"))
def subject_cell(mail: Mail) -> SafeString:
    """Link the subject; the kind below."""
    return format_html(
        '<a class="pk-name pk-line1" href="{}">{}</a><span class="pk-line2">{}</span>',
        reverse("admin:alerts_mail_change", args=[mail.pk]),
        mail.subject or _("Not written yet"),
        mail.get_kind_display(),
    )


@admin.display(description=gettext_lazy("To"), ordering="channel__name")
def to_cell(mail: Mail) -> SafeString:
    """Name the channel; its address below."""
    channel = mail.channel
    return format_html(
        '<a class="pk-line1" href="{}">{}</a><span class="pk-line2">{}</span>',
        reverse("admin:alerts_channel_change", args=[channel.pk]),
        channel.name,
        shown_address(channel),
    )


@admin.display(description=gettext_lazy("State"), ordering="state")
def state_cell(mail: Mail) -> SafeString:
    """Mark what became of it; the attempts below."""
    tries = _("%(n)d tries") % {"n": mail.attempts} if mail.attempts > 1 else ""
    return format_html(
        '<span class="pk-line1">{}</span><span class="pk-line2">{}</span>',
        mail_mark(mail.state),
        tries,
    )


@admin.display(description=gettext_lazy("Last answer"))
def answer_cell(mail: Mail) -> SafeString:
    """Show what the server said last."""
    if said := mail.error or mail.answer:
        return format_html('<span class="pk-answercell">{}</span>', said)
    return format_html('<span class="pk-answercell pk-none">{}</span>', _("none"))


def above(request: HttpRequest) -> dict[str, Any]:
    """Say above the list whether mail is set up at all, and where previews are."""
    return {"has_mail": settings.HAS_MAIL, "sees_fleet": rows_of(request).seen == EVERYTHING}
