"""Test connection: what a pair's address and secrets would give, rung by rung, before it is saved.

How a page uses it: `test_id = start_test(draft, zone_id, now)`, then `read_test(test_id, …)` every
half second until it is a ladder (about 3 s, at most 20 s), then show the rungs. The test is run
by a worker of the pair's probe zone, for only there does the answer mean something; the web process
opens no connection. Secrets in a draft are in their stored form (fleet.registry.sealed.seal).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.db.models import Q

from fleet.inspections.models import ConnectionTest
from fleet.registry.models import Pair, Worker
from fleet.registry.sealed import SecretError, is_stored_form

WITHIN: Final = timedelta(seconds=20)  # a test not finished by then failed
KEPT: Final = timedelta(minutes=10)
SECRETS: Final = ("redis_password", "metrics_token", "api_token")

Step = Literal["name", "connection", "tls", "sign_in", "rights", "emailengine"]
STEPS: Final[tuple[Step, ...]] = (
    "name",
    "connection",
    "tls",
    "sign_in",
    "rights",
    "emailengine",
)


@dataclass(frozen=True)
class Draft:
    """What would be registered: the columns of Pair, secrets sealed or references, never in clear."""

    redis_url: str
    redis_password: str = field(default="", repr=False)
    redis_ca: str = field(default="", repr=False)
    redis_tls_verify: bool = True
    redis_tls_name: str = ""
    sentinel_addresses: tuple[str, ...] = ()
    sentinel_master: str = ""
    emailengine_url: str = ""
    emailengine_prefix: str = ""
    metrics_token: str = field(default="", repr=False)
    api_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in SECRETS:
            if not is_stored_form(getattr(self, name)):
                raise SecretError(f"{name} of a draft must be sealed or a reference")

    @classmethod
    def of(cls, pair: Pair) -> Draft:
        """Take the draft of a pair, saved or not."""
        return cls(**{name: getattr(pair, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Rung:
    """One step: `learnt` is what it told (English, no secret), `reason` a reason code where it failed.

    ok · failed · warned (works, but less can be verified) · skipped (has no meaning here, such as
    TLS on redis://) · not_tried (a step before it failed).
    """

    step: Step
    state: Literal["ok", "failed", "warned", "skipped", "not_tried"]
    learnt: str = ""
    reason: str = ""
    ms: float | None = None


@dataclass(frozen=True)
class Ladder:
    """The rungs in order, and the zone they were tried from; ok = no rung failed."""

    zone: str
    rungs: tuple[Rung, ...]

    @property
    def is_ok(self) -> bool:
        return self.failed is None

    @property
    def failed(self) -> Rung | None:
        """The first rung that failed."""
        return next((rung for rung in self.rungs if rung.state == "failed"), None)


def start_test(draft: Draft, zone_id: int, now: datetime, asked_by_id: int | None = None) -> int:
    """Ask a worker of the zone to try a draft; returns the test's id. Old tests are swept away.

    Where no worker was seen in the zone for a minute, the ladder says so at once (no_worker).
    """
    ConnectionTest.objects.filter(expires_at__lt=now).delete()
    test = ConnectionTest.objects.create(
        zone_id=zone_id,
        asked_by_id=asked_by_id,
        asked_at=now,
        expires_at=now + KEPT,
        draft=asdict(draft),
    )
    return test.pk


def read_test(test_id: int, now: datetime, asked_by_id: int | None = None) -> Ladder | None:
    """Give the ladder of a test, or None while it runs. Only who asked may read it.

    After 20 s without a result the first rung has failed with `timeout`, or `no_worker` where
    none was seen in the zone. Raises ConnectionTest.DoesNotExist for another's or an expired test.
    """
    test = ConnectionTest.objects.select_related("zone").get(
        Q(expires_at__gte=now), pk=test_id, asked_by_id=asked_by_id
    )
    if test.result is not None:
        return Ladder(test.zone.slug, tuple(Rung(**rung) for rung in test.result))
    reason = _silence(test, now)
    if reason is None:
        return None
    return Ladder(test.zone.slug, _unanswered(*reason))


def _silence(test: ConnectionTest, now: datetime) -> tuple[str, str] | None:
    """Say why there is no result and will be none: (reason, text); None = it may still come."""
    seen = Worker.objects.filter(zone=test.zone).order_by("-last_seen_at").first()
    if seen is None:
        return "no_worker", f"no worker was ever seen in zone {test.zone.slug}"
    silent = now - seen.last_seen_at
    if silent > timedelta(seconds=60):
        return "no_worker", f"no worker seen in zone {test.zone.slug} for {_minutes(silent)} min"
    if now - test.asked_at > WITHIN:
        return "timeout", f"no worker of zone {test.zone.slug} answered within {WITHIN.seconds} s"
    return None


def _minutes(age: timedelta) -> int:
    return max(1, int(age.total_seconds() // 60))


def _unanswered(reason: str, text: str) -> tuple[Rung, ...]:
    first, *others = STEPS
    return (Rung(first, "failed", text, reason), *(Rung(step, "not_tried") for step in others))


def to_json(rungs: tuple[Rung, ...]) -> list[dict[str, Any]]:
    """Give the rungs as they are stored."""
    return [asdict(rung) for rung in rungs]
