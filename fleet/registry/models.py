"""Whom we watch: tenants, targets, pairs, and the zones and workers that look at them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from fleet.registry.intervals import default_intervals
from fleet.registry.sealed import SealedField


class Zone(models.Model):
    """A place from which pairs are probed; its declared location is `region` or `region/zone`."""

    slug = models.SlugField(_("slug"), unique=True, max_length=40)
    location = models.CharField(
        _("location"),
        max_length=80,
        blank=True,
        help_text=_("Where this zone's workers stand: region, or region/zone, such as eu-1/b."),
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("Zone")
        verbose_name_plural = _("Zones")
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Worker(models.Model):
    """One worker process, as it last reported itself."""

    name = models.CharField(_("name"), unique=True, max_length=120)
    zone = models.ForeignKey(Zone, on_delete=models.CASCADE, related_name="workers")
    version = models.CharField(_("version"), max_length=40)
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("Worker")
        verbose_name_plural = _("Workers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Tenant(models.Model):
    """Whose pairs these are; what a person may see is decided per tenant."""

    name = models.CharField(_("name"), max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    is_demo = models.BooleanField(default=False, editable=False)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("Tenant")
        verbose_name_plural = _("Tenants")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="tenant_name_once",
                violation_error_message=_("There is a tenant of this name."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Target(models.Model):
    """What is judged: findings, waivers and history hang on it."""

    class Kind(models.TextChoices):
        PAIR = "pair", _("Pair")

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")
        ARCHIVED = "archived", _("Archived")

    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.PAIR)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="targets", verbose_name=_("tenant")
    )
    name = models.CharField(_("name"), max_length=120)
    environment = models.CharField(_("environment"), max_length=40, default="production")
    labels = models.JSONField(_("labels"), default=dict, blank=True)
    zone = models.ForeignKey(
        Zone, on_delete=models.PROTECT, related_name="targets", verbose_name=_("probe zone")
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("Target")
        verbose_name_plural = _("Targets")
        constraints = [
            models.UniqueConstraint(
                "tenant",
                Lower("name"),
                name="target_name_once_per_tenant",
                violation_error_message=_("This tenant has a pair of this name."),
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["active", "paused", "archived"]),
                name="target_state_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Pair(models.Model):
    """One EmailEngine and its Redis. URLs hold no password; secrets are sealed or references."""

    target = models.OneToOneField(
        Target, on_delete=models.CASCADE, primary_key=True, related_name="pair"
    )
    redis_url = models.CharField(
        _("Redis URL"),
        max_length=400,
        help_text=_(
            "redis://, rediss:// (TLS) or unix://, with user and database, without the password."
        ),
    )
    redis_password = SealedField(_("Redis password"), blank=True)
    redis_ca = models.TextField(
        _("CA bundle"),
        blank=True,
        help_text=_("PEM certificates to trust instead of the system's, for rediss://."),
    )
    redis_tls_verify = models.BooleanField(_("verify the certificate"), default=True)
    redis_tls_name = models.CharField(
        _("certificate name"),
        max_length=200,
        blank=True,
        help_text=_("Where the certificate is for another name than the URL's."),
    )
    redis_location = models.CharField(_("Redis location"), max_length=80, blank=True)
    sentinel_addresses = ArrayField(
        models.CharField(max_length=200),
        verbose_name=_("Sentinel addresses"),
        default=list,
        blank=True,
        help_text=_("host:port, separated by commas."),
    )
    sentinel_master = models.CharField(_("Sentinel master name"), max_length=120, blank=True)
    emailengine_url = models.CharField(_("EmailEngine URL"), max_length=400, blank=True)
    emailengine_prefix = models.CharField(
        _("EmailEngine key prefix"),
        max_length=80,
        blank=True,
        help_text=_("EENGINE_REDIS_PREFIX, where it is set."),
    )
    emailengine_location = models.CharField(_("EmailEngine location"), max_length=80, blank=True)
    metrics_token = SealedField(_("metrics token"), blank=True)
    api_token = SealedField(_("API token"), blank=True)
    expected_mailboxes = models.PositiveIntegerField(_("expected mailboxes"), null=True, blank=True)
    expected_replicas = models.PositiveSmallIntegerField(
        _("expected replicas"), null=True, blank=True
    )
    history = HistoricalRecords(excluded_fields=["redis_password", "metrics_token", "api_token"])

    class Meta:
        verbose_name = _("Pair")
        verbose_name_plural = _("Pairs")

    def __str__(self) -> str:
        return self.target.name


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
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("Settings")
        verbose_name_plural = _("Settings")
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_settings_row")]

    def __str__(self) -> str:
        return "Settings"
