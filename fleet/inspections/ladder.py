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

from django.db.models import Max, Q

from fleet.inspections.models import ConnectionTest
from fleet.inspections.schedule import WORKER_SEEN
from fleet.registry.models import Pair, Worker
from fleet.registry.sealed import SecretError, is_stored_form

WITHIN: Final = timedelta(seconds=20)  # a test not finished by then got no answer
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
class Silence:
    """Why nothing was learnt of the pair; `seen_at` is when a worker of the zone was seen last.

    no_worker: none was seen in the zone for a minute, so nothing was tried · no_answer: one was,
    but gave no result in time, and nobody knows how far it got.
    """

    reason: Literal["no_worker", "no_answer"]
    seen_at: datetime | None


@dataclass(frozen=True)
class Ladder:
    """The rungs in order, and the zone they were tried from; none where there was but silence."""

    zone: str
    rungs: tuple[Rung, ...]
    silence: Silence | None = None

    @property
    def is_ok(self) -> bool:
        """Tell whether it was tried and no rung failed."""
        return self.silence is None and self.failed is None

    @property
    def failed(self) -> Rung | None:
        """The first rung that failed."""
        return next((rung for rung in self.rungs if rung.state == "failed"), None)


def start_test(draft: Draft, zone_id: int, now: datetime, asked_by_id: int | None = None) -> int:
    """Ask a worker of the zone to try a draft; returns the test's id. Old tests are swept away.

    Where no worker was seen in the zone for a minute, read_test says so at once (no_worker).
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

    Where no worker was seen in the zone, and after 20 s without a result, it has no rungs but says
    why. Raises ConnectionTest.DoesNotExist for another's or an expired test.
    """
    test = ConnectionTest.objects.select_related("zone").get(
        Q(expires_at__gte=now), pk=test_id, asked_by_id=asked_by_id
    )
    if test.result is not None:
        return Ladder(test.zone.slug, tuple(Rung(**rung) for rung in test.result))
    silence = _silence(test, now)
    return Ladder(test.zone.slug, (), silence) if silence else None


def _silence(test: ConnectionTest, now: datetime) -> Silence | None:
    """Say why there is no result and will be none; None = it may still come."""
    seen_at = Worker.objects.filter(zone=test.zone).aggregate(at=Max("last_seen_at"))["at"]
    if seen_at is None or now - seen_at > WORKER_SEEN:
        return Silence("no_worker", seen_at)
    return Silence("no_answer", seen_at) if now - test.asked_at > WITHIN else None


def to_json(rungs: tuple[Rung, ...]) -> list[dict[str, Any]]:
    """Give the rungs as they are stored."""
    return [asdict(rung) for rung in rungs]
