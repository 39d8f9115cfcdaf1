"""What proves that a pair could come back: sources, the artefacts in them, drills, and their jobs."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from fleet.backups.heartbeat_token import HeartbeatToken as HeartbeatToken
from fleet.backups.pull_room import PullRoom as PullRoom
from fleet.registry.models import Target
from fleet.registry.sealed import SealedField

DAY_S: Final = 86_400
# Source of the defaults: design §3, backup.age
INTERVAL_S, GRACE_S = DAY_S, 3 * 3600


class BackupSource(models.Model):
    """One way by which copies of a pair come to be, and where they lie; a pair has any number.

    `folder`, `name_pattern` and `prefix` take the placeholders {tenant} and {pair}. A pull writes
    to the portal's own folder, or to the bucket named here. `last_reason` is empty after a good
    look, else a reason code of checks/missing.py or a word of the source's own.
    """

    class Kind(models.TextChoices):
        DIRECTORY = "directory", _("Directory")
        BUCKET = "bucket", _("Bucket")
        HEARTBEAT = "heartbeat", _("Heartbeat")
        PULL = "pull", _("Agentless pull")

    class Destination(models.TextChoices):
        DIRECTORY = "directory", _("The portal's folder")
        BUCKET = "bucket", _("A bucket")

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="backup_sources")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    label = models.CharField(_("label"), max_length=80)
    is_enabled = models.BooleanField(_("on"), default=True)  # of a pull: the pair's consent
    # New or changed: looked at once before it counts, and switched on by that (verify.py).
    is_on_trial = models.BooleanField(default=False, db_default=False, editable=False)
    interval_s = models.PositiveIntegerField(
        _("a copy every, seconds"), default=INTERVAL_S, validators=[MinValueValidator(300)]
    )
    grace_s = models.PositiveIntegerField(_("grace, seconds"), default=GRACE_S)
    # Directory
    folder = models.CharField(_("folder"), max_length=400, blank=True)
    name_pattern = models.CharField(_("file name"), max_length=200, blank=True)
    # Bucket; of a pull too, where it writes to one
    endpoint = models.CharField(_("endpoint"), max_length=400, blank=True)
    region = models.CharField(_("region"), max_length=40, blank=True)
    bucket = models.CharField(_("bucket"), max_length=63, blank=True)
    prefix = models.CharField(_("prefix"), max_length=400, blank=True)
    access_key = models.CharField(_("access key"), max_length=128, blank=True)
    secret_key = SealedField(_("secret key"), blank=True)
    # Pull: an account of its own, for it exports the whole dataset
    pull_user = models.CharField(_("user"), max_length=120, blank=True)
    pull_password = SealedField(_("password"), blank=True)
    destination = models.CharField(
        _("kept in"), max_length=10, choices=Destination.choices, default=Destination.DIRECTORY
    )
    bandwidth_bytes_per_s = models.PositiveBigIntegerField(_("bandwidth"), null=True, blank=True)
    keep_hourly = models.PositiveSmallIntegerField(_("hourly copies"), default=0)
    keep_daily = models.PositiveSmallIntegerField(_("daily copies"), default=7)
    keep_weekly = models.PositiveSmallIntegerField(_("weekly copies"), default=4)
    keep_monthly = models.PositiveSmallIntegerField(_("monthly copies"), default=6)
    # How it stands
    last_looked_at = models.DateTimeField(null=True, editable=False)
    last_ok_at = models.DateTimeField(null=True, editable=False)
    last_reason = models.CharField(max_length=40, blank=True, editable=False)
    last_text = models.TextField(blank=True, editable=False)
    next_due_at = models.DateTimeField(null=True, editable=False)  # null: due now
    run_started_at = models.DateTimeField(null=True, editable=False)  # a heartbeat's start signal
    # When our last pull may have made the server save, by the server's clock; no end: not ended well.
    pull_began_at = models.DateTimeField(null=True, editable=False)
    pull_ended_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords(
        excluded_fields=[
            "secret_key",
            "pull_password",
            "last_looked_at",
            "last_ok_at",
            "last_reason",
            "last_text",
            "next_due_at",
            "run_started_at",
            "pull_began_at",
            "pull_ended_at",
        ]
    )

    class Meta:
        verbose_name = _("Backup source")
        verbose_name_plural = _("Backup sources")
        constraints = [
            models.UniqueConstraint(
                fields=["target", "label"],
                name="backup_source_once_per_pair",
                violation_error_message=_("This pair has a source of this label."),
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["directory", "bucket", "heartbeat", "pull"]),
                name="backup_source_kind_known",
            ),
        ]
        indexes = [
            # Dispatch: what is due.
            models.Index(
                fields=["next_due_at"],
                condition=models.Q(is_enabled=True),
                name="backup_source_due",
            ),
        ]

    def __str__(self) -> str:
        return self.label


class Artefact(models.Model):
    """One copy: a file, an object, or what a heartbeat told of. Its state is what reading it proved.

    `version` tells apart what lies one after another under the same key: an object's version, or a
    file's inode, size and time. `content_at` is when the server made the dump, by its own clock;
    `stored_at` when the store took it, by the store's. `keys` is {database: count}, as far as known.
    """

    class State(models.TextChoices):
        SEEN = "seen", _("Not verified yet")
        INTACT = "intact", _("Intact")
        UNCHECKED = "unchecked", _("Whole, without a checksum")
        TRUNCATED = "truncated", _("Truncated")
        CORRUPT = "corrupt", _("Corrupt")
        EMPTY = "empty", _("Empty")
        UNREADABLE = "unreadable", _("Could not be verified")
        REPORTED = "reported", _("Reported, not seen")

    source = models.ForeignKey(BackupSource, on_delete=models.CASCADE, related_name="artefacts")
    key = models.CharField(_("name"), max_length=1024)
    version = models.CharField(max_length=1024, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.SEEN)
    reason = models.CharField(max_length=40, blank=True)  # a code, where it could not be verified
    text = models.TextField(_("what reading it proved"), blank=True)
    seen_at = models.DateTimeField(_("first seen"))
    content_at = models.DateTimeField(_("content of"), null=True)
    stored_at = models.DateTimeField(_("stored"), null=True)
    verified_at = models.DateTimeField(_("verified"), null=True)
    gone_at = models.DateTimeField(_("gone"), null=True)
    stored_bytes = models.BigIntegerField(_("stored size"), null=True)
    size_bytes = models.BigIntegerField(_("size"), null=True)  # unpacked
    sha256 = models.CharField(max_length=64, blank=True)  # as stored
    wrapping = models.CharField(max_length=10, blank=True)
    magic = models.CharField(max_length=10, blank=True)
    rdb_version = models.PositiveIntegerField(null=True)
    server_version = models.CharField(max_length=40, blank=True)
    keys = models.JSONField(default=dict)
    duration_ms = models.BigIntegerField(null=True)  # the pull's, or what a heartbeat told
    # What Redis felt of our pull: PING round trips before it and beside it
    pull_ping_idle_us = models.IntegerField(null=True)
    pull_ping_median_us = models.IntegerField(null=True)
    pull_ping_max_us = models.IntegerField(null=True)

    class Meta:
        verbose_name = _("Artefact")
        verbose_name_plural = _("Artefacts")
        constraints = [
            # Also the index that finds what a listing has seen before.
            models.UniqueConstraint(
                fields=["source", "key", "version"], name="artefact_once_per_source"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=[
                        "seen",
                        "intact",
                        "unchecked",
                        "truncated",
                        "corrupt",
                        "empty",
                        "unreadable",
                        "reported",
                    ]
                ),
                name="artefact_state_known",
            ),
        ]
        indexes = [
            # The sweep: what is too old to keep.
            models.Index(fields=["seen_at"], name="artefact_seen"),
            # The pair's tab and its size trend: the newest of a source.
            models.Index(fields=["source", "-stored_at"], name="artefact_newest"),
        ]

    def __str__(self) -> str:
        return self.key


class CopyGrowth(models.Model):
    """How one source's copies grow, drawn once a day: checks.growth.Growth in columns.

    A source whose copies never told a size has no row; with too few days of copies there is no line.
    """

    source = models.OneToOneField(
        BackupSource, on_delete=models.CASCADE, primary_key=True, related_name="growth"
    )
    made_of = models.DateField()
    days_count = models.SmallIntegerField()  # with a good copy
    last_day = models.IntegerField()  # the newest of them, counted from 1970
    newest_bytes = models.BigIntegerField()  # the largest copy of that day
    level_bytes = models.FloatField(null=True)
    slope_bytes = models.FloatField(null=True)  # a day
    low_bytes = models.FloatField(null=True)
    high_bytes = models.FloatField(null=True)

    class Meta:
        verbose_name = _("Growth of copies")
        verbose_name_plural = _("Growth of copies")
        indexes = [
            # Forecasts: whose copies grow fastest.
            models.Index(
                fields=["-slope_bytes"],
                condition=models.Q(low_bytes__gt=0),
                name="copy_growth_fastest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id}: {self.newest_bytes} B"


class Drill(models.Model):
    """One restore into a scratch server, and what came of it. Keys are {database: count}.

    `families` is {family of EmailEngine's keys: count found}. `lost_s` is the recovery point: what
    would have been lost, had Redis died when the drill began.
    """

    class Outcome(models.TextChoices):
        PASSED = "passed", _("Restored")
        FAILED = "failed", _("Failed")
        NOT_DONE = "not_done", _("Could not be done")

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="drills")
    artefact = models.ForeignKey(
        Artefact, on_delete=models.SET_NULL, null=True, related_name="drills"
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    reason = models.CharField(max_length=40, blank=True)
    text = models.TextField(_("what came of it"), blank=True)
    reader = models.CharField(_("loaded by"), max_length=60, blank=True)  # "valkey 9.1.2"
    load_ms = models.BigIntegerField(_("time to restore"), null=True)
    lost_s = models.BigIntegerField(_("recovery point"), null=True)
    keys = models.JSONField(default=dict)
    artefact_keys = models.JSONField(default=dict)
    live_keys = models.JSONField(default=dict)
    families = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("Restore drill")
        verbose_name_plural = _("Restore drills")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["passed", "failed", "not_done"]),
                name="drill_outcome_known",
            ),
        ]
        indexes = [
            # A pair's last drill, and its tab.
            models.Index(fields=["target", "-ended_at"], name="drill_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} {self.ended_at}"


class DrillPlan(models.Model):
    """When a pair's next drill is due; a pair without a row gets one, spread over the interval."""

    target = models.OneToOneField(
        Target, on_delete=models.CASCADE, primary_key=True, related_name="drill_plan"
    )
    is_enabled = models.BooleanField(_("on"), default=True)
    every_s = models.PositiveIntegerField(
        _("every, seconds"), default=7 * DAY_S, validators=[MinValueValidator(DAY_S)]
    )
    next_due_at = models.DateTimeField()

    class Meta:
        verbose_name = _("Drill plan")
        verbose_name_plural = _("Drill plans")
        indexes = [
            # Dispatch: what is due.
            models.Index(
                fields=["next_due_at"], condition=models.Q(is_enabled=True), name="drill_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.target_id} due {self.next_due_at}"


class BackupJob(models.Model):
    """One verification, pull or drill under way: a lease that its worker renews (jobs.py).

    Of a verification `artefact` is the one asked for; without one the source is looked at, and what
    is new in it is verified. A worker that dies lets its lease run out; the next take has a new
    `claim`, and nothing that goes by an older one is recorded.
    """

    class Kind(models.TextChoices):
        VERIFY = "verify", _("Verification")
        PULL = "pull", _("Pull")
        DRILL = "drill", _("Restore drill")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        LEASED = "leased", _("Under way")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="backup_jobs")
    source = models.ForeignKey(
        BackupSource, on_delete=models.CASCADE, null=True, related_name="jobs"
    )
    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, null=True, related_name="jobs")
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.WAITING
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    made_at = models.DateTimeField(_("made"))
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    cancel_asked_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    holder = models.CharField(_("worker"), max_length=120, blank=True)
    claim = models.PositiveIntegerField(default=0)  # how often it was taken
    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(null=True)  # null: not known
    reason = models.CharField(max_length=40, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("Backup job")
        verbose_name_plural = _("Backup jobs")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["verify", "pull", "drill"]), name="backup_job_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "leased", "done", "failed", "cancelled"]),
                name="backup_job_state",
            ),
            models.UniqueConstraint(
                fields=["kind", "target", "source", "artefact"],
                condition=models.Q(state__in=["waiting", "leased"]),
                name="one_live_backup_job",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            # Dispatch: what waits, and whose lease ran out.
            models.Index(
                fields=["made_at"],
                condition=models.Q(state__in=["waiting", "leased"]),
                name="backup_job_live",
            ),
            # What ended lately: its pair is judged at once. And the sweep.
            models.Index(fields=["ended_at"], name="backup_job_ended"),
            # The pair's tab: what was done lately.
            models.Index(fields=["target", "-made_at"], name="backup_job_of_target"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.get_state_display()}"
