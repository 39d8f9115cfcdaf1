"""The form that attests one key: its words, and what it takes."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any, Final

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks import attest as keys
from fleet.portal.rules import Words
from fleet.registry.attestations import Claim

TITLES: Final[dict[str, Words]] = {
    "disk_iops": gettext_lazy("Disk operations per second"),
    "storage_medium": gettext_lazy("Storage medium"),
    "ram_bytes": gettext_lazy("Memory of the machine"),
    "redis_location": gettext_lazy("Redis’ location"),
    "emailengine_location": gettext_lazy("EmailEngine’s location"),
    "private_link": gettext_lazy("Private link"),
    "managed_durability": gettext_lazy("Durability by the provider"),
    "plan": gettext_lazy("The provider’s plan"),
    "largest_message_bytes": gettext_lazy("Largest message"),
    "secret_kept": gettext_lazy("EENGINE_SECRET kept apart"),
    "dragonfly_validated": gettext_lazy("Dragonfly validated"),
    "managed_snapshot_hours": gettext_lazy("Snapshots by the provider"),
}
HINTS: Final[dict[str, Words]] = {
    "disk_iops": gettext_lazy("Measured on the disk under the AOF, such as 12000."),
    "storage_medium": gettext_lazy("What Redis’ data directory lies on: SSD, NVMe, HDD …"),
    "ram_bytes": gettext_lazy("Of the machine or container that Redis runs in, such as 8 GiB."),
    "redis_location": gettext_lazy("Region, or region/zone, such as eu-1/b."),
    "emailengine_location": gettext_lazy("Region, or region/zone, such as eu-1/b."),
    "private_link": gettext_lazy(
        "Is the path to Redis private although its address looks public: yes or no?"
    ),
    "managed_durability": gettext_lazy(
        "Does the provider keep the data through a crash: yes or no?"
    ),
    "plan": gettext_lazy("As the provider names it: paid, free …"),
    "largest_message_bytes": gettext_lazy("With attachments, such as 25 MiB."),
    "secret_kept": gettext_lazy("Is the secret kept apart from the backups: yes or no?"),
    "dragonfly_validated": gettext_lazy(
        "Was EmailEngine tried on this Dragonfly before production: yes or no?"
    ),
    "managed_snapshot_hours": gettext_lazy(
        "Hours between the snapshots that the provider takes and keeps elsewhere, such as 24; 0: none."
    ),
}


class ClaimForm(forms.Form):
    """What is said of one key: every field is asked for."""

    key = forms.ChoiceField(
        label=gettext_lazy("What"), choices=[(key.name, TITLES[key.name]) for key in keys.KEYS]
    )
    value = forms.CharField(label=gettext_lazy("Value"), max_length=keys.MOST_TEXT)
    said_by = forms.CharField(
        label=gettext_lazy("Who says so"),
        max_length=120,
        help_text=gettext_lazy("The person or team that vouches for it."),
    )
    evidence = forms.CharField(
        label=gettext_lazy("Evidence"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("What it rests on: a measurement, a contract, a ticket."),
    )
    expires_on = forms.DateField(
        label=gettext_lazy("Good until"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("Afterwards the rule is not verified again."),
    )

    def clean_expires_on(self) -> datetime:
        """Take the end of that day in the person's time zone; it must lie ahead."""
        day = self.cleaned_data["expires_on"]
        last = time(23, 59, 59, tzinfo=timezone.get_current_timezone())
        end = datetime.combine(day, last)
        if end <= timezone.now():
            raise forms.ValidationError(_("This day is over: choose one that lies ahead."))
        return end

    def clean(self) -> dict[str, Any]:
        """Read the value as its key wants it."""
        cleaned = super().clean() or self.cleaned_data
        if "key" in cleaned and "value" in cleaned:
            try:
                cleaned["value"] = keys.parse(cleaned["key"], cleaned["value"])
            except keys.AttestError as error:
                self.add_error("value", str(error))
        return cleaned

    @property
    def claim(self) -> Claim:
        """Give what was said, once it is valid."""
        found = self.cleaned_data
        return Claim(
            found["key"], found["value"], found["said_by"], found["evidence"], found["expires_on"]
        )
