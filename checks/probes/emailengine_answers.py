"""What do EmailEngine's answers mean? Pure readings of /health, /v1/stats and /metrics.

Units as EmailEngine 2.79.2 really uses them: its pings of Redis are in nanoseconds, although
its published schema says milliseconds, and a ping of 0 is one that failed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from checks.facts import NOT_READ, Missing, Queue, RedisFacts
from checks.probes.prometheus import samples, value
from checks.probes.redis_signs import blocked_writes, lost_data

Fields = dict[str, Any]  # fields of EmailEngineFacts by name

MOST = 2**63 - 1
MAX_ENTRIES = 100
TEXT_LIMIT = 80
OK, UNAUTHORIZED, FORBIDDEN, SERVER_ERROR = 200, 401, 403, 500
VERSION = re.compile(r"v?([0-9]+\.[0-9][0-9A-Za-z.+-]{0,40})")
QUEUE_STATES = ("waiting", "active", "delayed")
NO_PAUSE = Missing("not_configured", "only /v1/stats, with an API token, tells a paused queue")

HEALTH_FIELDS = ("health_status", "health_s", "network_us")
STATS_FIELDS = (
    "version",
    "queues",
    "accounts",
    "redis_ping_us",
    "redis_version",
    "redis_warnings",
    "webhooks_hour",
)
METRICS_FIELDS = (
    "version",
    "queues",
    "accounts",
    "redis_ping_us",
    "redis_version",
    "started_at",
    "uptime_s",
    "license_days_remaining",
    "threads_alive",
    "unresponsive_workers",
    "redis_uptime_s",
    "redis_used_memory_bytes",
    "queues_processed",
    "events",
    "webhooks",
    "redis_keys",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; first_byte_s runs from the request's sending."""

    path: str
    status: int
    body: bytes
    first_byte_s: float
    network_us: float | Missing  # the least round trip the kernel saw: the path alone
    answered_s: float  # Unix time by its Date header


def read_health(answer: Answer) -> Fields:
    """Read /health: its status, and how long its first byte took.

    A 200 that is not EmailEngine's own is another server's: Missing.
    """
    if answer.status == OK and _json(answer.body) != {"success": True}:
        missing = Missing("protocol", "/health answers 200, but not with EmailEngine's words")
        return dict.fromkeys(HEALTH_FIELDS, missing)
    return {
        "health_status": answer.status,
        "health_s": answer.first_byte_s,
        "network_us": answer.network_us,
    }


def refusal(answer: Answer, redis: RedisFacts | Missing) -> Missing | None:
    """Turn any status but 200 into Missing; None for a 200."""
    if answer.status == OK:
        return None
    if answer.status == UNAUTHORIZED:
        return unauthorized(answer, redis)
    if answer.status == FORBIDDEN:
        return Missing("no_permission", f"{answer.path} answers 403: {_wanted(answer)}")
    if 300 <= answer.status < 400:
        return Missing("http_status", f"{answer.path} redirects ({answer.status}): not followed")
    return Missing("http_status", f"{answer.path} answers {answer.status}")


def unauthorized(answer: Answer, redis: RedisFacts | Missing) -> Missing:
    """Say why a token is refused, by what Redis shows.

    EmailEngine writes at each use of a token, so any refused write reads "Bad token" too,
    and so does a token whose record Redis has lost.
    """
    if why := blocked_writes(redis):
        text = f"{answer.path} answers 401, as it does for any token while Redis {why}"
        return Missing("depends_on", text, "redis.accepts-writes")
    if why := lost_data(redis):
        return Missing("auth", f"{answer.path} answers 401, and the token may be lost: {why}")
    return Missing("auth", f"{answer.path} answers 401: the token is revoked or expired")


def read_stats(answer: Answer) -> Fields:
    """Read /v1/stats: version, queues, accounts by state, and EmailEngine's view of Redis."""
    stats = _json(answer.body)
    if not isinstance(stats, dict):
        return dict.fromkeys(STATS_FIELDS, Missing("protocol", "/v1/stats answers no JSON object"))
    return {
        "version": _version(stats.get("version"), "/v1/stats"),
        "queues": _queues_of_stats(stats.get("queues")),
        "accounts": _counts_of_stats(stats.get("connections")),
        "redis_ping_us": _ping_us(stats.get("redisPing")),
        "redis_version": _redis_version(stats.get("redis")),
        "redis_warnings": _warnings(stats.get("redisWarnings")),
        "webhooks_hour": _webhooks_of_stats(stats.get("counters")),
    }


def read_metrics(answer: Answer) -> Fields:
    """Read /metrics: counters, gauges, and when the process started."""
    page = answer.body.decode("utf-8", "replace")
    if "\n# TYPE " not in page and not page.startswith("# "):
        missing = Missing("protocol", "/metrics answers no Prometheus text")
        return dict.fromkeys(METRICS_FIELDS, missing)
    started_s = value(page, "process_start_time_seconds")
    return {
        **_identity(page),
        **_moment(started_s, answer.answered_s),
        "queues": _queues_of_metrics(page),
        "accounts": _counts(page, "imap_connections", ("status",)),
        "redis_ping_us": _latency_us(page),
        "license_days_remaining": _gauge(page, "license_days_remaining"),
        "threads_alive": _threads(page),
        "unresponsive_workers": _gauge(page, "unresponsive_workers"),
        "redis_uptime_s": _gauge(page, "redis_uptime_in_seconds"),
        "redis_used_memory_bytes": _gauge(page, "redis_memory_used_bytes"),
        "queues_processed": _counts(page, "queues_processed", ("queue", "status")),
        "events": _counts(page, "events", ("event",)),
        "webhooks": _webhooks(page),
        "redis_keys": _keys(page),
    }


def merge(stats: Fields, metrics: Fields) -> Fields:
    """Take each field from where it is known, /v1/stats first; else the likelier reason."""
    merged = dict(metrics)
    for name, found in stats.items():
        other = metrics.get(name, NOT_READ)
        merged[name] = other if _says_less(found, other) else found
    return merged


def _says_less(found: object, other: object) -> bool:
    """Tell whether a field of /v1/stats is worth less than that of /metrics."""
    if not isinstance(found, Missing):
        return False
    if not isinstance(other, Missing):
        return True
    is_likelier = other.reason != "not_configured" and other is not NOT_READ
    return found.reason == "not_configured" and is_likelier


def _wanted(answer: Answer) -> str:
    """Name the scope or permission that a 403 asks for; that of /metrics is an HTML page."""
    body = _json(answer.body)
    said: Mapping[str, Any] = body if isinstance(body, dict) else {}
    needed = said.get("requiredPermission")
    if isinstance(needed, dict):
        action, group = _word(needed.get("action")), _word(needed.get("group"))
        return f"the token lacks the permission {action} in the group {group}"
    scope = said.get("requestedScope") or ("metrics" if answer.path == "/metrics" else "api")
    return f"the token lacks the scope {_word(scope)}"


def _json(body: bytes) -> Any:
    """Decode JSON; None for what is none, or is nested beyond reason."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _identity(page: str) -> Fields:
    """Read the versions, which are labels."""
    own = [
        labels["version"]
        for labels, _ in samples(page, "emailengine_config")
        if "version" in labels
    ]
    redis = [labels.get("version") for labels, _ in samples(page, "redis_version")]
    return {
        "version": _version(own[0] if own else None, "/metrics"),
        "redis_version": _redis_version(redis[0] if redis else None),
    }


def _moment(started_s: float | None, answered_s: float) -> Fields:
    """Read when the process started, and for how long it had run by its own host's clock."""
    if started_s is None or not 0 < started_s < 2**33:
        missing = Missing("undetermined", "/metrics has no process_start_time_seconds")
        return {"started_at": missing, "uptime_s": missing}
    return {
        "started_at": datetime.fromtimestamp(started_s, UTC),
        "uptime_s": max(answered_s - started_s, 0.0),
    }


def _queues_of_stats(queues: object) -> tuple[Queue, ...] | Missing:
    if not isinstance(queues, dict):
        return Missing("undetermined", "/v1/stats has no queues")
    found = []
    for name, queue in list(queues.items())[:MAX_ENTRIES]:
        counts = (
            [_whole(queue.get(state)) for state in QUEUE_STATES] if isinstance(queue, dict) else []
        )
        if not counts or None in counts:
            return Missing("undetermined", f"/v1/stats has no counts for the queue {_word(name)}")
        waiting, active, delayed = (count or 0 for count in counts)
        found.append(Queue(_word(name), waiting, active, delayed, _paused(queue.get("isPaused"))))
    return tuple(found)


def _paused(value: object) -> bool | Missing:
    if isinstance(value, bool):
        return value
    return Missing("undetermined", "/v1/stats does not say whether the queue is paused")


def _queues_of_metrics(page: str) -> tuple[Queue, ...] | Missing:
    counts: dict[str, dict[str, int]] = {}
    for labels, number in samples(page, "queue_size"):
        count = _whole(number)
        if count is not None and len(counts) < MAX_ENTRIES:
            counts.setdefault(_word(labels.get("queue")), {})[labels.get("state", "")] = count
    if not counts:
        return Missing("undetermined", "/metrics has no queue_size")
    return tuple(
        Queue(
            name,
            waiting_count=states.get("waiting", 0),
            active_count=states.get("active", 0),
            delayed_count=states.get("delayed", 0),
            is_paused=NO_PAUSE,
        )
        for name, states in counts.items()
    )


def _counts_of_stats(counts: object) -> dict[str, int] | Missing:
    if not isinstance(counts, dict):
        return Missing("undetermined", "/v1/stats has no connections")
    found = {_word(name): _whole(number) for name, number in list(counts.items())[:MAX_ENTRIES]}
    return {name: number for name, number in found.items() if number is not None}


def _counts(page: str, family: str, labels: tuple[str, ...]) -> dict[str, int] | Missing:
    """Read a counter by its labels: {"submit/completed": 5}; one never counted is not there."""
    found: dict[str, int] = {}
    for given, number in samples(page, family):
        count = _whole(number)
        if count is not None and len(found) < MAX_ENTRIES:
            found["/".join(_word(given.get(label)) for label in labels)] = count
    if not found and f"# TYPE {family} " not in page:
        return Missing("undetermined", f"/metrics has no {family}")
    return found


def _webhooks(page: str) -> dict[str, int] | Missing:
    """Sum the webhooks sent by how they ended, whatever event they told of."""
    found: dict[str, int] = {"success": 0, "fail": 0}
    counts = _counts(page, "webhooks", ("status", "event"))
    if isinstance(counts, Missing):
        return counts
    for name, count in counts.items():
        status = name.partition("/")[0]
        if status in found:
            found[status] += count
    return found


def _webhooks_of_stats(counters: object) -> dict[str, int] | Missing:
    """Read the webhooks of the asked-for seconds; what never happened is not there."""
    if not isinstance(counters, dict):
        return Missing("undetermined", "/v1/stats has no counters")
    counts = {name: _whole(counters.get(f"webhooks:{name}", 0)) for name in ("success", "fail")}
    return {name: count for name, count in counts.items() if count is not None}


def _keys(page: str) -> dict[str, int] | Missing:
    """Read the keys per database as EmailEngine's INFO tells them."""
    counts = _counts(page, "redis_key_count", ("db",))
    if isinstance(counts, Missing):
        return counts
    return {name.removeprefix("db"): count for name, count in counts.items()}


def _gauge(page: str, family: str) -> int | Missing:
    count = _whole(value(page, family))
    return Missing("undetermined", f"/metrics has no {family}") if count is None else count


def _threads(page: str) -> int | Missing:
    """Subtract the threads stopped from those started: the gauge `threads` is never reset."""
    started, stopped = _gauge(page, "thread_starts"), _gauge(page, "thread_stops")
    if isinstance(started, Missing):
        return started
    return stopped if isinstance(stopped, Missing) else started - stopped


def _ping_us(nanoseconds: object) -> float | Missing:
    """Convert EmailEngine's own ping; null is its first 10 s, 0 a ping that failed."""
    if nanoseconds is None:
        return Missing("starting", "EmailEngine has not pinged Redis yet")
    if isinstance(nanoseconds, bool) or not isinstance(nanoseconds, int | float):
        return Missing("undetermined", "EmailEngine gives its ping of Redis as no number")
    if not 0 < nanoseconds <= MOST:
        return Missing("undetermined", "EmailEngine's own ping of Redis failed")
    return nanoseconds / 1000


def _latency_us(page: str) -> float | Missing:
    """Read the one PING that EmailEngine makes per scrape; its event loop's lag is in it."""
    nanoseconds = value(page, "redis_latency")
    if nanoseconds is None:
        return Missing("undetermined", "/metrics has no redis_latency")
    return _ping_us(nanoseconds)


def _version(found: object, where: str) -> str | Missing:
    match = VERSION.fullmatch(found) if isinstance(found, str) else None
    return match[1] if match else Missing("undetermined", f"{where} has no version")


def _redis_version(found: object) -> str | Missing:
    """Read the version EmailEngine sees; where its INFO failed, the error stands there."""
    if isinstance(found, str) and (match := VERSION.fullmatch(found)):
        return match[1]
    said = f": {_word(found)}" if isinstance(found, str) and found else ""
    return Missing("undetermined", f"EmailEngine could not read INFO of its Redis{said}")


def _warnings(found: object) -> tuple[tuple[str, str], ...] | Missing:
    if not isinstance(found, list):
        return Missing("undetermined", "/v1/stats has no redisWarnings")
    entries = [entry for entry in found[:MAX_ENTRIES] if isinstance(entry, dict)]
    return tuple((_word(entry.get("key")), _word(entry.get("color"))) for entry in entries)


def _whole(number: object) -> int | None:
    """Return a count that a database column can hold; None for anything else."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return int(number) if -1 <= number <= MOST // 2 else None


def _word(found: object) -> str:
    text = (found if isinstance(found, str) else "?")[:TEXT_LIMIT]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
