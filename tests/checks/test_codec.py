import json
import math
from dataclasses import is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks import facts as facts_module
from checks.codec import (
    CodecError,
    decode,
    encode,
    facts_from_json,
    facts_to_json,
    verdict_from_json,
    verdict_to_json,
)
from checks.facts import (
    NOT_READ,
    REASONS,
    Account,
    Attested,
    BackupFacts,
    BullClient,
    Copy,
    CopySource,
    Deliveries,
    EmailEngineFacts,
    Engine,
    FleetFacts,
    Growth,
    Missing,
    Neighbour,
    OwnPull,
    PairFacts,
    Queue,
    RedisFacts,
    Replica,
    Restore,
    RoundTrips,
    Sentinels,
    Since,
    Trend,
    Vantage,
)
from checks.rule import Code, Outcome, Severity, Verdict, failed, passed, unknown
from tests.checks.sample_rules import pair_facts, redis_facts

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
missing = st.builds(Missing, st.sampled_from(sorted(REASONS)), text, text)
VALUES = {
    str: text,
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Missing: missing,
}
for kind, drawn in VALUES.items():
    st.register_type_strategy(kind, drawn)
RECORDS = (
    RoundTrips,
    BullClient,
    Replica,
    Account,
    Sentinels,
    Queue,
    Deliveries,
    RedisFacts,
    EmailEngineFacts,
    Since,
    Attested,
    Vantage,
    Neighbour,
    OwnPull,
    FleetFacts,
    Growth,
    Trend,
    Copy,
    CopySource,
    Restore,
    BackupFacts,
    PairFacts,
)


def records(kind):
    """Build a dataclass with every field drawn from its declared type."""
    return st.builds(kind, **{name: st.from_type(of) for name, of in get_type_hints(kind).items()})


for kind in RECORDS:
    st.register_type_strategy(kind, records(kind))


def there_and_back(facts):
    return facts_from_json(json.loads(json.dumps(facts_to_json(facts))))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.from_type(PairFacts))
def test_any_facts_come_back_as_they_went(facts):
    assert there_and_back(facts) == facts


verdicts = st.builds(
    Verdict,
    st.sampled_from(Outcome),
    st.none() | st.sampled_from(Severity),
    text,
    text,
    st.dictionaries(text, st.none() | st.booleans() | st.integers() | text | st.lists(text)),
    text,
    st.none() | st.sampled_from(Severity),
    st.none() | st.sampled_from(sorted(REASONS)),
    text,
)


@given(verdicts)
def test_any_verdict_comes_back_as_it_went(verdict):
    assert verdict_from_json(json.loads(json.dumps(verdict_to_json(verdict)))) == verdict


def test_facts_as_json_leave_out_what_was_not_read():
    facts = pair_facts(redis_facts(version="8.0.1", maxclients=Missing("no_permission", "INFO")))

    assert facts_to_json(facts) == {
        "version": 1,
        "redis": {
            "host": "10.0.0.7",
            "port": 6379,
            "database": 8,
            "is_tls": False,
            "path": "private",
            "engine": "valkey",
            "ping": "PONG",
            "version": "8.0.1",
            "maxclients": {"missing": ["no_permission", "INFO", ""]},
            "used_memory_bytes": 50,
            "maxmemory_bytes": 100,
            "evicted_keys": 0,
        },
        "emailengine": {"missing": ["not_configured", "not registered", ""]},
        "vantage": {"zone": "eu-1"},
    }


def test_a_verdict_as_json_leaves_out_what_it_does_not_say():
    assert verdict_to_json(passed()) == {"outcome": "pass"}
    assert verdict_to_json(
        failed("m", short="s", severity=Severity.WARNING, points=((900, 1),), engine=Engine.REDIS)
    ) == {
        "outcome": "fail",
        "severity": "warning",
        "message": "m",
        "short": "s",
        "evidence": {"points": [[900, 1]], "engine": "redis"},
    }
    assert verdict_to_json(unknown("timeout", "t")) == {
        "outcome": "unknown",
        "message": "t",
        "reason": "timeout",
    }


def test_the_same_words_of_what_is_missing_are_held_once():
    data = {"missing": ["no_permission", "INFO is closed", ""]}

    first, second = decode(Missing, data), decode(Missing, dict(data))

    assert first == Missing("no_permission", "INFO is closed")
    assert first is second


def test_a_missing_redis_comes_back():
    facts = replace(pair_facts(), redis=Missing("depends_on", "x", "redis.reachable"))

    assert there_and_back(facts) == facts


def test_what_jsonb_refuses_is_replaced():
    facts = redis_facts(version="8\0", os="\udc80", keys_by_database={"0\0": 1})

    found = decode(RedisFacts, encode(facts))

    assert (found.version, found.os) == ("8\N{REPLACEMENT CHARACTER}", "?")
    assert found.keys_by_database == {"0\N{REPLACEMENT CHARACTER}": 1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_missing(value):
    found = decode(RedisFacts, encode(redis_facts(fragmentation_ratio=value)))

    assert found.fragmentation_ratio == Missing("protocol", "the number read is not finite")


def test_a_code_is_written_as_text():
    assert type(encode(Code("INFO"))) is str


def test_an_instant_comes_back_in_utc():
    at = datetime(2026, 11, 21, 14, 18, tzinfo=timezone(timedelta(hours=2)))
    facts = EmailEngineFacts("http://ee", "", 200, 0.1, started_at=at)

    assert encode(facts)["started_at"] == "2026-11-21T12:18:00+00:00"
    assert decode(EmailEngineFacts, encode(facts)) == facts


def test_json_of_an_older_version_is_read():
    data = facts_to_json(pair_facts())
    data["redis"]["a_field_that_is_gone"] = {"odd": 1}
    data["emailengine"] = {"url": "http://ee", "key_prefix": ""}  # health_status came later

    facts = facts_from_json(data)

    assert facts.redis == redis_facts()
    assert facts.emailengine == EmailEngineFacts("http://ee", "", NOT_READ, NOT_READ)


def test_words_of_a_later_version_are_taken_for_unknown_ones():
    data = facts_to_json(pair_facts())
    data["redis"] |= {"engine": "hyperkv", "version": {"missing": ["eclipse", "dark", ""]}}

    redis = facts_from_json(data).redis

    assert (redis.engine, redis.version) == (Engine.UNKNOWN, Missing("undetermined", "dark"))
    assert verdict_from_json({"outcome": "unknown", "reason": "eclipse"}).reason == "undetermined"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"port": "6379"}, "PairFacts.redis.port: want a value of type int, found '6379'"),
        ({"port": True}, "PairFacts.redis.port: want a value of type int, found 'True'"),
        ({"path": "lan"}, "PairFacts.redis.path: want one of unix, loopback, private, public"),
        ({"save": [[1]]}, "PairFacts.redis.save: want a list of 2, found '[1]'"),
        ({"save": "900 1"}, "PairFacts.redis.save: want a list, found '900 1'"),
        ({"fragmentation_ratio": "1"}, "PairFacts.redis.fragmentation_ratio: want a number"),
        ({"version": None}, "PairFacts.redis.version: want a value of type str, found 'None'"),
        ({"version": {"missing": "x"}}, "PairFacts.redis.version: want a missing fact"),
        ({"keys_by_database": []}, "PairFacts.redis.keys_by_database: want an object, found '[]'"),
        ({"round_trips": 1}, "PairFacts.redis.round_trips: want an object, found '1'"),
    ],
)
def test_json_that_is_no_facts_is_refused_by_field(change, text):
    data = facts_to_json(pair_facts())
    data["redis"] |= change

    with pytest.raises(CodecError) as error:
        facts_from_json(data)

    assert str(error.value).startswith(text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "PairFacts: want an object, found '[]'"),
        ({"redis": {}}, "PairFacts.redis.host is absent"),
        ({"redis": {"missing": ["dns", "x", ""]}, "emailengine": 3}, "PairFacts.emailengine"),
    ],
)
def test_what_is_no_facts_at_all_is_refused(data, text):
    with pytest.raises(CodecError) as error:
        facts_from_json(data)

    assert str(error.value).startswith(text)


@pytest.mark.parametrize("started_at", ["yesterday", 7, "2026-11-21T14:18:00"])
def test_an_instant_without_a_zone_is_refused(started_at):
    with pytest.raises(CodecError, match=r"^EmailEngineFacts\.started_at: want an instant"):
        decode(EmailEngineFacts, {"url": "", "key_prefix": "", "started_at": started_at})


def test_an_outcome_that_is_none_of_ours_is_refused():
    with pytest.raises(CodecError, match=r"^Verdict\.outcome: want one of pass, fail"):
        verdict_from_json({"outcome": "maybe"})


def test_what_json_has_no_place_for_is_refused():
    with pytest.raises(CodecError, match="complex cannot be written as JSON"):
        encode(passed(number=1j))


def test_every_record_of_the_facts_is_tried_here():
    here = {one for one in vars(facts_module).values() if isinstance(one, type)}

    assert {one for one in here if is_dataclass(one)} == {*RECORDS, Missing}
