"""What is wrong: a failed rule on one target through time, every move it made, and what covers it."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.db.models.functions import Least
from django.utils.translation import gettext_lazy as _

from fleet.registry.models import Target, Tenant


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
    # What covers it while it is open: fleet/findings/waivers.py, which leaves a transition. A
    # resolved row keeps the waiver that it ended under.
    waiver = models.ForeignKey(
        "Waiver",
        on_delete=models.SET_NULL,
        null=True,
        related_name="findings",
        db_index=False,  # finding_waived
    )

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
            # Scores with and without waivers; what a waiver covers now.
            models.Index(
                fields=["waiver", "target"],
                condition=models.Q(state="open", waiver__isnull=False),
                name="finding_waived",
            ),
            # For fleet/findings/past.py. LEAST: a clock set back must not end a range before it begins.
            GistIndex(
                models.Func(
                    Least("first_seen_at", "resolved_at"),
                    "resolved_at",
                    function="tstzrange",
                    output_field=DateTimeRangeField(),
                ),
                name="finding_life",
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
    until = models.DateTimeField(null=True, blank=True)  # of an acknowledgement that has an end
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


class Waiver(models.Model):
    """A signed acceptance that one rule fails on one target, or on all of a tenant's, until it expires.

    `severity` is the worst it accepts, `ceiling` the worst value (as Finding.worst_measure tells
    it: larger = worse). Rows are only added, approved and ended, by fleet/findings/waivers.py; a
    renewal is a row of its own. Live: approved, not ended, not expired.
    """

    class Kind(models.TextChoices):
        ACCEPTED_RISK = "accepted_risk", _("Accepted risk")
        FALSE_POSITIVE = "false_positive", _("False positive")
        COMPENSATING_CONTROL = "compensating_control", _("Compensating control")
        FIX_SCHEDULED = "fix_scheduled", _("Fix scheduled")

    class End(models.TextChoices):
        EXPIRED = "expired", _("Expired")
        REVOKED = "revoked", _("Revoked")
        REJECTED = "rejected", _("Rejected")
        RENEWED = "renewed", _("Renewed")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="waivers")
    target = models.ForeignKey(Target, on_delete=models.CASCADE, null=True, related_name="waivers")
    rule_id = models.CharField(_("rule"), max_length=80)
    severity = models.CharField(_("covers up to"), max_length=10, choices=Finding.Severity.choices)
    ceiling = models.FloatField(_("ceiling"), null=True)
    kind = models.CharField(_("kind"), max_length=24, choices=Kind.choices)
    reason = models.TextField(_("reason"))
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    requested_at = models.DateTimeField(_("requested"))
    needs_second = models.BooleanField(_("needs a second person"), default=False)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    approved_at = models.DateTimeField(_("approved"), null=True)
    expires_at = models.DateTimeField(_("expires"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    end = models.CharField(_("how it ended"), max_length=10, choices=End.choices, blank=True)
    end_note = models.TextField(_("why it ended"), blank=True)
    renews = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, related_name="renewals"
    )

    class Meta:
        verbose_name = _("Waiver")
        verbose_name_plural = _("Waivers")
        constraints = [
            models.UniqueConstraint(
                fields=["rule_id", "tenant", "target"],
                condition=models.Q(ended_at=None, approved_at__isnull=False),
                name="one_live_waiver",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["rule_id", "tenant", "target"],
                condition=models.Q(ended_at=None, approved_at=None),
                name="one_waiting_waiver",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(needs_second=False)
                | models.Q(approved_by=None)
                | ~models.Q(approved_by=models.F("requested_by")),
                name="waiver_approved_by_another",
            ),
            models.CheckConstraint(
                condition=models.Q(approved_at=None, approved_by=None)
                | models.Q(approved_at__isnull=False, approved_by__isnull=False),
                name="waiver_approval_is_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None, end="")
                | models.Q(
                    ended_at__isnull=False, end__in=["expired", "revoked", "rejected", "renewed"]
                ),
                name="waiver_end_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(severity__in=["warning", "critical"]),
                name="waiver_severity_known",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("requested_at")),
                name="waiver_expires_later",
            ),
        ]
        indexes = [
            # The minute's task and "Waivers ending": what expires first.
            models.Index(
                fields=["expires_at"],
                condition=models.Q(ended_at=None),
                name="waiver_expiring",
            ),
            # The pages of one pair.
            models.Index(fields=["target", "-requested_at"], name="waiver_of_target"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} #{self.pk}"


class WaiverNotice(models.Model):
    """A warning that a waiver ends in so many days: alerts mail those whose `routed_at` is empty."""

    waiver = models.ForeignKey(Waiver, on_delete=models.CASCADE, related_name="notices")
    days = models.PositiveSmallIntegerField(_("days before"))  # 14, 3
    at = models.DateTimeField(_("at"))
    routed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("Waiver notice")
        verbose_name_plural = _("Waiver notices")
        constraints = [
            models.UniqueConstraint(fields=["waiver", "days"], name="one_notice_a_step"),
        ]
        indexes = [
            # Routing claims what nobody routed yet.
            models.Index(fields=["id"], condition=models.Q(routed_at=None), name="notice_unrouted"),
        ]

    def __str__(self) -> str:
        return f"{self.days} d before #{self.waiver_id} ends"


class MaintenanceWindow(models.Model):
    """A time in which mail about some targets waits; checks go on.

    Of pairs, of a tenant, or of a label (`tenant` empty: of whoever's pairs). Rows are only added
    and ended early, by fleet/findings/maintenance.py; one ended before it began never was.
    """

    class Scope(models.TextChoices):
        PAIRS = "pairs", _("Pairs")
        TENANT = "tenant", _("Tenant")
        LABEL = "label", _("Label")

    scope = models.CharField(_("holds for"), max_length=10, choices=Scope.choices)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, related_name="maintenance_windows"
    )
    targets = models.ManyToManyField(Target, related_name="maintenance_windows")
    label_name = models.CharField(_("label"), max_length=80, blank=True)
    label_value = models.CharField(_("value"), max_length=200, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("ends"))
    made_at = models.DateTimeField(_("made"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    ended_at = models.DateTimeField(_("ended early"), null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        verbose_name = _("Maintenance window")
        verbose_name_plural = _("Maintenance windows")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")),
                name="maintenance_ends_later",
            ),
            models.CheckConstraint(
                condition=models.Q(scope="label") & ~models.Q(label_name="")
                | models.Q(scope__in=["pairs", "tenant"], label_name="", tenant__isnull=False),
                name="maintenance_holds_for_something",
            ),
        ]
        indexes = [
            # Whose mail waits now, and what ended lately.
            models.Index(fields=["ends_at"], name="maintenance_ending"),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} #{self.pk}"
