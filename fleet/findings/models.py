"""What is wrong: a failed rule on one target through time, and every move it made."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleet.registry.models import Target


class Finding(models.Model):
    """One episode of one rule failing on one target.

    `results` holds the last results newest lowest (pending: 1 = fail; open: 1 = pass), of which
    `results_count` are filled. A pending row that does not confirm is deleted and leaves nothing.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        OPEN = "open", _("Open")
        RESOLVED = "resolved", _("Resolved")

    class Severity(models.TextChoices):
        INFO = "info", _("Info")
        WARNING = "warning", _("Warning")
        CRITICAL = "critical", _("Critical")

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="findings")
    rule_id = models.CharField(_("rule"), max_length=80)
    kind = models.CharField(_("kind"), max_length=12)  # requirement, operation
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    message = models.TextField(_("message"))
    short = models.CharField(_("short"), max_length=120)
    cause = models.CharField(max_length=40, blank=True)
    observed = models.TextField(_("observed"))
    required = models.TextField(_("required"))
    evidence = models.JSONField(_("evidence"), default=dict)
    vantage = models.CharField(_("read from"), max_length=200, blank=True)
    worst = models.TextField(_("worst value"), blank=True)
    worst_measure = models.FloatField(null=True)  # the same as a number, larger = worse
    episode = models.PositiveIntegerField(_("episode"), default=1)
    results = models.SmallIntegerField(default=0)
    results_count = models.SmallIntegerField(default=0)
    first_seen_at = models.DateTimeField(_("first seen"))
    opened_at = models.DateTimeField(_("opened"), null=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    last_event_at = models.DateTimeField(_("last event"), null=True)  # event rules only

    class Meta:
        verbose_name = _("Finding")
        verbose_name_plural = _("Findings")
        constraints = [
            models.UniqueConstraint(
                fields=["target", "rule_id"],
                condition=models.Q(state__in=["pending", "open"]),
                name="one_live_finding_per_rule",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["pending", "open", "resolved"]),
                name="finding_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(severity__in=["info", "warning", "critical"]),
                name="finding_severity_known",
            ),
        ]
        indexes = [
            # The finding list and the overview: open findings by severity, newest first.
            models.Index(
                fields=["severity", "-opened_at"],
                condition=models.Q(state="open"),
                name="finding_open",
            ),
            # "Most failed rules", "18 more pairs fail this rule".
            models.Index(
                fields=["rule_id", "severity"],
                condition=models.Q(state="open"),
                name="finding_open_by_rule",
            ),
            # The pair page: past findings of one target.
            models.Index(fields=["target", "-first_seen_at"], name="finding_of_target"),
            # The overview: what returned in the last 24 hours.
            models.Index(
                fields=["-resolved_at"],
                condition=models.Q(state="resolved"),
                name="finding_resolved",
            ),
        ]

    def __str__(self) -> str:
        return self.message


class Transition(models.Model):
    """One real move of a finding: the outbox that alerts are routed from."""

    class Cause(models.TextChoices):
        OPENED = "opened", _("Opened")
        SEVERITY = "severity", _("Severity changed")
        RESOLVED = "resolved", _("Resolved")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")

    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, related_name="transitions")
    at = models.DateTimeField(_("at"))
    cause = models.CharField(_("cause"), max_length=12, choices=Cause.choices)
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)
    from_severity = models.CharField(max_length=10, blank=True)
    to_severity = models.CharField(max_length=10, blank=True)
    note = models.TextField(_("note"), blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    routed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("Transition")
        verbose_name_plural = _("Transitions")
        indexes = [
            # The timeline of one finding.
            models.Index(fields=["finding", "at"], name="transition_of_finding"),
            # The overview: moves of the last 24 hours.
            models.Index(fields=["-at"], name="transition_newest"),
            # Routing claims what nobody routed yet.
            models.Index(
                fields=["id"], condition=models.Q(routed_at=None), name="transition_unrouted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_cause_display()}"
