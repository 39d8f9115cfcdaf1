"""What the fleet as a whole is set to: one row."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from fleet.registry.intervals import default_intervals


class FleetSettings(models.Model):
    """The fleet's own settings, one row: intervals, core rules, retention."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    intervals = models.JSONField(_("intervals"), default=default_intervals)
    core_rules = ArrayField(
        models.CharField(max_length=80),
        verbose_name=_("core rules"),
        null=True,
        blank=True,
        help_text=_("Empty: those the catalogue marks as core."),
    )
    raw_days = models.PositiveSmallIntegerField(
        _("raw history, days"),
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(90)],
    )
    reference_address = models.CharField(
        _("reference address"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "host:port that every zone can always reach, such as a gateway or name server. A zone "
            "that reaches neither it nor its pairs is blind: nobody is told that the pairs are down."
        ),
    )
    # Source of the defaults: design §4
    critical_waiver_days = models.PositiveSmallIntegerField(
        _("longest waiver of a critical, days"),
        default=30,
        db_default=30,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
    )
    warning_waiver_days = models.PositiveSmallIntegerField(
        _("longest waiver of a warning, days"),
        default=180,
        db_default=180,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
    )
    second_person = models.BooleanField(
        _("a second person approves waivers of criticals"),
        default=False,
        db_default=False,
        help_text=_("Who asked for it cannot approve it."),
    )
    maintenance_hours = models.PositiveSmallIntegerField(
        _("longest maintenance, hours"),
        default=72,
        db_default=72,
        validators=[MinValueValidator(1), MaxValueValidator(744)],
    )
    hourly_days = models.PositiveSmallIntegerField(
        _("hourly history, days"),
        default=90,
        db_default=90,
        validators=[MinValueValidator(7), MaxValueValidator(730)],
    )
    daily_days = models.PositiveSmallIntegerField(
        _("daily history, days"),
        default=730,
        db_default=730,
        validators=[MinValueValidator(90), MaxValueValidator(3650)],
    )
    mail_days = models.PositiveSmallIntegerField(
        _("wording of mails, days"),
        default=90,
        db_default=90,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text=_("Afterwards the log keeps when, to whom and about what, without the text."),
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("Settings")
        verbose_name_plural = _("Settings")
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_settings_row")]

    def __str__(self) -> str:
        return "Settings"
