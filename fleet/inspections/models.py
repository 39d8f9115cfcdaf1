"""One visit and what it leaves: when the next is due, the pair's current state, its latest facts."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleet.registry.models import PolicyVersion, Target, Tenant, Zone


class PairSchedule(models.Model):
    """When a pair is due, and who has it: one lease and one claim number per pair.

    A claim moves the due times on, and is done when PairState.recorded_claim has its number. One
    that is not done when its lease ends is due again, with `claimed_bits`, what it was for.
    So a visit writes this row once, and what a claim changes stands together (see PairState).

    No index on the due times: they change with every visit (an index would forbid HOT updates),
    and dispatch reads ten thousand narrow rows in a few milliseconds.
    """

    target = models.OneToOneField(
        Target, on_delete=models.CASCADE, primary_key=True, related_name="schedule"
    )
    persistence_due_at = models.DateTimeField()
    stats_due_at = models.DateTimeField()
    backup_due_at = models.DateTimeField()
    health_due_at = models.DateTimeField()
    latency_due_at = models.DateTimeField()
    next_due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    claim = models.BigIntegerField(default=0)
    claimed_bits = models.SmallIntegerField(default=0)
    is_slow = models.BooleanField(default=False)
    # "Check now": set on request, cleared by the visit that answers it.
    asked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.target_id} due {self.next_due_at}"


class PairState(models.Model):
    """A pair as lists show it: one narrow row, updated in place by every visit.

    What every visit changes stands last and together, because the write-ahead log carries an
    updated row from its first changed byte to its last.
    """

    class Compliance(models.TextChoices):
        NON_COMPLIANT = "non_compliant", _("Non-compliant")
        AT_RISK = "at_risk", _("At risk")
        UNVERIFIED = "unverified", _("Unverified")
        COMPLIANT = "compliant", _("Compliant")

    class Health(models.TextChoices):
        FAILING = "failing", _("Failing")
        DEGRADED = "degraded", _("Degraded")
        UNKNOWN = "unknown", _("Unknown")
        HEALTHY = "healthy", _("Healthy")

    target = models.OneToOneField(
        Target, on_delete=models.CASCADE, primary_key=True, related_name="pair_state"
    )
    # Lamps and what decides them
    compliance = models.CharField(max_length=14, choices=Compliance.choices, default="unverified")
    health = models.CharField(max_length=10, choices=Health.choices, default="unknown")
    compliance_since = models.DateTimeField(null=True)
    health_since = models.DateTimeField(null=True)
    rank = models.SmallIntegerField(default=0)  # ui.md §4: failing first, then non-compliant …
    critical_count = models.SmallIntegerField(default=0)
    warning_count = models.SmallIntegerField(default=0)
    waived_count = models.SmallIntegerField(default=0)
    pending_count = models.SmallIntegerField(default=0)
    worst_short = models.CharField(max_length=120, blank=True)
    worst_rule_id = models.CharField(max_length=80, blank=True)
    oldest_opened_at = models.DateTimeField(null=True)
    # {rule id: reason code} of core rules that are unknown; coverage per cadence, in the order of
    # fleet/inspections/cadences.py
    core_unknown = models.JSONField(default=dict)
    conclusive_counts = ArrayField(models.SmallIntegerField(), default=list)
    applicable_counts = ArrayField(models.SmallIntegerField(), default=list)
    # What was seen
    engine = models.CharField(max_length=20, blank=True)
    version = models.CharField(max_length=40, blank=True)
    emailengine_version = models.CharField(max_length=40, blank=True)
    is_redis_only = models.BooleanField(default=True)
    rtt_vantage = models.CharField(max_length=60, blank=True)  # "EmailEngine", "probe eu-1", ""
    ceiling_bytes = models.BigIntegerField(null=True)
    last_save_at = models.DateTimeField(null=True)
    last_backup_at = models.DateTimeField(null=True)
    # When the rarer cadences were last judged
    persistence_at = models.DateTimeField(null=True)
    stats_at = models.DateTimeField(null=True)
    backup_at = models.DateTimeField(null=True)
    # What the next visit compares with
    run_id = models.CharField(max_length=40, blank=True)
    # What every visit changes: whose it was, what it measured, when, and when Redis last answered
    recorded_claim = models.BigIntegerField(default=0)
    blocked_clients = models.IntegerField(null=True)
    # The last few, newest last, as text: an array would cost the log three times as much
    recent_rtt_us = models.CharField(max_length=60, blank=True)
    recent_stall_us = models.CharField(max_length=60, blank=True)
    rtt_us = models.IntegerField(null=True)
    used_ratio = models.FloatField(null=True)
    health_at = models.DateTimeField(null=True)
    latency_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.target_id} {self.compliance}/{self.health}"


class PairMemory(models.Model):
    """What the visits of one pair remember for the next: checks.look.Memory as codec JSON.

    A row of its own, for most visits change nothing of it. `acknowledged_at` is when somebody
    last accepted a loss of data: the next visit takes a new baseline.
    """

    target = models.OneToOneField(
        Target, on_delete=models.CASCADE, primary_key=True, related_name="memory"
    )
    acknowledged_at = models.DateTimeField(null=True)
    memory = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"memory of {self.target_id}"


class LatestFacts(models.Model):
    """What the last visits read and judged, per cadence: the pair page's evidence.

    Written when content changed beyond counters, about once an hour, and when somebody asked.
    `facts` and `verdicts` are codec JSON. `raw` holds the replies as read, without secrets, as
    [[command, text], …]; it is larger, so it is kept when content changed, when somebody asked,
    and once a day.
    """

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="latest_facts")
    cadence = models.CharField(max_length=12)
    facts = models.JSONField()
    verdicts = models.JSONField()
    unattested = ArrayField(
        models.CharField(max_length=40), default=list
    )  # keys that rules wait for
    digest = models.BigIntegerField()
    read_at = models.DateTimeField()
    raw = models.JSONField(default=list)
    raw_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["target", "cadence"], name="one_fact_set_per_cadence")
        ]
        indexes = [
            # What waits to be attested, by key: read without touching the facts.
            models.Index(
                fields=["target", "unattested"],
                condition=~models.Q(unattested=[]),
                name="facts_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.target_id} {self.cadence}"


class ConnectionTest(models.Model):
    """One "Test connection": what to try and how far it got, kept for minutes.

    A worker of the zone tries it, for only there does the answer mean something. `draft` holds
    secrets in their stored form alone; `result` is the ladder of fleet/inspections/ladder.py.
    """

    zone = models.ForeignKey(Zone, on_delete=models.CASCADE, related_name="+")
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+"
    )
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    draft = models.JSONField()
    result = models.JSONField(null=True)

    def __str__(self) -> str:
        return f"test {self.pk} from {self.zone_id}"


class DryRun(models.Model):
    """What a change of one policy layer, or of many pairs' own, would do: worked out before it is saved.

    `changes` is a list of [target id, rule id, what, severity, short], worst first, where `what`
    is one of fleet/inspections/dryrun.py's words. `error` says why there is no result.
    """

    level = models.CharField(max_length=12, choices=PolicyVersion.Level.choices)
    environment = models.CharField(max_length=40, blank=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="+")
    target = models.ForeignKey(Target, on_delete=models.CASCADE, null=True, related_name="+")
    # Of many pairs: level pair, these ids, no target; each one's own layer is replaced, or what is
    # said is laid over it.
    target_ids = ArrayField(models.BigIntegerField(), null=True)
    replaces = models.BooleanField(default=False, db_default=False)
    # The version that the change was made from; of many pairs the newest id of all versions.
    base = models.PositiveIntegerField()
    overrides = models.JSONField()
    note = models.CharField(max_length=200)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    asked_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)  # to a worker
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    pairs_count = models.PositiveIntegerField(null=True)
    done_count = models.PositiveIntegerField(default=0)
    unread_count = models.PositiveIntegerField(default=0)  # pairs without stored facts
    changes = models.JSONField(default=list)
    error = models.TextField(blank=True)
    saved_as = models.ForeignKey(
        PolicyVersion, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"dry run {self.pk} of {self.level}"
