"""Channels, and the log of every message."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy

from fleet.alerts.models import Channel, Mail
from fleet.portal import channel_acts, channel_list, mail_list, mail_page
from fleet.portal.channel_form import ChannelForm
from fleet.portal.row_list import CappedPaginator, RowListAdmin
from fleet.portal.scoped_admin import rows_of


@admin.register(Channel)
class ChannelAdmin(RowListAdmin):
    """Who is told: the list, and the form behind each."""

    form = ChannelForm
    list_title = gettext_lazy("Channels: who is told")
    none_yet = gettext_lazy("No channel yet: nobody is told when a pair fails.")
    none_matches = gettext_lazy("No channel matches.")
    change_form_template = "portal/channels/form.html"
    list_before_template = "portal/channels/above.html"
    list_display = (
        channel_list.name_cell,
        channel_list.about_cell,
        channel_list.hears_cell,
        channel_list.digest_cell,
        channel_list.state_cell,
        channel_list.last_cell,
    )
    list_filter = (mail_list.MailTenantFilter,)
    list_select_related = ("tenant",)
    search_fields = ("name", "address", "tenant__name")
    search_help_text = gettext_lazy("Name, address or tenant")
    ordering = ("tenant__name", "name", "pk")
    actions = None
    fieldsets = (
        (
            gettext_lazy("Who"),
            {"fields": ("kind", ("name", "tenant"), "address", "new_key")},
        ),
        (
            gettext_lazy("What they hear"),
            {"fields": ("min_severity", ("environments", "subjects"))},
        ),
        (
            gettext_lazy("When"),
            {"fields": (("has_digest", "has_weekly"), ("digest_hour", "time_zone"))},
        ),
    )

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Say that mail is not set up, where that is so."""
        return mail_list.above(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Add the last message of each."""
        return channel_list.with_last_mail(super().get_queryset(request), rows_of(request))

    def get_form(
        self, request: HttpRequest, obj: Channel | None = None, **kwargs: Any
    ) -> type[forms.ModelForm[Channel]]:
        """Give the form what this person may choose."""
        made = super().get_form(request, obj, **kwargs)
        return type(made.__name__, (made,), {"rows": rows_of(request)})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with the time zone of whoever fills it in."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"time_zone": getattr(request.user, "time_zone", "UTC"), **given}

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Add the state and the buttons above the fields."""
        channel = kwargs.get("obj")
        if channel is not None:
            context["state"] = channel_list.state_mark(channel)
            context["whose"] = channel_list.whose(channel)
            context["may_edit"] = self.has_change_permission(request, channel)
        answer: HttpResponse = super().render_change_form(request, context, **kwargs)
        return answer

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: Any) -> None:
        """Save, and ask the owner of a new address once that is committed."""
        super().save_model(request, obj, form, change)
        if form.is_moved:
            transaction.on_commit(partial(channel_acts.verify, request, obj))

    def log_addition(self, *args: Any) -> None:
        """Leave Django's own log empty: the history of the models knows more."""

    def log_change(self, *args: Any) -> None:
        """Leave Django's own log empty: the history of the models knows more."""

    def get_urls(self) -> list[URLPattern]:
        """Add what the buttons do."""
        return [
            path("<int:channel_id>/<slug:what>/act/", channel_acts.act, name="alerts_channel_act"),
            *super().get_urls(),
        ]


@admin.register(Mail)
class MailAdmin(RowListAdmin):
    """The deliveries log, and the page of one message. Nobody edits a message."""

    list_title = gettext_lazy("Deliveries")
    row_page = staticmethod(mail_page.show)
    none_yet = gettext_lazy("No message yet. There is one once something happens.")
    none_matches = gettext_lazy("No message matches.")
    list_before_template = "portal/mails/above.html"
    list_display = (
        mail_list.when_cell,
        mail_list.subject_cell,
        mail_list.to_cell,
        mail_list.state_cell,
        mail_list.answer_cell,
    )
    paginator = CappedPaginator
    list_filter = (
        mail_list.MailStateFilter,
        mail_list.MailKindFilter,
        mail_list.ChannelFilter,
        mail_list.MailTenantFilter,
    )
    list_select_related = ("channel", "tenant")
    search_fields = ("subject", "channel__name", "channel__address")
    search_help_text = gettext_lazy("Subject, channel or address")
    ordering = ("-made_at", "-pk")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave the bodies where they are."""
        found: QuerySet[Any] = super().get_queryset(request)
        return found.defer("text", "html", "covers", "finding_ids")

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Say that mail is not set up, where that is so."""
        return mail_list.above(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: messages are made by what happens."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add what is done with a message that was given up."""
        return [
            path("<int:mail_id>/<slug:what>/again/", mail_page.retry, name="alerts_mail_retry"),
            *super().get_urls(),
        ]
