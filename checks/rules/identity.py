"""Is it the Redis that EmailEngine lives on, and its alone? Who is at the other end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checks.facts import (
    BullClient,
    EmailEngineFacts,
    Missing,
    PairFacts,
    RedisFacts,
    known,
    readable,
)
from checks.render import duration
from checks.rule import (
    JSON,
    Cadence,
    Code,
    Confirm,
    Effect,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from checks.rules.emailengine import STARTING_S, started
from checks.rules.queues import DOCUMENTS, NOTIFY, SUBMIT, worker_name

_NOTHING = "Nothing to undo."
_CLIENTS = Code("CLIENT LIST")

# --- The same Redis

OTHER_SERVER = Remediation(
    when="EmailEngine uses another server",
    why="What we watch is not what EmailEngine uses: every green lamp of this Redis says nothing "
    "about its mail.",
    do="Register the Redis that EmailEngine uses",
    now=(
        "Compare the pair's Redis address with EENGINE_REDIS (or dbs.redis) of EmailEngine.",
        "Behind a name or a proxy with several servers, register the one that writes go to.",
    ),
    durable="Change both addresses together whenever the Redis moves.",
    verify=(
        Code("INFO server"),
        "must show the uptime that EmailEngine's /metrics gives as redis_uptime_in_seconds.",
    ),
    risk="Until this is put right a fault of the real Redis is not seen here.",
    undo="Register the former address again.",
    effect=Effect.NONE,
)
FAILED_OVER = Remediation(
    when="a failover",
    why="Another server has taken over. What the old one had not passed on yet is lost.",
    do="See whether the failover was meant, and whether all data came along",
    now=(
        "See rule pair.data-intact: it compares accounts and keys with what was there before.",
        "Restart EmailEngine if its queue workers did not come back (emailengine.queue-workers).",
    ),
    durable="Let min-replicas-to-write bound what a failover can lose.",
    verify=(Code("INFO replication"), "must show role:master and the replicas that belong here."),
    risk="A former primary that returns must become a replica, or two servers take writes.",
    undo=_NOTHING,
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class SameLimits(Limits):
    """How far two readings of one server may lie apart."""

    most_uptime_apart_s: int = 30
    least_keys_apart_count: int = 100
    most_keys_apart_ratio: float = 0.5


@rule(
    id="pair.same-redis",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="EmailEngine uses the Redis that is registered",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{state}",
    required="the same server",
    reads="GET /v1/stats and /metrics: about 65 Redis commands on its side; INFO",
    limits=SameLimits(),
    event=True,
    remediation={"other-server": OTHER_SERVER, "failover": FAILED_OVER},
)
def same_redis(facts: PairFacts, limits: SameLimits) -> Verdict:
    """Compare what EmailEngine tells of its Redis with what we read: uptime, version, keys.

    Two servers seldom started in the same half minute; the keys of this database tell twins
    apart. A run id that moved while the new server remembers the old one's replication id is a
    failover. EmailEngine's view comes with its metrics: without them nothing can be told.

    Source: ours; both read INFO within one visit, 15 s at most.
    """
    redis, emailengine = known(facts.redis), started(facts)
    own, theirs = known(redis.uptime_s), known(emailengine.redis_uptime_s)
    if min(own, theirs) < STARTING_S:
        return unknown("starting", "Redis has just started: its first minute is not judged")
    apart_s = abs(own - theirs)
    seen = _views(redis, emailengine, apart_s)
    if apart_s > limits.most_uptime_apart_s:
        return _other(f"up for {duration(own)} here, {duration(theirs)} there", seen)
    if _has_other_version(redis, emailengine):
        text = "EmailEngine's Redis has the same uptime and another version: it cannot be told"
        return unknown("undetermined", text, **seen)
    here, there = _keys(redis, emailengine)
    most = max(here, there)
    has_other_keys = abs(here - there) > most * limits.most_keys_apart_ratio
    if has_other_keys and abs(here - there) >= limits.least_keys_apart_count:
        return _other(f"{here:,} keys here, {there:,} there", seen)
    if not isinstance(facts.since, Missing) and facts.since.is_failed_over is True:
        return failed(
            "Redis failed over: another server has taken this one's place since the last visit; "
            "that must be meant",
            short="Redis failed over",
            severity=Severity.INFO,
            cause="failover",
            state="a failover",
            **seen,
        )
    return passed(state="the same server", **seen)


def _other(how: str, seen: dict[str, JSON]) -> Verdict:
    return failed(
        f"EmailEngine uses another Redis than the registered one ({how}); it must be the same",
        short="EmailEngine uses another Redis",
        severity=Severity.CRITICAL,
        cause="other-server",
        state=how,
        **seen,
    )


def _views(redis: RedisFacts, emailengine: EmailEngineFacts, apart_s: float) -> dict[str, JSON]:
    return readable(
        uptime_apart_s=apart_s,
        redis_version=redis.compatibility_version,
        emailengine_sees_version=emailengine.redis_version,
        used_memory_bytes=redis.used_memory_bytes,
        emailengine_sees_bytes=emailengine.redis_used_memory_bytes,
    )


def _has_other_version(redis: RedisFacts, emailengine: EmailEngineFacts) -> bool:
    theirs = emailengine.redis_version
    own = [one for one in (redis.compatibility_version, redis.version) if isinstance(one, str)]
    return isinstance(theirs, str) and bool(own) and theirs not in own


def _keys(redis: RedisFacts, emailengine: EmailEngineFacts) -> tuple[int, int]:
    """Return the keys of this database as we and as EmailEngine see them."""
    own, theirs = known(redis.keys_by_database), known(emailengine.redis_keys)
    name = str(redis.database)
    return own.get(name, 0), theirs.get(name, 0)


# --- One EmailEngine

TWO_INSTANCES = Remediation(
    why="EmailEngine does not share its database: two of them watch the same mailboxes, send "
    "webhooks twice and undo each other's state.",
    do="Stop all but one EmailEngine on this database",
    now=(
        "Find the instances on these hosts: {hosts}.",
        (
            "Stop all but one, or give each its own database (EENGINE_REDIS) or prefix "
            "(EENGINE_REDIS_PREFIX)."
        ),
        (_CLIENTS),
    ),
    durable="Let the deployment run one replica, and end the old one before the new one starts.",
    verify=(_CLIENTS, "must show the names {names} from one address only."),
    risk="Accounts that the stopped instance held synchronise anew on the other.",
    undo="Start it again, with a database of its own.",
    effect=Effect.NONE,
)
_QUEUES: Final = (NOTIFY, SUBMIT, DOCUMENTS, "export")


@rule(
    id="pair.single-instance",
    kind=Kind.OPERATION,
    group=Group.PERSISTENCE,
    title="One EmailEngine uses this database and prefix",
    severity=Severity.CRITICAL,
    source="EE",
    observed="{instances_count} ({hosts})",
    required="one",
    reads="CLIENT LIST: one command, its answer grows with the clients",
    opens=Confirm(3, 3),
    remediation=TWO_INSTANCES,
)
def single_instance(facts: PairFacts, _: Limits) -> Verdict:
    """Count the EmailEngines whose queue connections this database and prefix have.

    Each host of a worker's or an event reader's connection is one; so is each reader of the
    notify queue, of which an instance has exactly one. Confirmed three times, so that a restart
    that overlaps, or a dead connection not yet closed, is none.

    Source: EE, one instance per database and prefix; there is no horizontal scaling.
    """
    redis, emailengine = known(facts.redis), known(facts.emailengine)
    names = [worker_name(queue, emailengine.key_prefix) for queue in _QUEUES]
    ours = {*names, *(f"{name}:qe" for name in names)}
    mine = [one for one in known(redis.bull_clients) if _is_of(one, redis, ours)]
    if not mine:
        return unknown(
            "undetermined", "no connection here carries the name of an EmailEngine queue"
        )
    hosts = sorted({one.host for one in mine})
    readers = sum(one.name == f"{names[0]}:qe" for one in mine)
    count = max(len(hosts), readers)
    seen: dict[str, JSON] = {
        "instances_count": count,
        "hosts": ", ".join(hosts),
        "connections_count": len(mine),
    }
    if count == 1:
        return passed(**seen)
    return failed(
        f"{count} EmailEngines use database {redis.database} ({', '.join(hosts)}); one must",
        short=f"{count} EmailEngines on one database",
        severity=Severity.CRITICAL,
        names=", ".join(names[:2]),
        **seen,
    )


def _is_of(client: BullClient, redis: RedisFacts, names: set[str]) -> bool:
    return client.database == redis.database and client.name in names
