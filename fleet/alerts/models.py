"""Who is told of what: channels, what each was sent and knows, and what ails the portal itself."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from fleet.findings.models import Finding, Transition
from fleet.people.models import validate_time_zone
from fleet.registry.models import Target, Tenant
from fleet.registry.sealed import SealedField


class Channel(models.Model):
    """One way to one recipient, and what it wants to hear; without a tenant it is the operators'.

    Empty `environments` and `subjects` mean all of them; a subject is what a rule id begins with.
    Nothing but its own verification goes to a channel that is not verified, or was stopped.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", _("Mail")
        WEBHOOK = "webhook", _("Webhook")

    class Severity(models.TextChoices):
        WARNING = "warning", _("Critical and warning")
        CRITICAL = "critical", _("Critical only")

    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="channels",
        verbose_name=_("tenant"),
        help_text=_("Empty: the operators', who hear of every tenant and of the portal."),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.EMAIL)
    name = models.CharField(_("name"), max_length=120)
    address = models.CharField(_("address"), max_length=400)  # a mail address, or a URL
    key = SealedField(_("signing key"), blank=True)  # webhooks only
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="channels",
        verbose_name=_("person"),
    )
    min_severity = models.CharField(
        _("severity"), max_length=10, choices=Severity.choices, default=Severity.WARNING
    )
    environments = ArrayField(
        models.CharField(max_length=40), verbose_name=_("environments"), default=list, blank=True
    )
    subjects = ArrayField(
        models.CharField(max_length=20), verbose_name=_("subjects"), default=list, blank=True
    )
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )
    has_digest = models.BooleanField(_("daily digest"), default=True)
    digest_hour = models.PositiveSmallIntegerField(
        _("digest hour"), default=8, validators=[MaxValueValidator(23)]
    )
    has_weekly = models.BooleanField(_("weekly report"), default=True)  # tenants' channels only
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True, editable=False)
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True, editable=False)
    digested_at = models.DateTimeField(null=True, editable=False)  # the last digest was made then
    reported_at = models.DateTimeField(null=True, editable=False)  # the last weekly report
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords(excluded_fields=["key", "digested_at", "reported_at"])

    class Meta:
        verbose_name = _("Channel")
        verbose_name_plural = _("Channels")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind", "address"],
                name="channel_once_per_tenant",
                nulls_distinct=False,
                violation_error_message=_("There is a channel to this address already."),
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["email", "webhook"]), name="channel_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(min_severity__in=["warning", "critical"]),
                name="channel_severity_known",
            ),
            models.CheckConstraint(
                condition=models.Q(digest_hour__lte=23), name="channel_hour_is_of_a_day"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_told(self) -> bool:
        """Tell whether anything may be sent there."""
        return self.verified_at is not None and self.stopped_at is None


class Mail(models.Model):
    """One message to one channel, which groups what happened; composed anew at each attempt.

    `message_id` is settled when the row is made, so that a second copy of it is told as one.
    Waiting: due at next_attempt_at. Leased: a sender has it until lease_until, then another may.
    Dead: given up, until somebody retries. Cancelled: all it would have said fell away.
    `root` is the first mail of its thread, empty on that one.
    """

    class Kind(models.TextChoices):
        ALERT = "alert", _("Findings of a tenant")
        FLEET = "fleet", _("Findings across the fleet")
        REMINDER = "reminder", _("Reminder")
        DIGEST = "digest", _("Daily digest")
        WEEKLY = "weekly", _("Weekly report")
        WAIVERS = "waivers", _("Waivers that end soon")
        PORTAL = "portal", _("The portal itself")
        TEST = "test", _("Test")
        VERIFICATION = "verification", _("Verification of an address")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        LEASED = "leased", _("Being sent")
        SENT = "sent", _("Sent")
        DEAD = "dead", _("Given up")
        CANCELLED = "cancelled", _("Cancelled")

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="mails")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="mails")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    message_id = models.CharField(_("message id"), max_length=200, unique=True)
    root = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="replies")
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.WAITING
    )
    covers = models.JSONField(default=list)  # fleet mails: [direction, rule id, zone id] each
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    made_at = models.DateTimeField(_("made"))
    first_tried_at = models.DateTimeField(_("first tried"), null=True)
    next_attempt_at = models.DateTimeField(_("next attempt"))
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(_("sent"), null=True)
    # An attempt ended without an answer: the mail may have been taken.
    is_doubtful = models.BooleanField(default=False, db_default=False)
    # The server, not this mail, was in the way: the next mail it takes makes this one due.
    awaits_server = models.BooleanField(default=False, db_default=False)
    error = models.TextField(_("last error"), blank=True)
    answer = models.CharField(  # what the other side said on taking it
        _("answer"), max_length=300, blank=True, db_default=""
    )
    # What its last attempt said: its links lead to exactly these. Null: it is about no findings.
    finding_ids = ArrayField(models.BigIntegerField(), null=True)
    subject = models.CharField(_("subject"), max_length=400, blank=True)
    text = models.TextField(_("text"), blank=True)  # as it was last sent
    html = models.TextField(_("HTML"), blank=True)

    class Meta:
        verbose_name = _("Delivery")
        verbose_name_plural = _("Deliveries")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "leased", "sent", "dead", "cancelled"]),
                name="mail_state_known",
            ),
        ]
        indexes = [
            # The sender: what is due, or whose lease ran out.
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(state__in=["waiting", "leased"]),
                name="mail_unsent",
            ),
            # Grouping: the last mail to one channel about one tenant; the hourly cap.
            models.Index(fields=["channel", "tenant", "-made_at"], name="mail_of_channel"),
            # Retention: what is old and still has its wording.
            models.Index(fields=["made_at"], condition=~models.Q(text=""), name="mail_worded"),
            # The log: the newest first.
            models.Index(fields=["-made_at"], name="mail_newest"),
            # The overview: how many were given up, and when the last one was taken.
            models.Index(
                fields=["channel"], condition=models.Q(state="dead"), name="mail_given_up"
            ),
            models.Index(
                fields=["-sent_at"], condition=models.Q(state="sent"), name="mail_last_sent"
            ),
        ]

    def __str__(self) -> str:
        return self.subject or self.get_kind_display()

    @property
    def is_trimmed(self) -> bool:
        """Tell whether it was written once, and its wording is past retention."""
        return bool(self.subject) and not self.text


class Delivery(models.Model):
    """One transition on its way to one channel: written once, together with the routed mark.

    Waiting: to be grouped. Mailed: in `mail`, which may still be unsent. Dropped: `reason` says why
    there was nothing to tell any more.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        MAILED = "mailed", _("In a mail")
        DROPPED = "dropped", _("Not mailed")

    transition = models.ForeignKey(Transition, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.WAITING
    )
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    mail = models.ForeignKey(Mail, on_delete=models.SET_NULL, null=True, related_name="deliveries")
    made_at = models.DateTimeField(_("made"))

    class Meta:
        verbose_name = _("Told move")
        verbose_name_plural = _("Told moves")
        constraints = [
            models.UniqueConstraint(
                fields=["transition", "channel"], name="delivery_once_per_channel"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "mailed", "dropped"]),
                name="delivery_state_known",
            ),
        ]
        indexes = [
            # Grouping: what waits.
            models.Index(
                fields=["channel"], condition=models.Q(state="waiting"), name="delivery_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()} {self.reason}".strip()


class Told(models.Model):
    """What a channel was last told of one rule on one target: written when a mail was accepted.

    It makes news a difference: who was told nothing hears no recovery, and what opened and resolved
    while mail waited is told to nobody. `told_at` holds the last times, newest last.
    """

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="told")
    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="told")
    rule_id = models.CharField(_("rule"), max_length=80)
    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, related_name="told")
    mail = models.ForeignKey(Mail, on_delete=models.SET_NULL, null=True, related_name="told")
    is_open = models.BooleanField(_("open"))
    severity = models.CharField(_("severity"), max_length=10)
    opened_at = models.DateTimeField(_("opened"), null=True)  # which opening of the finding
    is_flapping = models.BooleanField(default=False)  # the notice of flapping was the last
    told_at = ArrayField(models.DateTimeField(), default=list)
    reminders_count = models.PositiveSmallIntegerField(_("reminders"), default=0)
    next_reminder_at = models.DateTimeField(_("next reminder"), null=True)

    class Meta:
        verbose_name = _("Told")
        verbose_name_plural = _("Told")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "target", "rule_id"], name="told_once_per_rule"
            ),
        ]
        indexes = [
            # Reminders: what is due.
            models.Index(
                fields=["next_reminder_at"],
                condition=models.Q(is_open=True),
                name="told_reminders",
            ),
        ]

    def __str__(self) -> str:
        return self.rule_id


class PortalAlarm(models.Model):
    """A fault of the portal itself through time: shown as a banner, mailed to operators once.

    `key` names the fault and its place, such as `mail.refusing` or `zone.eu-1.no-worker`.
    """

    key = models.CharField(_("key"), max_length=120)
    since = models.DateTimeField(_("since"))
    text = models.TextField(_("what"))
    cure = models.TextField(_("what to do"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    mailed_at = models.DateTimeField(_("mailed"), null=True)  # when its mails were made

    class Meta:
        verbose_name = _("Portal alarm")
        verbose_name_plural = _("Portal alarms")
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(ended_at=None), name="one_live_alarm_per_key"
            ),
        ]

    def __str__(self) -> str:
        return self.text


class Turn(models.Model):
    """When one of our tasks last came to its end, by its name: routing, sending."""

    name = models.CharField(primary_key=True, max_length=20)
    ended_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


def new_message_id() -> str:
    """Make a Message-ID in the domain mail is sent from, once per mail. Source: RFC 5322 3.6.4."""
    return f"<{uuid.uuid4().hex}@{settings.MAIL_DOMAIN}>"
