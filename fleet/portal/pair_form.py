"""Add and edit a pair: one form over its target and itself, with secrets that only go in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Case, Q, When
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from checks.address import AddressError, parse_sentinels
from fleet.people.models import User
from fleet.portal import tenant_field
from fleet.portal.ladder_page import Shown, try_draft
from fleet.portal.manning import SEEN_WITHIN
from fleet.portal.scoped_admin import Rows
from fleet.portal.shared_copies import why_not_renamed
from fleet.portal.typed_secrets import sealed, sent_elsewhere
from fleet.portal.typed_urls import URLS
from fleet.registry.models import Pair, Target, Tenant, Worker, Zone

# The columns that a connection depends on: changing one asks for a new test.
CONNECTION = frozenset(
    {
        "zone",
        "redis_url",
        "redis_password",
        "redis_ca",
        "redis_tls_verify",
        "redis_tls_name",
        "sentinel_addresses",
        "sentinel_master",
        "emailengine_url",
        "emailengine_prefix",
        "metrics_token",
        "api_token",
    }
)
SECRETS = {
    "redis_password": _("Redis password"),
    "metrics_token": _("metrics token"),
    "api_token": _("API token"),
}
KEEP = _("One is stored; leave this empty to keep it.")
HELP = {
    "redis_password": _(
        "Write-only: sealed when saved, never shown. Operators may give a reference: env:NAME,"
        " file:/path."
    ),
    "metrics_token": _(
        "Scope metrics. Write-only. Without this or the API token, queues are not judged."
    ),
    "api_token": _(
        "Scope api, read of diagnostics. Write-only. Without this or the metrics token, queues are"
        " not judged."
    ),
}
OF_TARGET = ("name", "tenant", "environment", "zone", "labels")
LOCATION = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?")
LABEL = re.compile(r"\s*([^=,\s][^=,]*?)\s*=\s*([^,]*?)\s*")


class Secret(forms.CharField):
    """Goes in, never out: blank keeps what is stored."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
        super().__init__(required=False, strip=True, widget=widget, **kwargs)


def _text(label: Any, help_text: Any = "", **kwargs: Any) -> forms.CharField:
    return forms.CharField(
        label=label, help_text=help_text, widget=UnfoldAdminTextInputWidget(), **kwargs
    )


def _remove(label: Any) -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, widget=UnfoldBooleanWidget())


class PairForm(forms.ModelForm):  # type: ignore[type-arg]  # django-stubs' generic is not one at run time
    """What a person says about a pair. `rows` is set by the admin class to what they may choose."""

    rows: ClassVar[Rows]
    ladder: ClassVar[Shown | None] = None  # what try_connection gave, before the transaction

    name = _text(_("Name"), max_length=120)
    tenant: forms.ModelChoiceField[Tenant] = forms.ModelChoiceField(
        label=_("Tenant"), queryset=None
    )
    environment = _text(_("Environment"), max_length=40, initial="production")
    zone: forms.ModelChoiceField[Zone] = forms.ModelChoiceField(
        label=_("Probe zone"),
        queryset=None,
        widget=UnfoldAdminSelectWidget(),
        help_text=_("Where it is probed from."),
    )
    labels = _text(_("Labels"), _("name=value, separated by commas."), required=False)
    redis_password = Secret(label=_("Redis password"))
    remove_redis_password = _remove(_("Remove the stored password"))
    sentinel_addresses = _text(
        _("Sentinel addresses"), _("host:port, separated by commas."), required=False
    )
    metrics_token = Secret(label=_("Metrics token"))
    remove_metrics_token = _remove(_("Remove the stored metrics token"))
    api_token = Secret(label=_("API token"))
    remove_api_token = _remove(_("Remove the stored API token"))

    class Meta:
        model = Pair
        fields = (
            "redis_url",
            "redis_password",
            "redis_ca",
            "redis_tls_verify",
            "redis_tls_name",
            "redis_location",
            "sentinel_addresses",
            "sentinel_master",
            "emailengine_url",
            "emailengine_prefix",
            "emailengine_location",
            "metrics_token",
            "api_token",
            "expected_mailboxes",
            "expected_replicas",
        )
        widgets: ClassVar[dict[str, Any]] = {
            "redis_tls_verify": UnfoldBooleanWidget(),
            "redis_ca": UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
        }
        labels: ClassVar[dict[str, Any]] = {
            "redis_tls_verify": _("Verify the certificate"),
            "redis_tls_name": _("Certificate name"),
            "emailengine_prefix": _("Key prefix"),
            "sentinel_master": _("Sentinel master name"),
            "expected_mailboxes": _("Expected mailboxes"),
            "expected_replicas": _("Expected replicas"),
        }

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        files: Any = None,
        *,
        initial: Any = None,
        **kwargs: Any,
    ) -> None:
        instance = kwargs.get("instance")
        found = _initial_of(instance) if instance and instance.pk else {}
        self.url_errors: dict[str, str] = {}
        super().__init__(
            self._with_secret_moved(data) if data is not None else None,
            files,
            initial={**found, **(initial or {})},
            **kwargs,
        )
        self.target = instance.target if instance and instance.pk else Target()
        self._choose()
        self._say_what_is_stored()

    def _with_secret_moved(self, data: Mapping[str, Any]) -> MultiValueDict[str, Any]:
        """Move a password out of the Redis URL into its own field: no page sends it back."""
        moved: MultiValueDict[str, Any] = data.copy()  # type: ignore[attr-defined]
        for name, read in URLS.items():
            text = str(moved.get(name) or "")
            if text.strip():
                typed = read(text)
                moved[name], self.url_errors[name] = typed.shown, typed.error
                if typed.password and not moved.get("redis_password"):
                    moved["redis_password"] = typed.password
        return moved

    def _choose(self) -> None:
        self.fields["zone"].queryset = self.rows.choices(Zone)  # type: ignore[attr-defined]
        if self.instance.pk:
            tenant_field.keep(self.fields["tenant"], self.rows, self.target)
        else:
            tenant_field.offer(self.fields["tenant"], self.rows)
            self._suggest()

    def _suggest(self) -> None:
        """Offer the likely choices of a new pair; with no tenant yet, say how to make one."""
        self.initial.setdefault("zone", self._likely_zone())
        tenants = self.rows.choices(Tenant)[:2]
        if not tenants:
            self.fields["tenant"].help_text = _("None yet: add one with the button beside.")
        elif len(tenants) == 1:
            self.initial.setdefault("tenant", tenants[0])

    def _likely_zone(self) -> Zone | None:
        """Offer a zone whose worker is there and not blind; else where one was seen last."""
        sees = Q(
            last_seen_at__gte=timezone.now() - SEEN_WITHIN,
            blind_since=None,
            zone__blind_since=None,
        )
        workers = self.rows.of(Worker).select_related("zone")
        likely = workers.order_by(Case(When(sees, then=0), default=1), "-last_seen_at").first()
        return likely.zone if likely else self.rows.choices(Zone).first()

    def _say_what_is_stored(self) -> None:
        for name in SECRETS:
            stored = getattr(self.instance, name)
            self.fields[name].help_text = KEEP if stored else HELP[name]
            if not stored:
                del self.fields[f"remove_{name}"]

    # --- What each field must be

    def clean_redis_url(self) -> str:
        """Refuse what is no address, with the reason; store its canonical form without password."""
        return self._url("redis_url")

    def clean_emailengine_url(self) -> str:
        """Refuse what is no address; empty = not registered."""
        return self._url("emailengine_url")

    def clean_sentinel_addresses(self) -> list[str]:
        """Read host:port, host:port."""
        text = self.cleaned_data["sentinel_addresses"]
        try:
            return [_joined(host, port) for host, port in parse_sentinels(text)]
        except AddressError as error:
            raise ValidationError(str(error)) from None

    def clean_redis_password(self) -> str:
        """Seal it; blank keeps what is stored."""
        return self._sealed("redis_password")

    def clean_metrics_token(self) -> str:
        """Seal it; blank keeps what is stored."""
        return self._sealed("metrics_token")

    def clean_api_token(self) -> str:
        """Seal it; blank keeps what is stored."""
        return self._sealed("api_token")

    def clean_redis_location(self) -> str:
        """Read region or region/zone."""
        return self._location("redis_location")

    def clean_emailengine_location(self) -> str:
        """Read region or region/zone."""
        return self._location("emailengine_location")

    def clean_tenant(self) -> Tenant:
        """Refuse another tenant: who is told of a pair's past is decided by whose it is."""
        tenant: Tenant = self.cleaned_data["tenant"]
        asked = self.data.get(self.add_prefix("tenant"), "")
        if self.instance.pk and asked not in ("", str(tenant.pk)):
            raise ValidationError(tenant_field.why_refused(self.rows, self.target, asked))
        return tenant

    def clean_labels(self) -> dict[str, str]:
        """Read name=value, name=value."""
        text = self.cleaned_data["labels"]
        found = {}
        for part in filter(str.strip, text.split(",")):
            match = LABEL.fullmatch(part)
            if match is None:
                message = _("“%(part)s” is no label: write name=value.")
                raise ValidationError(message, params={"part": part.strip()})
            found[match[1]] = match[2]
        return found

    def clean(self) -> dict[str, Any]:
        """Hold fields against each other."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        for name in SECRETS:
            if values.get(f"remove_{name}"):
                if self.data.get(self.add_prefix(name)):
                    self.add_error(name, _("Give a new one or remove the stored one, not both."))
                values[name] = ""
        if "name" in self.changed_data and (why := why_not_renamed(self.rows, self.target)):
            self.add_error("name", why)
        for name, why in sent_elsewhere(self.rows, self.instance, values).items():
            self.add_error(name, why)
        if bool(values.get("sentinel_addresses")) != bool(values.get("sentinel_master")):
            missing = (
                "sentinel_master" if values.get("sentinel_addresses") else "sentinel_addresses"
            )
            self.add_error(missing, _("Sentinel needs both its addresses and the master's name."))
        return values

    def _url(self, name: str) -> str:
        if self.url_errors.get(name):
            raise ValidationError(self.url_errors[name])
        return str(self.cleaned_data[name]).strip()

    def _sealed(self, name: str) -> str:
        typed: str = self.cleaned_data[name]
        if not typed:
            return str(getattr(self.instance, name))
        return sealed(self.rows, typed)

    def _location(self, name: str) -> str:
        text: str = (self.cleaned_data[name] or "").strip()
        if text and not LOCATION.fullmatch(text):
            raise ValidationError(_("Write region or region/zone, such as eu-1/b."))
        return text

    # --- The target beside the pair

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        for name in OF_TARGET:
            if name in self.cleaned_data:
                setattr(self.target, name, self.cleaned_data[name])
        self.target.kind = Target.Kind.PAIR
        try:
            self.target.full_clean(exclude=set(OF_TARGET) & set(self.errors))
        except ValidationError as error:
            self.add_error(None, _at_fields(error))

    def is_valid(self) -> bool:
        """Hold the fields against their rules; a connection test that failed saves nothing."""
        return super().is_valid() and (self.ladder is None or self.ladder.ladder.is_ok)

    def try_connection(self, person: User) -> Shown | None:
        """Try what is about to be saved; None where there is nothing to try.

        Call it outside a transaction: a worker must see the test.
        """
        if not super().is_valid() or not self.wants_test:
            return None
        return try_draft(self.instance, self.target.zone, person)

    @property
    def wants_test(self) -> bool:
        """Tell whether there is something new to try, unless it is to be saved without."""
        return "_save_paused" not in self.data and self.changes_connection

    @property
    def secrets_changed(self) -> list[str]:
        """Words for the history: which secrets were replaced or removed."""
        found = []
        for name, word in SECRETS.items():
            if self.cleaned_data.get(f"remove_{name}"):
                found.append(f"{word} removed")
            elif self.data.get(self.add_prefix(name)):
                found.append(f"{word} replaced")
        return found

    @property
    def changes_connection(self) -> bool:
        """Tell whether it changes what a connection test would find."""
        removed = {f"remove_{name}" for name in SECRETS}
        return bool((CONNECTION | removed) & set(self.changed_data))


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def filled_like(pair: Pair) -> dict[str, Any]:
    """Give what the form of a new pair says at first, filled in like another but for tenant and secrets."""
    fields = {name: getattr(pair, name) for name in PairForm.Meta.fields}
    return {**fields, **_initial_of(pair), "tenant": None}


def _initial_of(pair: Pair) -> dict[str, Any]:
    target = pair.target
    return {
        "name": target.name,
        "tenant": target.tenant_id,
        "environment": target.environment,
        "zone": target.zone_id,
        "labels": ", ".join(f"{name}={value}" for name, value in target.labels.items()),
        "sentinel_addresses": ", ".join(pair.sentinel_addresses),
        **dict.fromkeys(SECRETS, ""),
    }


def _at_fields(error: ValidationError) -> ValidationError:
    """Put what is wrong with the target at its field; a name taken is the name's fault."""
    found = {}
    for name, messages in error.message_dict.items():
        found["name" if name == "__all__" else name] = messages
    return ValidationError(found)
