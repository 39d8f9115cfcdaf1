"""Say where copies lie: the form of one source, whose secrets only go in."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django import forms
from django.core.validators import MinValueValidator, RegexValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from fleet.backups.bucket import check_endpoint
from fleet.backups.directory import pattern_of, place_within, roots_of
from fleet.backups.models import BackupSource
from fleet.backups.places import Trouble, fill
from fleet.portal.pair_form import Secret
from fleet.portal.scoped_admin import Rows
from fleet.portal.typed_secrets import sealed
from fleet.registry.models import Target

Kind = BackupSource.Kind
HOUR_S: Final = 3600
# What each kind asks for, beside its name and rhythm.
OF_PLACE: Final = {
    Kind.DIRECTORY: ("folder", "name_pattern"),
    Kind.BUCKET: (
        "endpoint",
        "region",
        "bucket",
        "prefix",
        "name_pattern",
        "access_key",
        "secret_key",
    ),
    Kind.HEARTBEAT: (),
    Kind.PULL: (
        "pull_user",
        "pull_password",
        "destination",
        "endpoint",
        "region",
        "bucket",
        "prefix",
        "access_key",
        "secret_key",
        "bandwidth_bytes_per_s",
        "keep_hourly",
        "keep_daily",
        "keep_weekly",
        "keep_monthly",
    ),
}
SECRETS: Final = ("secret_key", "pull_password")
# A change of these is looked at before it counts.
TRIED: Final = frozenset(
    {"folder", "name_pattern", "endpoint", "region", "bucket", "prefix", "access_key", *SECRETS}
)
# Source: AWS, bucket naming rules; other stores take no more.
BUCKET: Final = RegexValidator(
    r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    gettext_lazy("A bucket's name has 3 to 63 letters a to z, digits, dots and hyphens."),
)
REGION: Final = RegexValidator(
    r"^[a-z0-9-]{0,40}$", gettext_lazy("A region has letters a to z, digits and hyphens.")
)


def _text(label: Any, help_text: Any = "", **kwargs: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        **kwargs,
    )


class SourceForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What a person says of a source. `rows` is set by the admin class to what they may choose."""

    rows: ClassVar[Rows]

    target: forms.ModelChoiceField[Target] = forms.ModelChoiceField(
        queryset=None, widget=forms.HiddenInput()
    )
    interval_h = forms.DecimalField(
        label=gettext_lazy("A copy every, hours"),
        initial=24,
        max_value=24 * 366,
        decimal_places=2,
        validators=[MinValueValidator(0.1)],
        widget=UnfoldAdminIntegerFieldWidget(attrs={"step": "any"}),
    )
    grace_h = forms.DecimalField(
        label=gettext_lazy("Grace, hours"),
        help_text=gettext_lazy("How much later a copy may come before backup.age warns."),
        initial=3,
        min_value=0,
        max_value=24 * 31,
        decimal_places=2,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"step": "any"}),
    )
    folder = _text(
        gettext_lazy("Folder"),
        gettext_lazy(
            "As the workers of the pair's zone see it. {tenant} and {pair} stand for their names."
        ),
        max_length=400,
    )
    name_pattern = _text(
        gettext_lazy("File name"),
        gettext_lazy("May hold * and ?, {tenant} and {pair}, such as {pair}-*.rdb.gz."),
        max_length=200,
    )
    endpoint = _text(
        gettext_lazy("Endpoint"),
        gettext_lazy("https://s3.example.com; empty for AWS itself."),
        max_length=400,
    )
    region = _text(gettext_lazy("Region"), max_length=40, validators=[REGION])
    bucket = _text(gettext_lazy("Bucket"), max_length=63, validators=[BUCKET])
    access_key = _text(gettext_lazy("Access key"), max_length=128)
    secret_key = Secret(label=gettext_lazy("Secret key"))
    pull_user = _text(
        gettext_lazy("User"),
        gettext_lazy("An account of its own, with +psync and +replconf: it exports everything."),
        max_length=120,
    )
    pull_password = Secret(label=gettext_lazy("Password"))

    class Meta:
        model = BackupSource
        fields = (
            "target",
            "kind",
            "label",
            "is_enabled",
            *dict.fromkeys(name for names in OF_PLACE.values() for name in names),
        )
        widgets: ClassVar[dict[str, Any]] = {
            "kind": forms.HiddenInput(),
            "label": UnfoldAdminTextInputWidget(),
            "is_enabled": UnfoldBooleanWidget(),
            "destination": UnfoldAdminSelectWidget(),
            "prefix": UnfoldAdminTextInputWidget(attrs={"spellcheck": "false"}),
        }
        help_texts: ClassVar[dict[str, Any]] = {  # a form has a prefix of its own: it is named here
            "prefix": gettext_lazy("What the keys begin with, such as {tenant}/{pair}/."),
            "bandwidth_bytes_per_s": gettext_lazy("At most so many bytes a second; empty: no cap."),
            "keep_hourly": gettext_lazy("The newest of each of the last so many hours is kept."),
            "destination": gettext_lazy("For a bucket, fill in the fields below."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance
        target: Any = self.fields.get("target")
        if target is not None:
            target.queryset = self.rows.editable(Target).select_related("tenant")
        if stored.pk:
            self.initial["interval_h"] = _hours(stored.interval_s)
            self.initial["grace_h"] = _hours(stored.grace_s)
        for name in SECRETS:
            self.initial.pop(name, None)
            if stored.pk and getattr(stored, name) and name in self.fields:
                self.fields[name].help_text = _("One is stored; leave this empty to keep it.")

    def clean(self) -> dict[str, Any]:
        """Check the place as far as it can be without a worker, each error at its field."""
        data = super().clean() or {}
        kind, target = data.get("kind"), data.get("target")
        if self.instance.pk:
            data["kind"], data["target"] = self.instance.kind, self.instance.target
            kind, target = data["kind"], data["target"]
        if kind and target:
            source = BackupSource(target=target, kind=kind)
            for name in ("folder", "name_pattern", "prefix"):
                setattr(source, name, data.get(name) or "")
            if kind == Kind.DIRECTORY:
                self._of_directory(source)
            is_bucket = kind == Kind.BUCKET or (
                kind == Kind.PULL and data.get("destination") == BackupSource.Destination.BUCKET
            )
            if is_bucket:
                self._of_bucket(source, data)
        return data

    def _of_directory(self, source: BackupSource) -> None:
        is_operator = self.rows.edited.tenant_ids is None
        try:
            roots = roots_of(source.target, is_shared_too=is_operator)
            place_within(fill(source.folder, source.target), roots)
        except Trouble as trouble:
            self.add_error("folder", str(trouble))
        try:
            pattern_of(source)
        except Trouble as trouble:
            self.add_error("name_pattern", str(trouble))

    def _of_bucket(self, source: BackupSource, data: dict[str, Any]) -> None:
        for name in ("bucket", "access_key"):
            if not data.get(name) and name not in self.errors:
                self.add_error(name, _("This is needed for a bucket."))
        if not data.get("secret_key") and not self.instance.secret_key:
            self.add_error("secret_key", _("This is needed for a bucket."))
        for name, check in (
            ("endpoint", lambda: check_endpoint(data.get("endpoint") or "")),
            ("prefix", lambda: fill(source.prefix, source.target)),
        ):
            try:
                check()
            except Trouble as trouble:
                self.add_error(name, str(trouble))

    def clean_secret_key(self) -> str:
        """Seal what was typed; blank keeps what is stored."""
        return self._sealed("secret_key")

    def clean_pull_password(self) -> str:
        """Seal what was typed; blank keeps what is stored."""
        return self._sealed("pull_password")

    def _sealed(self, name: str) -> str:
        typed = self.cleaned_data.get(name, "")
        if not typed:
            return str(getattr(self.instance, name))
        return sealed(self.rows, typed)

    def save(self, commit: bool = True) -> BackupSource:  # noqa: FBT001, FBT002  Django's own
        """Put the hours in as seconds, and a place that is new or changed on trial."""
        source: BackupSource = super().save(commit=False)
        source.interval_s = round(float(self.cleaned_data["interval_h"]) * HOUR_S)
        source.grace_s = round(float(self.cleaned_data["grace_h"]) * HOUR_S)
        is_new = source.pk is None
        is_wanted = bool(self.cleaned_data.get("is_enabled"))
        is_listed = source.kind in (Kind.DIRECTORY, Kind.BUCKET)
        source.is_on_trial = (
            is_wanted and is_listed and (is_new or bool(TRIED.intersection(self.changed_data)))
        )
        source.is_enabled = is_wanted and not source.is_on_trial
        if commit:
            source.save()
        return source


def _hours(seconds: int) -> str:
    return f"{seconds / HOUR_S:g}"
