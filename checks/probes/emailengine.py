"""One round of questions to one EmailEngine, never two at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from checks.address import EmailEngineAddress
from checks.egress import EgressRules
from checks.facts import NOT_READ, EmailEngineFacts, Missing, RedisFacts
from checks.probes.emailengine_answers import (
    HEALTH_FIELDS,
    METRICS_FIELDS,
    OK,
    SERVER_ERROR,
    STATS_FIELDS,
    Answer,
    Fields,
    merge,
    read_health,
    read_metrics,
    read_stats,
    refusal,
)
from checks.probes.http import DEADLINE_S, Clients, fetch

HEALTH, STATS, METRICS = "/health", "/v1/stats", "/metrics"
QUERIES: Mapping[str, str] = {STATS: "?seconds=3600"}
SHOWN_BYTES: Final = 65_536
UNSHOWN: Final = ("#", "nodejs_", "process_", "redis_command")  # three quarters of the page
DEFAULT_RULES: Final = EgressRules()
Raw = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EmailEngineTarget:
    """One instance to visit; a token that is "" is not registered."""

    address: EmailEngineAddress
    key_prefix: str = ""
    metrics_token: str = field(default="", repr=False)
    api_token: str = field(default="", repr=False)
    rules: EgressRules = DEFAULT_RULES
    deadline_s: float = DEADLINE_S


@dataclass(frozen=True, slots=True)
class EmailEngineReading:
    """What a round brought: the facts, and the texts they were read from."""

    facts: EmailEngineFacts
    raw: Raw = ()


async def probe_emailengine(
    target: EmailEngineTarget,
    clients: Clients,
    *,
    with_stats: bool,
    redis: RedisFacts | Missing,
    deadline_s: float | None = None,
) -> EmailEngineReading:
    """Ask /health; then, with_stats, /v1/stats with the API token and /metrics with the other.

    One request at a time per instance, all within deadline_s (the target's own, 10 s, where it is
    None), no retry, no redirect, 1 MiB an answer. /health costs EmailEngine's Redis 6 commands,
    the others 65 more, and they write: the time of a token's last use.
    redis is the evidence by which a 401 is judged. Tokens go only to what answers /health as
    EmailEngine does.
    """
    round_ = _Round(target, clients.session(target.rules), redis)
    within_s = target.deadline_s if deadline_s is None else deadline_s
    asked = round_.run if with_stats else round_.health
    late = await clients.alone(target.address.url, asked, within_s)
    if late is not None:
        round_.abandon(Missing("timeout", f"EmailEngine: {late}"))
    return round_.reading(with_stats=with_stats)


class _Round:
    """One round under way: what was learnt so far."""

    def __init__(
        self,
        target: EmailEngineTarget,
        session: aiohttp.ClientSession,
        redis: RedisFacts | Missing,
    ) -> None:
        self._target = target
        self._session = session
        self._redis = redis
        self._late: Missing | None = None
        self._health: Fields | None = None
        self._stats: Fields | None = None
        self._metrics: Fields | None = None
        self._raw: list[tuple[str, str]] = []

    async def run(self) -> None:
        """Ask all that is to be asked, in order; what /health tells decides about the rest."""
        await self.health()
        closed = self._closed()
        if closed is not None:
            self._stats, self._metrics = _all(STATS_FIELDS, closed), _all(METRICS_FIELDS, closed)
            return
        self._stats = await self._ask(STATS, self._target.api_token, STATS_FIELDS, read_stats)
        self._metrics = await self._ask(
            METRICS, self._target.metrics_token, METRICS_FIELDS, read_metrics
        )

    async def health(self) -> None:
        """Ask /health, which needs no token."""
        answer = await self._get(HEALTH, "")
        if self._late is None:
            self._health = (
                _all(HEALTH_FIELDS, answer) if isinstance(answer, Missing) else read_health(answer)
            )

    def abandon(self, late: Missing) -> None:
        """Stop after the request under way; what is not known yet stays missing."""
        self._late = late

    def reading(self, *, with_stats: bool) -> EmailEngineReading:
        """Put together what is known now."""
        late = self._late or NOT_READ
        health = self._health or _all(HEALTH_FIELDS, late)
        fields: Fields = {}
        if with_stats:
            stats = self._stats or _all(STATS_FIELDS, late)
            fields = merge(stats, self._metrics or _all(METRICS_FIELDS, late))
        target = self._target
        facts = EmailEngineFacts(target.address.origin, target.key_prefix, **health, **fields)
        return EmailEngineReading(facts, tuple(self._raw))

    def _closed(self) -> Missing | None:
        """Say why nothing but /health is to be asked; None where EmailEngine answered it."""
        if self._late is not None:
            return self._late
        status: int | Missing = (self._health or {})["health_status"]
        if isinstance(status, Missing):
            return status
        if status in (OK, SERVER_ERROR):
            return None
        return Missing("http_status", f"/health answers {status}: nothing else is asked")

    async def _ask(
        self, path: str, token: str, names: tuple[str, ...], read: Callable[[Answer], Fields]
    ) -> Fields:
        """Ask one path with its token, and read the answer into fields."""
        if not token:
            return _all(names, NO_TOKENS[path])
        if self._late is not None:
            return _all(names, self._late)
        answer = await self._get(path, token)
        if isinstance(answer, Missing):
            return _all(names, answer)
        refused = refusal(answer, self._redis)
        return read(answer) if refused is None else _all(names, refused)

    async def _get(self, path: str, token: str) -> Answer | Missing:
        """Ask, and keep the answer's text."""
        url = self._target.address.url + path + QUERIES.get(path, "")
        answer = await fetch(self._session, url, path, token)
        if isinstance(answer, Answer) and self._late is None:
            self._raw.append((f"GET {path}", _shown(answer)))
        return answer


NO_TOKENS: Mapping[str, Missing] = {
    STATS: Missing("not_configured", "no API token is registered"),
    METRICS: Missing("not_configured", "no metrics token is registered"),
}


def _all(names: tuple[str, ...], missing: Missing) -> Fields:
    return dict.fromkeys(names, missing)


def _shown(answer: Answer) -> str:
    """Write an answer as evidence: its status and its text, bounded."""
    text = answer.body[:SHOWN_BYTES].decode("utf-8", "replace").replace("\0", "?")
    if answer.path == METRICS and answer.status == OK:
        kept = (line for line in text.split("\n") if line and not line.startswith(UNSHOWN))
        text = "\n".join(kept)
    return f"HTTP {answer.status}\n{text}"
