"""Evidence beats an attestation: the rule fails with both shown, key by key; other keys have none to read."""

from dataclasses import dataclass

import pytest

from checks import attest
from checks.catalog import BY_ID
from checks.facts import Engine, Missing, PairFacts
from checks.rule import Outcome, Severity
from tests.checks.pairs import GIB, facts_with

NO_CONFIG = Missing("command_unavailable", "CONFIG is blocked")
SLOW = {"slow_fsync_looks": (True, True, True)}
FAR = {"recent_rtt_us": (9000.0, 8200.0, 8800.0, 9100.0, 8600.0), "rtt_vantage": "EmailEngine"}
NEAR = {"recent_rtt_us": (300.0, 280.0, 310.0, 290.0, 900.0), "rtt_vantage": "EmailEngine"}
ELASTICACHE = {"engine": Engine.ELASTICACHE, "save": NO_CONFIG, "appendfsync": NO_CONFIG}
USED_UP = Missing("misconf", "ERR max requests limit exceeded. Limit: 500000, Usage: 500000")


@dataclass
class Contrary:
    """An attestation with what speaks against it, and the verdict that shows both."""

    key: str
    rule_id: str
    facts: PairFacts
    severity: Severity
    message: str


CONTRARY = {
    "slow fsyncs, against the IOPS": Contrary(
        "disk_iops",
        "redis.aof-disk",
        facts_with(aof_enabled=True, attested={"disk_iops": 20_000}, since=SLOW),
        Severity.CRITICAL,
        "Writes to the AOF had to wait for the disk at 3 of the last 3 looks, although 20,000 IOPS "
        "are attested; they must not",
    ),
    "slow fsyncs, where the IOPS alone made an AOF enough": Contrary(
        "disk_iops",
        "redis.durability",
        facts_with(save=(), aof_enabled=True, attested={"disk_iops": 20_000}, since=SLOW),
        Severity.WARNING,
        "Only the AOF is on, and 20,000 IOPS are attested, although writes had to wait for the disk "
        "again and again; switch RDB on, or attest 10,000 IOPS or more",
    ),
    "a host with less RAM": Contrary(
        "ram_bytes",
        "redis.memory-headroom",
        facts_with(attested={"ram_bytes": 64 * GIB}),
        Severity.WARNING,
        "ram_bytes is attested as 64\u202fGiB, INFO shows 16\u202fGiB; what is attested must be "
        "what the server has",
    ),
    "a host with less RAM, nearly full": Contrary(
        "ram_bytes",
        "redis.memory-headroom",
        facts_with(used_memory_rss_bytes=15 * GIB, attested={"ram_bytes": 64 * GIB}),
        Severity.CRITICAL,
        "Redis uses 93% of 16\u202fGiB RAM, by RSS (ram_bytes is attested as 64\u202fGiB, INFO "
        "shows 16\u202fGiB); keep it below 80%",
    ),
    "a path too long for one zone": Contrary(
        "redis_location",
        "redis.same-zone",
        facts_with(
            vantage={"redis_location": Missing("not_configured", "not registered")},
            attested={"redis_location": "eu/eu-a"},
            since=FAR,
        ),
        Severity.WARNING,
        "Redis is said to stand in eu/eu-a, EmailEngine in eu/eu-a, but they are 8.20\u202fms apart: "
        "no zone is that wide, measured from EmailEngine; both must be where they are said to be",
    ),
    "a path too short for two regions": Contrary(
        "emailengine_location",
        "redis.same-zone",
        facts_with(
            vantage={"emailengine_location": Missing("not_configured", "not registered")},
            attested={"emailengine_location": "us/us-a"},
            since=NEAR,
        ),
        Severity.WARNING,
        "Redis is said to stand in eu/eu-a, EmailEngine in us/us-a, but they are only 0.90\u202fms "
        "apart: they share a region, measured from EmailEngine; both must be where they are said to be",
    ),
    "a restart that left an empty database": Contrary(
        "managed_durability",
        "redis.durability",
        facts_with(
            **ELASTICACHE,
            attested={"managed_durability": True},
            keys_by_database={"8": 3},
            since={"is_restarted": True},
        ),
        Severity.CRITICAL,
        "Amazon ElastiCache is attested to keep its data, and came back from a restart with 3 of "
        "1,200 keys; it must keep them",
    ),
    "a quota that is used up": Contrary(
        "plan",
        "redis.upstash-plan",
        facts_with(engine=Engine.UPSTASH, ping=USED_UP, attested={"plan": "pay as you go"}),
        Severity.CRITICAL,
        "The plan is attested as pay as you go, and its quota of commands is used up; EmailEngine "
        "needs a plan that lasts",
    ),
    "a message larger than a command": Contrary(
        "largest_message_bytes",
        "redis.command-size-limit",
        facts_with(
            proto_max_bulk_len_bytes=10_000_000, attested={"largest_message_bytes": 25_000_000}
        ),
        Severity.WARNING,
        "Redis takes commands up to 9.5\u202fMiB; the largest message has 24\u202fMiB; it must take "
        "the largest message",
    ),
    "a Dragonfly that refuses EmailEngine's scripts": Contrary(
        "dragonfly_validated",
        "redis.engine-support",
        facts_with(
            engine=Engine.DRAGONFLY,
            allows_undeclared_keys=False,
            attested={"dragonfly_validated": True},
        ),
        Severity.WARNING,
        "Dragonfly is experimental, attested as validated although it refuses undeclared keys; the "
        "vendor supports Redis",
    ),
}


@pytest.mark.parametrize("name", CONTRARY)
def test_evidence_beats_what_is_attested_and_both_are_shown(name):
    case = CONTRARY[name]
    verdict = BY_ID[case.rule_id].judge(case.facts)

    assert (verdict.outcome, verdict.severity) == (Outcome.FAIL, case.severity)
    assert verdict.message == case.message
    assert case.rule_id in attest.BY_KEY[case.key].rules


def test_every_key_tells_what_speaks_against_it_or_that_nothing_can():
    read = {case.key for case in CONTRARY.values()}

    assert {key.name for key in attest.KEYS if key.contrary.startswith("None")} == (
        attest.BY_KEY.keys() - read
    )


@pytest.mark.parametrize(
    ("figures", "stalls", "outcome"),
    [
        ((5000.0,) * 5, (), "fail"),
        ((4999.0,) * 5, (), "pass"),
        ((4999.0, *(9000.0,) * 4), (), "pass"),  # one short way shows that the path is short
        ((9000.0,) * 4, (), "pass"),  # too few to say so
        ((9000.0,) * 5, (200.0, 4001.0), "pass"),  # Redis kept PINGs waiting, not the path
        ((9000.0,) * 5, (200.0, 4000.0), "fail"),
    ],
)
def test_what_a_zone_may_measure(figures, stalls, outcome):
    since = {
        "recent_rtt_us": figures,
        "recent_stall_us": stalls,
        "rtt_vantage": "EmailEngine",
    }

    assert BY_ID["redis.same-zone"].judge(facts_with(since=since)).outcome == outcome


@pytest.mark.parametrize(
    ("figures", "severity"), [((999.0,) * 5, "warning"), ((999.0,) * 4 + (1000.0,), "critical")]
)
def test_what_two_regions_may_measure(figures, severity):
    since = {"recent_rtt_us": figures, "rtt_vantage": "EmailEngine"}
    facts = facts_with(vantage={"redis_location": "us/us-a"}, since=since)

    assert BY_ID["redis.same-zone"].judge(facts).severity == severity


@pytest.mark.parametrize(
    ("keys", "is_restarted", "outcome", "keeps"),
    [
        (240, True, "fail", None),
        (241, True, "pass", None),
        (240, False, "pass", "critical"),  # found before, and not accepted yet
        (241, False, "pass", None),
    ],
)
def test_a_finding_of_lost_durability_stays_until_the_loss_is_accepted(
    keys, is_restarted, outcome, keeps
):
    facts = facts_with(
        **ELASTICACHE,
        attested={"managed_durability": True},
        keys_by_database={"8": keys},
        since={"is_restarted": is_restarted},
    )
    verdict = BY_ID["redis.durability"].judge(facts)

    assert (verdict.outcome, verdict.keeps) == (outcome, keeps)


def test_with_refuted_ram_what_rested_on_it_is_not_verified():
    facts = facts_with(maxmemory_bytes=0, attested={"ram_bytes": 64 * GIB})
    found = [
        BY_ID[rule_id].judge(facts)
        for rule_id in ("redis.snapshot-headroom", "redis.memory-provisioning")
    ]

    assert {(one.outcome, one.message) for one in found} == {
        (
            Outcome.UNKNOWN,
            "ram_bytes is attested as 64\u202fGiB, INFO shows 16\u202fGiB",
        )
    }


def test_a_tenants_attestation_says_nothing_of_a_make_that_it_is_not_for():
    facts = facts_with(attested={"managed_durability": True, "dragonfly_validated": True})

    assert BY_ID["redis.engine-support"].judge(facts).outcome is Outcome.PASS
    assert BY_ID["redis.durability"].judge(facts).evidence["persistence"] == "RDB 900/1, 300/10"
