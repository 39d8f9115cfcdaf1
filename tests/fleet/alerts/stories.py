"""What happens to pairs, told in time: findings move, the clock goes on, mails arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fleet.alerts import alarms, gather, periodic, reminders, route, send, watch
from fleet.alerts.models import Channel, Delivery, Mail
from fleet.findings.models import Finding, Transition
from fleet.registry.models import Pair
from tests.fleet.factories import make_finding, make_tenant

START = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
# As often as beat calls us, and more seldom in long stories, where it makes no difference.
PACES = (
    (timedelta(minutes=1), timedelta(seconds=5)),
    (timedelta(minutes=3), timedelta(seconds=15)),
    (timedelta(hours=1), timedelta(seconds=60)),
    (timedelta(days=30), timedelta(minutes=10)),
)
OPS = "ops@example.com"
NORTHWIND = "ops@northwind.example"


def make_channel(tenant: str | None = "Northwind Mail", address=NORTHWIND, **fields) -> Channel:
    """A verified channel of a tenant; of None: the operators'."""
    channel = Channel.objects.create(
        tenant=make_tenant(tenant) if tenant else None,
        address=address,
        **{
            "name": "Operations" if tenant else "Operators",
            "verified_at": START - timedelta(days=30),
            "has_digest": False,
            "has_weekly": False,
            **fields,
        },
    )
    Channel.objects.filter(pk=channel.pk).update(created_at=START - timedelta(days=30))
    return channel


class Story:
    """A clock, an inbox, and the moves of findings, each with its transition."""

    def __init__(self, inbox) -> None:
        self.now = self.reminded_at = START
        self.inbox = inbox

    def after(self, **span) -> Story:
        """Let time pass, with our tasks at their pace."""
        end = self.now + timedelta(**span)
        step = next(step for most, step in PACES if end - self.now <= most)
        while self.now < end:
            self.now = min(self.now + step, end)
            self.tick()
        return self

    def tick(self) -> None:
        """Run each task once."""
        route.route(self.now)
        gather.gather(self.now)
        if self.now - self.reminded_at >= timedelta(minutes=1):
            self.reminded_at = self.now
            self.minute()
        while send.send_one(lambda: self.now):
            pass

    def minute(self) -> None:
        for step in (
            reminders.remind,
            periodic.make_digests,
            periodic.make_reports,
            periodic.warn_of_ending,
            watch.watch,
            alarms.mail_alarms,
        ):
            step(self.now)

    def opens(self, pair: Pair, **fields) -> Finding:
        return make_finding(pair, now=self.now, **{"opened_at": self.now, **fields})

    def opens_again(self, finding: Finding) -> None:
        self._move(finding, "opened", state="open", opened_at=self.now, resolved_at=None)

    def resolves(self, finding: Finding, cause: str = "resolved", **fields) -> None:
        self._move(finding, cause, state="resolved", resolved_at=self.now, **fields)

    def turns(self, finding: Finding, severity: str) -> None:
        self._move(finding, "severity", severity=severity)

    def flaps(self, finding: Finding) -> None:
        self._move(finding, "flapping", flapping_since=self.now)

    def calms(self, finding: Finding) -> None:
        self._move(finding, "calm", flapping_since=None)

    def leaves(self, finding: Finding, cause: str, **changes) -> None:
        self._move(finding, cause, **changes)

    def _move(self, finding: Finding, cause: str, **changes) -> None:
        before = {"from_state": finding.state, "from_severity": finding.severity}
        for name, value in changes.items():
            setattr(finding, name, value)
        finding.save()
        Transition.objects.create(
            finding=finding,
            cause=cause,
            at=self.now,
            to_state=finding.state,
            to_severity=finding.severity,
            **before,
        )

    def subjects(self, to: str = NORTHWIND) -> list[str]:
        return self.inbox.subjects(to)

    def fates(self) -> list[tuple[str, str]]:
        """State and reason of every delivery, in order."""
        return list(Delivery.objects.order_by("pk").values_list("state", "reason"))

    def mails(self) -> list[tuple[str, str]]:
        return list(Mail.objects.order_by("pk").values_list("kind", "state"))
