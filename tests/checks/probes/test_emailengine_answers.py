"""What EmailEngine's answers mean, by the ones recorded from 2.79.2."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.facts import NOT_READ, Engine, Missing, Queue, RedisFacts
from checks.probes.emailengine_answers import (
    METRICS_FIELDS,
    STATS_FIELDS,
    Answer,
    merge,
    read_health,
    read_metrics,
    read_stats,
    refusal,
)
from tests.replaying import CAPTURES

FOLDER = CAPTURES / "emailengine-2.79.2"
REFUSALS = [json.loads(line) for line in (FOLDER / "refusals.jsonl").read_text().splitlines()]


def answer(body, path="/v1/stats", status=200):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(path, status, body, 0.05, 40.0, 1795296000.0)


def recorded(name, path):
    return answer((FOLDER / name).read_bytes(), path)


def redis(**fields):
    healthy = {
        "role": "master",
        "used_memory_bytes": 100,
        "maxmemory_bytes": 1000,
        "maxmemory_policy": "noeviction",
        "keys_by_database": {"8": 100},
        "evicted_keys": 0,
        "rdb_last_bgsave_status": "ok",
        "stop_writes_on_bgsave_error": True,
        "aof_enabled": False,
        "aof_last_write_status": "ok",
    }
    return RedisFacts(
        "db1",
        6379,
        database=8,
        is_tls=False,
        path="private",
        engine=Engine.REDIS,
        **{"ping": "PONG", **healthy, **fields},
    )


def test_health():
    found = read_health(answer(b'{"success":true}', "/health"))

    assert found == {"health_status": 200, "health_s": 0.05, "network_us": 40.0}


def test_health_of_a_canary_that_may_not_write():
    html = b"<!DOCTYPE html><html>Something went wrong</html>"

    assert read_health(answer(html, "/health", 500))["health_status"] == 500


@pytest.mark.parametrize(
    "body", [b"<html>It works!</html>", b"", b"[]", b'{"success":false}', b"null"]
)
def test_a_stranger_s_200_is_not_healthy(body):
    missing = Missing("protocol", "/health answers 200, but not with EmailEngine's words")

    assert set(read_health(answer(body, "/health")).values()) == {missing}


def test_stats():
    assert read_stats(recorded("stats-ok.json", "/v1/stats")) == {
        "version": "2.79.2",
        "queues": (
            Queue("notify", 0, 0, 0, is_paused=False),
            Queue("submit", 0, 0, 1, is_paused=False),
            Queue("documents", 0, 0, 0, is_paused=False),
        ),
        "accounts": {
            "init": 0, "connected": 1, "connecting": 0, "authenticationError": 1,
            "connectError": 1, "unset": 1, "disconnected": 0,
        },
        "redis_ping_us": 406.141,  # 406141 nanoseconds
        "redis_version": "7.0.15",
        "redis_warnings": (),
        "webhooks_hour": {"success": 29, "fail": 0},
    }  # fmt: skip


def test_a_paused_queue():
    queues = read_stats(recorded("stats-submit-paused.json", "/v1/stats"))["queues"]

    assert queues[1] == Queue("submit", 12, 0, 1, is_paused=True)


def test_warnings_by_key_and_colour():
    lines = (FOLDER / "redis-warnings.jsonl").read_text().splitlines()
    found = [read_stats(answer(json.loads(line)))["redis_warnings"] for line in lines]

    assert found == [
        (),
        (("maxmemory-policy", "warning"),),
        (("maxmemory-policy", "danger"),),
        (("maxmemory-policy", "danger"),),
        (("evicted-keys", "danger"),),
    ]


@pytest.mark.parametrize(
    ("nanoseconds", "fact"),
    [
        (376927, 376.927),
        (1, 0.001),
        (0, Missing("undetermined", "EmailEngine's own ping of Redis failed")),
        (-1, Missing("undetermined", "EmailEngine's own ping of Redis failed")),
        (None, Missing("starting", "EmailEngine has not pinged Redis yet")),
        ("5", Missing("undetermined", "EmailEngine gives its ping of Redis as no number")),
        (True, Missing("undetermined", "EmailEngine gives its ping of Redis as no number")),
    ],
)
def test_emailengine_s_own_ping_is_in_nanoseconds(nanoseconds, fact):
    assert read_stats(answer({"redisPing": nanoseconds}))["redis_ping_us"] == fact


def test_an_error_in_place_of_redis_version():
    found = read_stats(answer({"redis": "NOPERM no INFO for you"}))["redis_version"]

    assert found == Missing(
        "undetermined", "EmailEngine could not read INFO of its Redis: NOPERM no INFO for you"
    )


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"1", b"[" * 100_000, b"", b"\xff"])
def test_stats_that_are_no_json_object(body):
    found = read_stats(answer(body))

    assert set(found) == set(STATS_FIELDS)
    assert {fact.reason for fact in found.values()} == {"protocol"}


@pytest.mark.parametrize("queues", [{"submit": {}}, {"submit": 5}, {"submit": {"waiting": "x"}}])
def test_queues_without_counts_are_missing(queues):
    assert read_stats(answer({"queues": queues}))["queues"] == Missing(
        "undetermined", "/v1/stats has no counts for the queue submit"
    )


def test_metrics():
    found = read_metrics(recorded("metrics-ok.txt", "/metrics"))

    unsaid = Missing("not_configured", "only /v1/stats, with an API token, tells a paused queue")
    assert found == {
        "version": "2.79.2",
        "redis_version": "7.0.15",
        "started_at": datetime(2026, 11, 21, 21, 10, 56, tzinfo=UTC),
        "uptime_s": 544.0,
        "queues": (
            Queue("notify", 0, 0, 0, is_paused=unsaid),
            Queue("submit", 0, 0, 1, is_paused=unsaid),
            Queue("documents", 0, 0, 0, is_paused=unsaid),
        ),
        "accounts": {
            "init": 0, "connected": 1, "connecting": 0, "authenticationError": 1,
            "connectError": 1, "unset": 1, "disconnected": 0,
        },
        "redis_ping_us": 109.005,
        "license_days_remaining": 0,
        "threads_alive": 8,
        "unresponsive_workers": 0,
        "redis_uptime_s": 292,
        "redis_used_memory_bytes": 2873616,
        "queues_processed": {"notify/completed": 29, "submit/completed": 13, "submit/failed": 1},
        "events": {
            "authenticationSuccess": 1, "mailboxReset": 3, "mailboxNew": 3,
            "accountInitialized": 1, "authenticationError": 1, "connectError": 1,
            "messageSent": 13, "messageDeliveryError": 1, "messageFailed": 1,
        },
        "webhooks": {"success": 29, "fail": 0},
        "redis_keys": {"8": 38},
    }  # fmt: skip
    assert set(found) == set(METRICS_FIELDS)


def test_threads_that_stopped_for_want_of_a_licence():
    found = read_metrics(recorded("metrics-licence-suspended.txt", "/metrics"))

    assert (found["threads_alive"], found["license_days_remaining"]) == (2, 0)
    assert found["accounts"]["disconnected"] == 4
    assert found["started_at"].reason == "undetermined"


@pytest.mark.parametrize("body", [b"", b"<html>Forbidden</html>", b'{"a":1}', b"\xff\xfe"])
def test_a_page_that_is_no_metrics(body):
    found = read_metrics(answer(body, "/metrics"))

    assert {fact.reason for fact in found.values()} == {"protocol"}


def test_a_counter_never_raised_is_empty_and_one_unknown_is_missing():
    found = read_metrics(answer(b"# TYPE events counter\n\nup 1\n", "/metrics"))

    assert found["events"] == {}
    assert found["queues_processed"] == Missing("undetermined", "/metrics has no queues_processed")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"used_memory_bytes": 1000}, "is full (OOM)"),
        ({"role": "slave", "replica_read_only": True}, "is a read-only replica (READONLY)"),
        ({"role": "slave"}, "is a read-only replica (READONLY)"),
        ({"rdb_last_bgsave_status": "err"}, "cannot save its RDB snapshot (MISCONF)"),
        ({"rdb_last_bgsave_status": "err",
          "stop_writes_on_bgsave_error": Missing("command_unavailable", "no CONFIG")},
         "cannot save its RDB snapshot (MISCONF)"),
        ({"aof_enabled": True, "aof_last_write_status": "err"}, "cannot write its AOF (MISCONF)"),
        ({"ping": Missing("misconf", "MISCONF")}, "refuses writes (MISCONF)"),
    ],
)  # fmt: skip
def test_a_401_while_redis_refuses_writes_is_redis_fault(fields, text):
    bad_token = {"statusCode": 401, "error": "Unauthorized", "message": "Bad token"}

    assert refusal(answer(bad_token, status=401), redis(**fields)) == Missing(
        "depends_on",
        f"/v1/stats answers 401, as it does for any token while Redis {text}",
        "redis.accepts-writes",
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"keys_by_database": {}}, "and the token may be lost: database 8 of Redis is empty"),
        ({"keys_by_database": {"0": 5}}, "and the token may be lost: database 8 of Redis is empty"),
        ({"evicted_keys": 9}, "and the token may be lost: Redis has evicted 9 keys"),
    ],
)
def test_a_401_after_data_was_lost(fields, text):
    found = refusal(answer({}, status=401), redis(**fields))

    assert found == Missing("auth", f"/v1/stats answers 401, {text}")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"used_memory_bytes": 999},
        {"used_memory_bytes": 1000, "not_counted_for_evict_bytes": 1},
        {"used_memory_bytes": 5000, "maxmemory_bytes": 0},
        {"used_memory_bytes": 5000, "maxmemory_policy": "allkeys-lru"},
        {"rdb_last_bgsave_status": "err", "stop_writes_on_bgsave_error": False},
        {"role": "slave", "replica_read_only": False},
        {"aof_last_write_status": "err"},
    ],
)
def test_a_401_with_a_healthy_redis_is_the_token(fields):
    found = refusal(answer({}, status=401), redis(**fields))

    assert found == Missing("auth", "/v1/stats answers 401: the token is revoked or expired")


def test_what_emailengine_refused_when_recorded():
    read_only = redis(role="slave", replica_read_only=True)
    found = {}
    for row in REFUSALS:
        path = row["request"].split()[1]
        missing = refusal(answer(row["body"], path, row["status"]), read_only)
        found.setdefault(row["status"], set()).add(
            missing.text if row["status"] == 403 else missing.reason
        )

    assert found == {
        401: {"depends_on"},
        403: {
            "/v1/stats answers 403: the token lacks the scope api",
            "/v1/license answers 403: the token lacks the permission read in the group admin",
        },
        500: {"http_status"},
    }


def test_a_403_of_metrics_is_an_html_page():
    found = refusal(answer(b"<html>", "/metrics", 403), redis())

    assert found == Missing(
        "no_permission", "/metrics answers 403: the token lacks the scope metrics"
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (301, "/metrics redirects (301): not followed"),
        (404, "/metrics answers 404"),
        (429, "/metrics answers 429"),
        (503, "/metrics answers 503"),
    ],
)
def test_other_statuses(status, text):
    assert refusal(answer(b"", "/metrics", status), redis()) == Missing("http_status", text)


def test_each_field_is_taken_from_where_it_is_known():
    no_token, failed = Missing("not_configured", "no token"), Missing("timeout", "late")

    assert merge({"a": 1, "b": no_token, "c": failed, "d": no_token, "e": no_token},
                 {"a": 2, "b": 2, "c": 2, "d": failed, "f": 3}) == {
        "a": 1, "b": 2, "c": 2, "d": failed, "e": no_token, "f": 3,
    }  # fmt: skip
    assert merge({"a": failed}, {"a": NOT_READ}) == {"a": failed}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["queues", "connections", "redisPing", "redis", "redisWarnings",
                         "version", "submit", "waiting", "active", "delayed", "isPaused", "key"]),
        inner, max_size=8),
)  # fmt: skip


@given(JSON)
def test_any_json_is_read(body):
    assert set(read_stats(answer(body))) == set(STATS_FIELDS)
    assert isinstance(refusal(answer(body, status=403), redis()), Missing)


@given(st.binary(max_size=300))
def test_any_page_is_read(page):
    body = b"# TYPE events counter\n" + page

    assert set(read_metrics(answer(body, "/metrics"))) == set(METRICS_FIELDS)
