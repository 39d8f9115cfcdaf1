import pytest

from checks.facts import Engine, Missing
from checks.rule import Outcome, Severity, passed
from checks.rules.engine import engine_support, standalone, version
from tests.checks.pairs import facts_with

CLOSED = Missing("no_permission", "INFO is closed")


@pytest.mark.parametrize(
    ("enabled", "mode", "outcome"),
    [
        (False, "standalone", "pass"),
        (True, "standalone", "fail"),  # Dragonfly emulating, Valkey without redis_mode
        (False, "cluster", "fail"),
        (True, "cluster", "fail"),
        (CLOSED, "standalone", "pass"),
        (False, CLOSED, "pass"),
        (CLOSED, CLOSED, "unknown"),
        (CLOSED, "sentinel", "unknown"),  # it tells nothing of the server that holds the data
    ],
)
def test_cluster_mode_is_critical(enabled, mode, outcome):
    verdict = standalone.judge(facts_with(cluster_enabled=enabled, mode=mode))

    assert verdict.outcome == outcome
    assert verdict.severity is (Severity.CRITICAL if outcome == "fail" else None)


@pytest.mark.parametrize(
    ("text", "outcome", "severity"),
    [
        ("5.0.14", "fail", "critical"),
        ("6.0", "fail", "warning"),
        ("6.0.20", "fail", "warning"),
        ("6.1.240", "fail", "warning"),
        ("6.2", "pass", None),
        ("6.2.14", "pass", None),
        ("7.9.224", "pass", None),
        ("10.0.0", "pass", None),
        ("7.4.0-rc1", "pass", None),
        ("unstable", "unknown", None),
        ("", "unknown", None),
        (CLOSED, "unknown", None),
    ],
)
def test_version_steps(text, outcome, severity):
    verdict = version.judge(facts_with(compatibility_version=text))

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_the_version_wanted_is_the_policys():
    limits = type(version.limits)(least_version="7.0", preferred_version="7.2")

    assert version.judge(facts_with(compatibility_version="6.2.14"), limits).severity == "critical"
    assert version.judge(facts_with(compatibility_version="7.0.15"), limits).message == (
        "The server is compatible with Redis 7.0.15; it must be 7.2 or newer"
    )


def test_a_policy_that_names_no_version_lets_nothing_pass():
    limits = type(version.limits)(preferred_version="latest")

    assert version.judge(facts_with(), limits).message == (
        "latest is no version number that we can compare"
    )


@pytest.mark.parametrize(
    ("engine", "attested", "outcome", "severity", "cause"),
    [
        (Engine.REDIS, {}, "pass", None, ""),
        (Engine.VALKEY, {}, "fail", "info", "outside"),
        (Engine.GARNET, {}, "fail", "info", "outside"),
        (Engine.REDIS_CLOUD, {}, "fail", "info", "outside"),
        (Engine.AZURE, {}, "fail", "info", "outside"),
        (Engine.KEYDB, {}, "fail", "warning", "experimental"),
        (Engine.MEMURAI, {}, "fail", "warning", "experimental"),
        (Engine.DRAGONFLY, {}, "fail", "warning", "experimental"),
        (Engine.DRAGONFLY, {"dragonfly_validated": False}, "fail", "warning", "experimental"),
        (Engine.DRAGONFLY, {"dragonfly_validated": True}, "pass", None, ""),
        (Engine.UPSTASH, {}, "fail", "warning", "constrained"),
        (Engine.ELASTICACHE, {}, "fail", "critical", "unsupported"),
        (Engine.ELASTICACHE, {"managed_durability": False}, "fail", "critical", "unsupported"),
        (Engine.ELASTICACHE, {"managed_durability": True}, "fail", "warning", "unsupported"),
        (Engine.MEMORYDB, {"managed_durability": True}, "fail", "critical", "unsupported"),
        (Engine.UNKNOWN, {}, "unknown", None, ""),
    ],
)
def test_each_make_has_its_standing(engine, attested, outcome, severity, cause):
    verdict = engine_support.judge(facts_with(engine=engine, attested=attested))

    assert (verdict.outcome, verdict.severity, verdict.cause) == (outcome, severity, cause)


def test_an_attestation_that_ended_vouches_for_nothing():
    facts = facts_with(
        engine=Engine.ELASTICACHE, attested={"managed_durability": Missing("unattested", "ended")}
    )

    assert engine_support.judge(facts).severity is Severity.CRITICAL


def test_the_make_is_shown_with_version_and_edition():
    facts = facts_with(engine=Engine.MEMURAI, version="4.1.0", edition="Developer")

    assert engine_support.judge(facts).evidence == {
        "standing": "experimental",
        "make": "Memurai 4.1.0 Developer",
    }


def test_redis_is_what_the_vendor_supports():
    assert engine_support.judge(facts_with(version=CLOSED)) == passed(
        standing="supported", make="Redis"
    )


def test_where_nothing_was_recognised_it_is_unknown():
    verdict = engine_support.judge(facts_with(engine=Engine.UNKNOWN))

    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, "undetermined")
