"""An instant as a person types it: in their time zone or in UTC, by a clock that may jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.registry.instants import instant

FORMATS: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S")
OWN, UTC_ZONE = "own", "utc"
YEARS: Final = range(2000, 2200)  # a slip of the finger, else: no zone has rules for it


class MomentField(forms.CharField):
    """A date and time; `read` gives the instant once the form knows the zone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.DateTimeInput(attrs={"type": "datetime-local"}), **options)


def zones() -> list[tuple[str, str]]:
    """Offer the person's time zone, and UTC beside it."""
    name = timezone.get_current_timezone_name()
    return [(OWN, name)] if name == "UTC" else [(OWN, name), (UTC_ZONE, "UTC")]


def zone_named(choice: str) -> ZoneInfo:
    """Give the time zone that was chosen."""
    name = "UTC" if choice == UTC_ZONE else timezone.get_current_timezone_name()
    return ZoneInfo(name)


def typed(at: datetime) -> str:
    """Write an instant as the field takes it, in the person's time zone."""
    return timezone.localtime(at).strftime(FORMATS[0])


def both(at: datetime) -> str:
    """Write an instant in the person's time zone, and in UTC where that is another."""
    own = instant(at)
    with timezone.override(UTC):
        other = instant(at)
    return own if own == other else f"{own} ({other})"


def read(text: str, zone: ZoneInfo) -> datetime:
    """Read what was typed as an aware instant in UTC.

    Raises ValidationError for what is no date and time, and for times that a change of the clocks
    makes twice or not at all.
    """
    local = _parsed(text)
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    words = {"time": date_format(local, "H:i"), "day": date_format(local, "j M Y"), "zone": zone}
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise forms.ValidationError(
            _("%(time)s does not exist on %(day)s in %(zone)s: the clocks go forward.") % words
        )
    words |= {"first": _utc(first), "second": _utc(second)}
    raise forms.ValidationError(
        _(
            "%(time)s comes twice on %(day)s in %(zone)s, at %(first)s and at %(second)s UTC. "
            "Choose UTC, and write the one you mean."
        )
        % words
    )


def _parsed(text: str) -> datetime:
    for form in FORMATS:
        try:
            at = datetime.strptime(text.strip(), form)  # noqa: DTZ007  its zone comes apart
        except ValueError:
            continue
        if at.year in YEARS:
            return at
    raise forms.ValidationError(
        _("%(text)s is no date and time, such as 2026-12-24 14:30.") % {"text": text}
    )


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%H:%M")


class MomentsForm(forms.Form):
    """A form with instants: all in the zone that is chosen once."""

    zone = forms.ChoiceField(label=gettext_lazy("Times are in"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zones = zones()
        self.fields["zone"].choices = self.zones  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["class"] = "pk-input"

    def clean(self) -> dict[str, Any]:
        """Turn each moment typed into an instant; an empty one stays None."""
        cleaned = super().clean() or self.cleaned_data
        zone = zone_named(cleaned.get("zone", ""))
        for name, field in self.fields.items():
            if isinstance(field, MomentField) and name in cleaned:
                try:
                    cleaned[name] = read(cleaned[name], zone) if cleaned[name] else None
                except forms.ValidationError as error:
                    self.add_error(name, error)
        return cleaned


def rounded(at: datetime) -> datetime:
    """Give the next full minute: a form knows no seconds."""
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)
