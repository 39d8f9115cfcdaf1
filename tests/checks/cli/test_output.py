import json
import re
from textwrap import dedent

import pytest

from checks.catalog import RULES as CATALOGUE
from checks.cli.as_json import catalogue_json, inspection_json
from checks.cli.inspection import Inspection, _lamps
from checks.cli.nagios import nagios
from checks.cli.table import Ink, catalogue_table, inspection_table
from checks.evaluate import evaluate, tally
from checks.facts import Missing, Vantage
from tests.checks.sample_rules import ALL, memory, pair_facts, policy, redis_facts

PLAIN, BRIGHT = Ink(is_on=False), Ink(is_on=True)
REFUSED = Missing("refused", "10.0.0.7:6379 was not reached: connection refused")
HEALTHY = "emailengine.sample-health"


def inspection(redis=None, *layers):
    """Judge by the sample rules, of which EmailEngine's is left out."""
    facts = pair_facts(redis or redis_facts(version="8.0.1", config_file="/etc/valkey.conf"))
    laid = policy(*layers)
    verdicts = evaluate(facts, ALL, laid)
    counted = tally(verdicts, laid)
    return Inspection(
        host="10.0.0.7",
        where="10.0.0.7:6379",
        facts=facts,
        verdicts=verdicts,
        policy=laid,
        lamps=_lamps(verdicts, counted, laid),
        tally=counted,
        duration_s=0.00421,
    )


def full(used, **others):
    known = {"version": "8.0.1", "config_file": "/etc/valkey.conf", **others}
    return redis_facts(used_memory_bytes=used, **known)


def test_a_fit_pair_as_a_table():
    assert inspection_table(inspection(), PLAIN, 80) == dedent(
        """\
        Valkey 8.0.1 at 10.0.0.7:6379
        Read in 4.21\u202fms and judged from this machine

        Compliance  ✓ Compliant
        Health      ✓ Healthy
        Coverage    75% (3 of 4 rules)

        Outcome         Rule                    Observed                Required
        ✓ Pass          redis.reachable         answers                 answers
        ✓ Pass          redis.sample-memory     50%                     < 80%
        ✓ Pass          redis.sample-evictions  none                    none

        – Not applicable, because: no licence here
          redis.sample-licence

        – Not applicable, because: not registered
          emailengine.sample-health"""
    )


def test_a_finding_as_a_table_ends_with_what_to_do():
    found = inspection_table(inspection(full(95)), PLAIN, 80)

    assert "■ Critical      redis.sample-memory     95%                     < 80%\n" in found
    assert found.partition("What to do\n")[2] == dedent(
        """
        1. ■ Critical  Set maxmemory to 4.0\u202fGiB  (redis.sample-memory)
           Redis uses 95%
           Valkey 8.0.1 on 10.0.0.7 may use 80%.
           Now           CONFIG SET maxmemory 4294967296
           Make it last  maxmemory 4294967296
                         In /etc/valkey.conf on 10.0.0.7, or run CONFIG REWRITE.
           Verify        valkey-cli CONFIG GET maxmemory
                         must answer 4294967296, as in valkey.conf
           Risk          None."""
    )


def test_a_dead_redis_is_one_row_and_one_reason():
    found = inspection_table(inspection(REFUSED), PLAIN, 80)

    assert found.startswith("Unknown engine at 10.0.0.7:6379\n")
    assert "Health      ■ Failing\n" in found
    assert (
        "? Not verified, because: Redis did not answer: 10.0.0.7:6379 was not reached:\n"
        "  connection refused\n  redis.sample-memory, redis.sample-evictions\n"
    ) in found


def test_an_unknown_rule_says_why_across_both_columns():
    missing = Missing("no_permission", "INFO is refused: NOPERM this user has no permissions")

    found = inspection_table(inspection(redis_facts(used_memory_bytes=missing)), PLAIN, 80)

    assert "Compliance  ? Unverified\n" in found
    assert (
        "? Not verified  redis.sample-memory     INFO is refused: NOPERM this user has no\n"
        "                                        permissions\n"
    ) in found


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_no_line_is_longer_than_asked(columns):
    for redis in (full(95), REFUSED, full(85)):
        lines = inspection_table(inspection(redis), PLAIN, columns).splitlines()
        assert [one for one in lines if len(one) > columns] == []


def test_colour_only_adds_to_the_words():
    done = inspection(full(95))
    bright = inspection_table(done, BRIGHT, 80)

    assert "\x1b[31m■ Critical    \x1b[0m" in bright
    bare = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[\d+m", "", bright).splitlines())
    assert bare == inspection_table(done, PLAIN, 80)


@pytest.mark.parametrize(
    ("redis", "layers", "status", "lamps"),
    [
        (full(50), (), 0, ("compliant", "healthy")),
        (full(85), (), 1, ("at_risk", "healthy")),
        (full(95), (), 2, ("non_compliant", "healthy")),
        (full(95), ({memory.id: {"severity": "info"}},), 0, ("compliant", "healthy")),
        (full(95), ({memory.id: {"enabled": False}},), 0, ("compliant", "healthy")),
        (full(50, evicted_keys=3), (), 1, ("compliant", "degraded")),
        (full(95, evicted_keys=3), (), 2, ("non_compliant", "degraded")),
        (full(Missing("no_permission", "x")), (), 3, ("unverified", "healthy")),
        (full(Missing("no_permission", "x"), evicted_keys=3), (), 1, ("unverified", "degraded")),
        (full(Missing("first_visit", "x")), (), 0, ("compliant", "healthy")),
        (REFUSED, (), 2, ("unverified", "failing")),
    ],
)
def test_the_exit_status_is_the_worst_of_both_lamps(redis, layers, status, lamps):
    done = inspection(redis, *layers)

    assert (done.status, tuple(done.lamps)) == (status, lamps)


def test_a_finding_as_json():
    done = inspection(full(95))
    found = json.loads(inspection_json(done))

    verdicts = found.pop("verdicts")
    assert found == {
        "engine": "valkey",
        "compliance": "non_compliant",
        "health": "healthy",
        "vantage": "this machine",
    }
    assert [(one["rule"], one["outcome"]) for one in verdicts] == [
        ("redis.sample-memory", "fail"),
        ("redis.reachable", "pass"),
        ("redis.sample-evictions", "pass"),
        ("redis.sample-licence", "not_applicable"),
        (HEALTHY, "not_applicable"),
    ]
    assert verdicts[0] == {
        "rule": "redis.sample-memory",
        "outcome": "fail",
        "severity": "critical",
        "message": "Redis uses 95%",
        "observed": "95%",
        "required": "< 80%",
        "evidence": {"used_ratio": 0.95, "wanted_bytes": 4294967296},
        "remediation": {
            "do": "Set maxmemory to 4.0\u202fGiB",
            "why": "Valkey 8.0.1 on 10.0.0.7 may use 80%.",
            "now": [{"code": "CONFIG SET maxmemory 4294967296"}],
            "durable": [
                {"code": "maxmemory 4294967296"},
                {"text": "In /etc/valkey.conf on 10.0.0.7, or run CONFIG REWRITE."},
            ],
            "verify": [
                {"code": "valkey-cli CONFIG GET maxmemory"},
                {"text": "must answer 4294967296, as in valkey.conf"},
            ],
            "risk": "None.",
            "undo": [],
            "effect": "no restart",
        },
    }
    assert verdicts[1] == {
        "rule": "redis.reachable",
        "outcome": "pass",
        "severity": None,
        "message": "",
        "observed": "answers",
        "required": "answers",
        "evidence": {},
        "remediation": None,
    }


def test_json_of_a_redis_that_did_not_answer_names_no_engine():
    assert json.loads(inspection_json(inspection(REFUSED)))["engine"] == "unknown"


def test_the_vantage_names_the_machine():
    done = inspection()

    assert done.vantage == "this machine"
    assert Vantage("here", "web-1").worker == "web-1"


@pytest.mark.parametrize(
    ("redis", "text"),
    [
        (
            full(50),
            (
                "OK - compliant and healthy | redis.sample-memory.used_ratio=50%;80;90 "
                "fails=0 not_verified=0 conclusive=3;;;0;4"
            ),
        ),
        (
            full(95, evicted_keys=3),
            (
                "CRITICAL - non-compliant and degraded: Memory at 95% and 1 more | "
                "redis.sample-memory.used_ratio=95%;80;90 fails=2 not_verified=0 conclusive=3;;;0;4\n"
                "CRITICAL redis.sample-memory: Redis uses 95%\n"
                "WARNING redis.sample-evictions: Keys were evicted"
            ),
        ),
        (
            Missing("refused", "it | said\nno"),
            (
                "CRITICAL - unverified and failing: Down; 2 not verified | "
                "fails=1 not_verified=2 conclusive=1;;;0;4\n"
                "CRITICAL redis.reachable: it / said no"
            ),
        ),
        (
            full(Missing("no_permission", "x")),
            (
                "UNKNOWN - unverified and healthy; 1 not verified | "
                "fails=0 not_verified=1 conclusive=2;;;0;4\n"
                "UNKNOWN redis.sample-memory: x"
            ),
        ),
    ],
)
def test_nagios(redis, text):
    assert nagios(inspection(redis)) == text


def test_the_catalogue_as_json():
    found = json.loads(catalogue_json(CATALOGUE))

    keys = ["id", "group", "title", "severity", "limits", "source", "remediation"]
    assert [one["id"] for one in found] == [one.id for one in CATALOGUE]
    assert {tuple(one) for one in found} == {tuple(keys)}
    assert all(one["remediation"][0]["do"] for one in found)


def test_a_rule_as_json_shows_where_engines_differ():
    found = json.loads(catalogue_json([memory]))[0]

    assert found["limits"] == {
        "leave_used_ratio": 0.75,
        "warn_used_ratio": 0.8,
        "critical_used_ratio": 0.9,
    }
    assert found["title"] == "Memory stays below 80%"
    (remedy,) = found["remediation"]
    assert remedy["now"] == [{"code": "CONFIG SET maxmemory <wanted bytes>"}]
    assert remedy["engines"]["elasticache"]["effect"] == "in the provider's console"
    assert set(remedy["engines"]) == {"elasticache"}


def test_the_catalogue_as_a_table_fits_and_names_every_rule():
    lines = catalogue_table(CATALOGUE, PLAIN, 80).splitlines()

    assert lines[0].split() == ["Rule", "Group", "At", "worst", "Requires"]
    assert [one for one in lines if len(one) > 80] == []
    assert {one.id for one in CATALOGUE} <= {line.partition(" ")[0] for line in lines}
