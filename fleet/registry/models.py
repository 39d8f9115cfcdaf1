"""Whom we watch: tenants, targets, pairs, and the zones and workers that look at them."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from fleet.registry.fleet_settings import FleetSettings as FleetSettings
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
    # Too many pairs do not answer: is it they, or our own network? (fleet/inspections/blind.py)
    suspect_since = models.DateTimeField(null=True, editable=False)
    blind_since = models.DateTimeField(null=True, editable=False)
    self_check_sent_at = models.DateTimeField(null=True, editable=False)
    self_checked_at = models.DateTimeField(null=True, editable=False)
    self_check_failure = models.TextField(blank=True, default="", db_default="", editable=False)
    history = HistoricalRecords(
        excluded_fields=[
            "suspect_since",
            "blind_since",
            "self_check_sent_at",
            "self_checked_at",
            "self_check_failure",
        ]
    )

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
    # What its last self-check found of its own network (fleet/inspections/blind.py)
    blind_since = models.DateTimeField(null=True, editable=False)
    self_checked_at = models.DateTimeField(null=True, editable=False)
    self_check_failure = models.TextField(blank=True, default="", db_default="", editable=False)

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

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Tell at the name itself that it is taken: its one constraint is an expression, of no field."""
        try:
            super().validate_constraints(exclude)
        except ValidationError as error:
            raise ValidationError({"name": error.messages}) from None


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


class PolicyVersion(models.Model):
    """What one layer of the policy said from one moment on; a layer's newest version is in force.

    `overrides` is plain data, {rule id: {limit or reserved word: value}}; {} says nothing. Rows are
    only ever added, by fleet/registry/policies.py, so that ids rise with every change. `tenant` is
    set for the layers of tenants and pairs: whose they are.
    """

    class Level(models.TextChoices):
        FLEET = "fleet", _("Fleet")
        ENVIRONMENT = "environment", _("Environment")
        TENANT = "tenant", _("Tenant")
        PAIR = "pair", _("Pair")

    level = models.CharField(_("level"), max_length=12, choices=Level.choices)
    environment = models.CharField(_("environment"), max_length=40, blank=True)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, related_name="policy_versions"
    )
    target = models.ForeignKey(
        Target, on_delete=models.CASCADE, null=True, related_name="policy_versions"
    )
    number = models.PositiveIntegerField(_("version"))
    overrides = models.JSONField(_("overrides"), default=dict)
    note = models.CharField(_("why"), max_length=200)
    is_current = models.BooleanField(default=True)
    made_at = models.DateTimeField(_("made"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        verbose_name = _("Policy version")
        verbose_name_plural = _("Policy versions")
        constraints = [
            # Also the index that finds a layer's versions.
            models.UniqueConstraint(
                fields=["level", "environment", "tenant", "target", "number"],
                name="policy_version_once",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["level", "environment", "tenant", "target"],
                condition=models.Q(is_current=True),
                name="one_current_policy_per_layer",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(level="fleet", environment="", tenant=None, target=None)
                | (
                    models.Q(level="environment", tenant=None, target=None)
                    & ~models.Q(environment="")
                )
                | models.Q(level="tenant", environment="", tenant__isnull=False, target=None)
                | models.Q(
                    level="pair", environment="", tenant__isnull=False, target__isnull=False
                ),
                name="policy_layer_is_of_its_level",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_level_display()}, version {self.number}"


class Attestation(models.Model):
    """What somebody vouches for because no protocol tells it: a value, who, evidence, and until when.

    Of a tenant (`target` empty) it holds for all its pairs; of a pair it beats its tenant's. Rows are
    never edited: fleet/registry/attestations.py ends one and adds the next. An expired row stays
    until then, so that rules can say what expired.
    """

    key = models.CharField(_("what"), max_length=40)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="attestations")
    target = models.ForeignKey(
        Target, on_delete=models.CASCADE, null=True, related_name="attestations"
    )
    value = models.JSONField(_("value"))
    said_by = models.CharField(_("who says so"), max_length=120)
    evidence = models.TextField(_("evidence"))
    expires_at = models.DateTimeField(_("expires"))
    made_at = models.DateTimeField(_("made"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        verbose_name = _("Attestation")
        verbose_name_plural = _("Attestations")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "target", "key"],
                condition=models.Q(ended_at=None),
                name="one_live_attestation",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            # A visit: what is attested of its pair.
            models.Index(
                fields=["target", "key"],
                condition=models.Q(ended_at=None),
                name="attestation_of_target",
            ),
            # The list: what expires first.
            models.Index(
                fields=["expires_at"],
                condition=models.Q(ended_at=None),
                name="attestation_expiring",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} = {self.value}"
