"""python -m tests.live.mail_incident BEGUN SPEED: 200 pairs in trouble, on a clock that runs faster.

Of the pairs 140 fail, 60 of which recover and 20 of these fail again; 30 fail and recover at once,
30 fail under a waiver: nobody is to hear of these.
"""

import sys
import time
from datetime import UTC, datetime, timedelta

import django

django.setup()

from django.db import connection, transaction  # noqa: E402

from fleet.alerts.models import Channel  # noqa: E402
from fleet.findings.models import Finding, Transition, Waiver  # noqa: E402
from fleet.people.models import User  # noqa: E402
from fleet.registry.models import Target, Tenant, Zone  # noqa: E402

TENANTS = 5


class Incident:
    def __init__(self, begun: float, speed: float) -> None:
        self.begun, self.speed = begun, speed

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.begun + (time.time() - self.begun) * self.speed, UTC)

    def wait(self, minutes: float) -> None:
        connection.close()  # the database may be restarted meanwhile
        time.sleep(minutes * 60 / self.speed)

    def pause(self) -> None:
        time.sleep(0.6 / self.speed)

    def register(self, name: str, count: int) -> list[Target]:
        zone = Zone.objects.get(slug="local")
        return [
            Target.objects.create(
                tenant=Tenant.objects.get_or_create(name=f"Tenant {number % TENANTS}")[0],
                zone=zone,
                name=f"{name}-{number:03}",
            )
            for number in range(count)
        ]

    def opens(self, target: Target) -> Finding:
        now = self.now
        finding = Finding.objects.create(
            target=target,
            rule_id="redis.reachable",
            kind="operation",
            state="open",
            severity="critical",
            message="Redis refuses connections",
            short="refused",
            observed="refused",
            required="answers",
            first_seen_at=now,
            opened_at=now,
        )
        self.moved(finding, "opened", "pending")
        return finding

    def moved(self, finding: Finding, cause: str, before: str) -> None:
        Transition.objects.create(
            finding=finding,
            at=self.now,
            cause=cause,
            from_state=before,
            to_state=finding.state,
            from_severity=finding.severity,
            to_severity=finding.severity,
        )

    @transaction.atomic
    def turns(self, finding: Finding, cause: str, state: str, **changes: object) -> None:
        before = finding.state
        finding.state = state
        for name, value in changes.items():
            setattr(finding, name, value)
        finding.save()
        self.moved(finding, cause, before)


def waiver_of(tenant: Tenant, now: datetime) -> Waiver:
    by = User.objects.get_or_create(username="signer")[0]
    return Waiver.objects.get_or_create(
        tenant=tenant,
        rule_id="redis.reachable",
        defaults={
            "severity": "critical",
            "kind": "accepted_risk",
            "reason": "accepted",
            "requested_by": by,
            "requested_at": now,
            "approved_by": by,
            "approved_at": now,
            "expires_at": now + timedelta(days=20),
        },
    )[0]


def main(begun: float, speed: float) -> None:
    told = Incident(begun, speed)
    fail, brief, waived = (
        told.register(name, count) for name, count in (("fail", 140), ("brief", 30), ("waived", 30))
    )
    verified = {"verified_at": told.now, "has_digest": False, "has_weekly": False}
    Channel.objects.create(name="Operators", address="ops@example.com", **verified)
    for tenant in Tenant.objects.all():
        address = f"{tenant.name.replace(' ', '').lower()}@example.com"
        Channel.objects.create(tenant=tenant, name="Contact", address=address, **verified)
    found = []
    for number, target in enumerate(fail):
        with transaction.atomic():
            found.append(told.opens(target))
        if number < len(brief):
            with transaction.atomic():
                one = told.opens(brief[number])
                told.turns(one, "resolved", "resolved", resolved_at=told.now)
            with transaction.atomic():
                one = told.opens(waived[number])
                told.turns(one, "waived", "open", waiver=waiver_of(waived[number].tenant, told.now))
        told.pause()
    told.wait(6.5)
    sys.stdin.readline()  # whoever started us has restarted the database by then
    for finding in found[:60]:
        told.turns(finding, "resolved", "resolved", resolved_at=told.now)
        told.pause()
    told.wait(6)
    for finding in found[:20]:
        told.turns(finding, "opened", "open", opened_at=told.now, resolved_at=None)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
