"""Are secrets revealed for the probe alone, and kept out of everything else?"""

import pytest

from checks.facts import Missing
from checks.probes.redis import LastSeen
from fleet.inspections.targets import Columns, reach
from fleet.registry.egress import egress_rules
from fleet.registry.sealed import seal

WORD = "correct horse battery staple"


def row(**fields) -> tuple:
    values = {
        "redis_url": "rediss://probe@redis.example.com:6380/8",
        "redis_password": "",
        "redis_ca": "",
        "redis_tls_verify": True,
        "redis_tls_name": "",
        "sentinel_addresses": (),
        "sentinel_master": "",
        "emailengine_url": "",
        "emailengine_prefix": "",
        "metrics_token": "",
        "api_token": "",
        **fields,
    }
    return tuple(values.values())


def test_a_pair_with_everything():
    found = reach(
        row(
            redis_password=seal(WORD),
            redis_tls_name="redis.internal",
            redis_tls_verify=False,
            emailengine_url="https://ee.example.com",
            emailengine_prefix="north",
            api_token=seal("api"),
            metrics_token=seal("metrics"),
        ),
        "redis",
        LastSeen("a" * 40, 7),
    )

    redis, emailengine = found.target.redis, found.target.emailengine
    assert (redis.address.host, redis.address.port, redis.address.user) == (
        "redis.example.com",
        6380,
        "probe",
    )
    assert (redis.password, redis.last, redis.pings) == (WORD, LastSeen("a" * 40, 7), 10)
    assert (redis.tls.server_name, redis.tls.verify) == ("redis.internal", False)
    assert (emailengine.key_prefix, emailengine.api_token) == ("north", "api")
    assert emailengine.metrics_token == "metrics"
    assert redis.rules is egress_rules()


def test_a_secret_shows_in_no_repr():
    stored = row(redis_password=seal(WORD), emailengine_url="http://ee", api_token=seal(WORD))

    assert WORD not in repr(reach(stored, "", None))
    assert "sealed:" not in repr(Columns(*stored))


def test_upstash_is_asked_three_times_for_it_bills_commands():
    assert reach(row(), "upstash", None).target.redis.pings == 3


def test_what_the_last_visit_saw_is_told_to_the_next():
    first = reach(row(), "redis", LastSeen("a", 1))

    assert reach(row(), "redis", LastSeen("a", 1)) is first
    assert reach(row(), "redis", LastSeen("b", 0)).target.redis.last == LastSeen("b", 0)


def test_a_password_of_another_key_ring_is_named_and_not_visited():
    broken = "sealed:gAAAAABnotatoken"

    found = reach(row(redis_password=broken), "", None)

    assert found.target == Missing(
        "undetermined",
        "Redis was not visited: a sealed value fits none of the keys in FLEET_KEYS",
    )


def test_a_broken_token_leaves_redis_visited():
    found = reach(
        row(emailengine_url="http://ee.example.com", api_token="env:PAIRKEEPER_SECRET_NONE"),
        "",
        None,
    )

    assert found.target.redis.address.host == "redis.example.com"
    assert found.emailengine == Missing(
        "undetermined",
        "EmailEngine was not asked: env:PAIRKEEPER_SECRET_NONE is not set for this process",
    )


def test_a_reference_is_looked_up_each_time(monkeypatch):
    stored = row(redis_password="env:PAIRKEEPER_SECRET_MOVING")
    monkeypatch.setenv("PAIRKEEPER_SECRET_MOVING", "one")
    assert reach(stored, "", None).target.redis.password == "one"

    monkeypatch.setenv("PAIRKEEPER_SECRET_MOVING", "two")
    assert reach(stored, "", None).target.redis.password == "two"


@pytest.mark.parametrize("url", ["http://redis", "redis://:secret@", "redis://h:99999999"])
def test_an_address_that_cannot_be_read_is_a_missing_fact(url):
    found = reach(row(redis_url=url), "", None).target

    assert found.reason == "undetermined"
    assert "secret" not in found.text
