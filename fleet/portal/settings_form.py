"""The fleet's settings as a form: intervals in seconds, core rules, and how long history is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldBooleanWidget,
)

from checks.address import AddressError
from checks.catalog import RULES
from checks.facts import Engine
from checks.rule import Cadence
from fleet.inspections.blind import reference
from fleet.portal.shorter import lost
from fleet.registry.intervals import LEAST_S, MOST_S, Intervals, interval_s
from fleet.registry.models import FleetSettings

DEFAULT, UPSTASH = "default", Engine.UPSTASH.value
# Form field: the engine and the cadence that it sets.
FIELDS: Final[dict[str, tuple[str, Cadence]]] = {
    "health_s": (DEFAULT, Cadence.HEALTH),
    "latency_s": (DEFAULT, Cadence.LATENCY),
    "persistence_s": (DEFAULT, Cadence.PERSISTENCE),
    "stats_s": (DEFAULT, Cadence.STATS),
    "upstash_health_s": (UPSTASH, Cadence.HEALTH),
    "upstash_latency_s": (UPSTASH, Cadence.LATENCY),
}


# The finer outlasts no coarser: two fields, and what is said where the first has more days.
OUTLASTING: Final = {
    ("raw_days", "hourly_days"): _(
        "Visits kept for %(days)s days would outlast their hours, which are kept for %(most)s."
    ),
    ("hourly_days", "daily_days"): _(
        "Hours kept for %(days)s days would outlast their days, which are kept for %(most)s."
    ),
}
OF_THE_CATALOGUE: Final = [rule.id for rule in RULES if rule.is_core]


def _seconds(label: Any, help_text: Any = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        help_text=help_text,
        min_value=LEAST_S,
        max_value=MOST_S,
        widget=UnfoldAdminIntegerFieldWidget(),
    )


if TYPE_CHECKING:
    _Form = forms.ModelForm[FleetSettings]
else:
    _Form = forms.ModelForm


class SettingsForm(_Form):
    """Intervals are one JSON column; each that a person may set is a field here."""

    health_s = _seconds(_("Health"), _("Connect, sign in, PING, INFO; EmailEngine's /health."))
    latency_s = _seconds(_("Latency"), _("Ten PINGs, timed by the kernel."))
    persistence_s = _seconds(
        _("Configuration and persistence"), _("Named CONFIG parameters and CLIENT LIST.")
    )
    stats_s = _seconds(
        _("EmailEngine's statistics"),
        _("About 70 Redis commands a round, and they write: not too often."),
    )
    upstash_health_s = _seconds(_("Health on Upstash"), _("Upstash bills every command."))
    upstash_latency_s = _seconds(_("Latency on Upstash"))

    core_rules = forms.MultipleChoiceField(
        label=_("Core rules"),
        help_text=_(
            "Where one of these cannot be verified, the pair is unverified or its health unknown. "
            "What cannot be verified of the others lowers coverage only."
        ),
        choices=[(rule.id, rule.id) for rule in RULES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    drops = forms.BooleanField(
        label=_("Drop what is older, for good"),
        help_text=_("It goes within hours: two days of visits and two months of figures an hour."),
        required=False,
        widget=UnfoldBooleanWidget(),
    )

    class Meta:
        model = FleetSettings
        fields = [
            "raw_days",
            "hourly_days",
            "daily_days",
            "mail_days",
            "core_rules",
            "reference_address",
            "critical_waiver_days",
            "warning_waiver_days",
            "second_person",
            "maintenance_hours",
        ]
        help_texts = {
            "raw_days": _("1 to 90: every visit, for charts of 24 h and to work hours out again."),
            "hourly_days": _("7 to 730: charts of 7 d and 30 d."),
            "daily_days": _("90 to 3,650: charts of 90 d and 2 y, daily scores."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (engine, cadence) in FIELDS.items():
            self.fields[name].initial = interval_s(self.instance.intervals, cadence, engine)
        if self.instance.core_rules is None:
            self.initial["core_rules"] = OF_THE_CATALOGUE

    def clean_core_rules(self) -> list[str] | None:
        """Store None for the catalogue's own choice, so that a later catalogue may change it."""
        chosen: list[str] = self.cleaned_data["core_rules"]
        return None if set(chosen) == set(OF_THE_CATALOGUE) else chosen

    def clean_reference_address(self) -> str:
        """Refuse what is no host and port."""
        text: str = self.cleaned_data["reference_address"].strip()
        try:
            reference(text)
        except AddressError as error:
            raise forms.ValidationError(str(error)) from None
        return text

    def clean(self) -> dict[str, Any]:
        """Lay the fields over the stored intervals; overrides that have no field here stay."""
        cleaned = super().clean() or self.cleaned_data
        intervals: Intervals = {key: dict(own) for key, own in self.instance.intervals.items()}
        for name, (engine, cadence) in FIELDS.items():
            if name in cleaned:
                intervals.setdefault(engine, {})[cadence.value] = cleaned[name]
        self._check_history(cleaned)
        self.instance.intervals = intervals
        return cleaned

    def _check_history(self, cleaned: dict[str, Any]) -> None:
        """Refuse visits that outlast their hours, hours that outlast their days, and a loss unasked for."""
        for (name, longer), text in OUTLASTING.items():
            days, most = cleaned.get(name), cleaned.get(longer)
            if days and most and days > most:
                self.add_error(name, text % {"days": days, "most": most})
        if not cleaned.get("drops"):
            for name, why in lost(self.instance, cleaned, timezone.now()).items():
                self.add_error(name, why)
