"""Say who is told: the form of one channel, whose signing key only goes in."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar, Final
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from checks.catalog import RULES
from fleet.alerts.channels.webhook import UrlError, check_url
from fleet.alerts.models import Channel
from fleet.portal.facets import pair_facets
from fleet.portal.pair_form import Secret
from fleet.portal.scoped_admin import Rows
from fleet.portal.typed_secrets import sealed
from fleet.registry.models import FleetSettings, Tenant

SUBJECTS: Final = tuple(dict.fromkeys(rule.id.partition(".")[0] for rule in RULES))
SUBJECT_WORDS: Final = {
    "redis": gettext_lazy("Redis"),
    "pair": gettext_lazy("EmailEngine and Redis together"),
    "emailengine": gettext_lazy("EmailEngine"),
    "backup": gettext_lazy("Backups"),
}
KEY_BYTES: Final = 32
LEAST_KEY: Final = 16  # characters
KEPT: Final = gettext_lazy(
    "Its messages stay with who was told: for another, stop this one and add a channel."
)


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What a person says of a channel. `rows` is set by the admin class to what they may choose."""

    rows: ClassVar[Rows]

    tenant: forms.ModelChoiceField[Tenant] = forms.ModelChoiceField(
        label=gettext_lazy("About"), queryset=None, required=False, widget=UnfoldAdminSelectWidget()
    )
    environments = forms.MultipleChoiceField(
        label=gettext_lazy("Only these environments"),
        help_text=gettext_lazy("None ticked: all of them, new ones too."),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    subjects = forms.MultipleChoiceField(
        label=gettext_lazy("Only rules about"),
        help_text=gettext_lazy("None ticked: all rules."),
        required=False,
        choices=[(one, SUBJECT_WORDS.get(one, one)) for one in SUBJECTS],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=[(name, name) for name in sorted(available_timezones())],
        help_text=gettext_lazy("Of every instant in its messages, and of the digest's hour."),
        widget=UnfoldAdminSelectWidget(),
    )
    new_key = Secret(label=gettext_lazy("Signing key"))

    class Meta:
        model = Channel
        fields = (
            "kind",
            "tenant",
            "name",
            "address",
            "min_severity",
            "environments",
            "subjects",
            "time_zone",
            "has_digest",
            "digest_hour",
            "has_weekly",
        )
        widgets: ClassVar[dict[str, Any]] = {
            "kind": UnfoldAdminRadioSelectWidget(),
            "min_severity": UnfoldAdminSelectWidget(),
            "name": UnfoldAdminTextInputWidget(),
            "address": UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
            "digest_hour": UnfoldAdminSelectWidget(
                choices=[(hour, f"{hour:02}:00") for hour in range(24)]
            ),
            "has_digest": UnfoldBooleanWidget(),
            "has_weekly": UnfoldBooleanWidget(),
        }
        labels: ClassVar[dict[str, Any]] = {
            "has_digest": gettext_lazy("Daily digest"),
            "has_weekly": gettext_lazy("Weekly report, of a tenant"),
            "address": gettext_lazy("Address or URL"),
            "min_severity": gettext_lazy("How bad it must be"),
        }
        help_texts: ClassVar[dict[str, Any]] = {
            "name": gettext_lazy("Stands in every message: “You get this as …”."),
            "address": gettext_lazy(
                "One mail address, which is asked first; or the https:// URL of a webhook."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choose()
        self._say_of_the_key()

    def _choose(self) -> None:
        """Offer this person's tenants and the environments their pairs have."""
        tenant: Any = self.fields["tenant"]
        tenant.queryset = self.rows.choices(Tenant).order_by("name")
        tenant.empty_label = None
        if self.rows.may_edit(FleetSettings):
            tenant.empty_label = _("The operators: every tenant, and the portal itself")
        if self.instance.pk:
            tenant.disabled = True
            tenant.help_text = KEPT
        known = {*pair_facets(self.rows).environments, *self.instance.environments}
        environments: Any = self.fields["environments"]
        environments.choices = [(one, one) for one in sorted(known)]
        if not known:
            environments.help_text = _("No pair names one yet.")

    def _say_of_the_key(self) -> None:
        """Suggest a key made just now; what is stored is never shown."""
        if self.instance.key:
            told = _("One is stored; leave this empty to keep it. Webhooks alone are signed.")
            self.fields["new_key"].help_text = told
            return
        self.fields["new_key"].help_text = format_html(
            "{} <code class='pk-mono'>{}</code>",
            _("Of a webhook: signs every message. Write-only. One made just now, to copy:"),
            secrets.token_urlsafe(KEY_BYTES),
        )

    def clean_tenant(self) -> Tenant | None:
        """Refuse another tenant: who may read a channel's messages is decided by whose it is."""
        tenant: Tenant | None = self.cleaned_data["tenant"]
        asked = self.data.get(self.add_prefix("tenant"))
        if self.instance.pk and asked not in (None, str(tenant.pk) if tenant else ""):
            raise ValidationError(KEPT)
        return tenant

    def clean_address(self) -> str:
        """Refuse what is no mail address, or no webhook's URL."""
        text: str = self.cleaned_data["address"].strip()
        if self.cleaned_data.get("kind") == Channel.Kind.WEBHOOK:
            try:
                return str(check_url(text))
            except UrlError as error:
                raise ValidationError(_(str(error))) from None
        validate_email(text)
        return text

    def clean_new_key(self) -> str:
        """Refuse a key that can be guessed; seal it."""
        typed: str = self.cleaned_data["new_key"]
        if not typed:
            return ""
        if not typed.startswith(("env:", "file:")) and len(typed) < LEAST_KEY:
            told = _("The key has %(n)d characters; it must have at least %(least)d.")
            raise ValidationError(told % {"n": len(typed), "least": LEAST_KEY})
        return sealed(self.rows, typed)

    def clean(self) -> dict[str, Any]:
        """Hold fields against each other: whose channel, and what a webhook needs."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if (
            "tenant" in values
            and values["tenant"] is None
            and not self.rows.may_edit(FleetSettings)
        ):
            self.add_error("tenant", _("Choose the tenant whose findings are told."))
        is_webhook = values.get("kind") == Channel.Kind.WEBHOOK
        has_key = bool(values.get("new_key") or self.instance.key or "new_key" in self.errors)
        if is_webhook and not has_key:
            self.add_error("new_key", _("A webhook's messages are signed: give it a key."))
        if not is_webhook and values.get("new_key"):
            self.add_error("new_key", _("A mail is not signed with a key: leave this empty."))
        return values

    def _post_clean(self) -> None:
        if self.cleaned_data.get("new_key"):
            self.instance.key = self.cleaned_data["new_key"]
        self.is_moved = self.instance.pk is None or "address" in self.changed_data
        self.is_moved = self.is_moved or "kind" in self.changed_data
        super()._post_clean()  # type: ignore[misc]
        if self.is_moved:  # whoever agreed was the owner of another address
            self.instance.verified_at = None
