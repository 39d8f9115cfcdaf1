"""What is wrong: a failed rule on one target through time, and every move it made."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleet.registry.models import Target


class Finding(models.Model):
    """One episode of one rule failing on one target.

    `results` holds the last results newest lowest (pending: 1 = fail; open: 1 = pass), of which
    `results_count` are filled. A pending row that does not confirm is deleted and leaves nothing.

    A finding that fails again within 7 days of its end continues its episode: the same row opens
    again. `opened_at` and `resolved_at` tell of its newest opening, `first_seen_at` when the episode
    began, `openings_count` how often it opened; each opening and end stands in its transitions.
    The moves that people and the clock make are told by checks/lifecycle.py too.
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
    openings_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    # While results are unknown: when the last conclusive one was; then, since when it is too old
    conclusive_at = models.DateTimeField(null=True)
    stale_since = models.DateTimeField(_("stale since"), null=True)
    # The last confirmed moves, oldest first: four in an hour are flapping
    recent_moves = ArrayField(models.DateTimeField(), default=list, db_default=[])
    flapping_since = models.DateTimeField(_("flapping since"), null=True)
    # Somebody knows of it: no reminder until then, or until the severity rises
    acknowledged_until = models.DateTimeField(_("acknowledged until"), null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("acknowledged by"),
    )
    # The make and version it was last told of: with them its remediation can be rendered
    engine = models.CharField(max_length=20, blank=True, default="", db_default="")
    engine_version = models.CharField(max_length=40, blank=True, default="", db_default="")

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
            # Every 2 s: how many pairs of a zone do not answer? (fleet/inspections/blind.py)
            models.Index(
                fields=["rule_id", "target"],
                condition=models.Q(state="pending"),
                name="finding_pending",
            ),
            # Every 20 s: which open findings have had no conclusive result for long?
            models.Index(
                fields=["conclusive_at"],
                condition=models.Q(state="open", stale_since=None) & ~models.Q(conclusive_at=None),
                name="finding_inconclusive",
            ),
            # Every 20 s: which flapping findings are calm by now?
            models.Index(
                fields=["flapping_since"],
                condition=~models.Q(flapping_since=None),
                name="finding_flapping",
            ),
        ]

    def __str__(self) -> str:
        return self.message


class Transition(models.Model):
    """One real move of a finding: the outbox that alerts are routed from.

    acknowledged: somebody knows of it (it stays open), or accepted what happened (it is resolved).
    stale, fresh: no conclusive result for three intervals; one again. flapping: the one notice of
    a finding that comes and goes; calm: it has stood as it is for half an hour. A move between the
    two is quiet: it is kept so that history is exact, and nobody is told of it.
    """

    class Cause(models.TextChoices):
        OPENED = "opened", _("Opened")
        SEVERITY = "severity", _("Severity changed")
        RESOLVED = "resolved", _("Resolved")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        STALE = "stale", _("Stale")
        FRESH = "fresh", _("Read again")
        FLAPPING = "flapping", _("Flapping")
        CALM = "calm", _("Calm again")
        WAIVED = "waived", _("Waived")
        UNWAIVED = "unwaived", _("Waiver ended")

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
    is_quiet = models.BooleanField(default=False, db_default=False)
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
