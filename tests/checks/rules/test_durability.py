import pytest

from checks.facts import Engine, Missing
from checks.rule import Outcome
from checks.rules.durability import durability
from checks.rules.save_points import is_met, merged, rdb_schedule
from tests.checks.pairs import HIDDEN, facts_with

NO_CONFIG = Missing("command_unavailable", "CONFIG is blocked")
MANAGED = [Engine.UPSTASH, Engine.ELASTICACHE, Engine.MEMORYDB]


@pytest.mark.parametrize(
    ("save", "aof", "iops", "outcome", "severity", "cause"),
    [
        (((900, 1), (300, 10)), False, None, "pass", None, ""),
        (((3600, 10_000),), False, None, "pass", None, ""),
        (((900, 1),), True, None, "pass", None, ""),
        ((), True, 10_000, "pass", None, ""),
        ((), True, 9_999, "fail", "warning", "aof-only"),
        ((), True, None, "fail", "warning", "aof-only"),
        ((), False, None, "fail", "critical", "off"),
        ((), False, 50_000, "fail", "critical", "off"),
    ],
)
def test_what_keeps_data(save, aof, iops, outcome, severity, cause):
    attested = {} if iops is None else {"disk_iops": iops}
    verdict = durability.judge(facts_with(save=save, aof_enabled=aof, attested=attested))

    assert (verdict.outcome, verdict.severity, verdict.cause) == (outcome, severity, cause)


@pytest.mark.parametrize(
    ("save", "aof", "fsync", "loss_s", "loss"),
    [
        (((900, 1), (300, 10)), False, "everysec", 900, "a crash loses up to 15\u202fmin"),
        (((900, 1), (60, 1)), False, "everysec", 60, "a crash loses up to 60\u202fs"),
        (((300, 10),), False, "everysec", None, "a crash may lose changes of any age"),
        (((900, 1),), True, "everysec", 1, "a crash loses up to 1\u202fs"),
        (((900, 1),), True, "no", 30, "a crash loses up to 30\u202fs"),
        (((900, 1),), True, "always", 0, "a crash loses nothing that was confirmed"),
        (((900, 1),), True, HIDDEN, 900, "a crash loses up to 15\u202fmin"),
    ],
)
def test_the_evidence_is_the_worst_case_loss(save, aof, fsync, loss_s, loss):
    verdict = durability.judge(facts_with(save=save, aof_enabled=aof, appendfsync=fsync))

    assert verdict.evidence["loss"] == loss
    assert verdict.evidence.get("loss_window_s") == loss_s


def test_with_both_off_everything_may_be_lost():
    verdict = durability.judge(facts_with(save=(), aof_enabled=False))

    assert verdict.message == (
        "RDB snapshots are off and no AOF is on: a restart or crash would lose all data; "
        "switch RDB on"
    )
    assert verdict.evidence == {
        "persistence": "off",
        "wanted_save": [[900, 1], [300, 10]],
        "save": [],
        "loss": "a crash may lose everything",
    }


@pytest.mark.parametrize("engine", MANAGED)
@pytest.mark.parametrize(
    ("attested", "outcome", "severity", "reason"),
    [
        ({"managed_durability": True}, "pass", None, None),
        ({"managed_durability": False}, "fail", "critical", None),
        ({}, "unknown", None, "unattested"),
    ],
)
def test_where_the_provider_saves_the_attestation_decides(
    engine, attested, outcome, severity, reason
):
    verdict = durability.judge(
        facts_with(engine=engine, save=NO_CONFIG, aof_enabled=NO_CONFIG, attested=attested)
    )

    assert (verdict.outcome, verdict.severity, verdict.reason) == (outcome, severity, reason)


@pytest.mark.parametrize(
    ("save", "attested", "outcome", "reason"),
    [
        (NO_CONFIG, {"managed_durability": True}, "pass", None),
        (NO_CONFIG, {}, "unknown", "unattested"),
        ((), {"managed_durability": True}, "fail", None),  # what CONFIG tells beats it
        (((900, 1),), {}, "pass", None),
    ],
)
def test_a_provider_whose_config_is_closed_is_vouched_for(save, attested, outcome, reason):
    facts = facts_with(engine=Engine.MEMORYSTORE, save=save, aof_enabled=False, attested=attested)
    verdict = durability.judge(facts)

    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("cron", "outcome", "persistence"),
    [("*/5 * * * *", "pass", "snapshots at */5 * * * *"), ("", "fail", "off")],
)
def test_dragonfly_saves_by_its_own_schedule(cron, outcome, persistence):
    facts = facts_with(
        engine=Engine.DRAGONFLY,
        save=NO_CONFIG,
        aof_enabled=NO_CONFIG,
        appendfsync=NO_CONFIG,
        snapshot_cron=cron,
    )
    verdict = durability.judge(facts)

    assert (verdict.outcome, verdict.evidence["persistence"]) == (outcome, persistence)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"save": HIDDEN}, "unknown"),
        ({"save": HIDDEN, "aof_enabled": True}, "unknown"),
        ({"save": HIDDEN, "aof_enabled": True, "attested": {"disk_iops": 10_000}}, "pass"),
        ({"save": (), "aof_enabled": HIDDEN}, "unknown"),
        ({"aof_enabled": HIDDEN}, "pass"),
    ],
)
def test_what_was_not_read_is_unknown_unless_the_rest_decides(changed, outcome):
    assert durability.judge(facts_with(**changed)).outcome == outcome


# --- redis.rdb-schedule


@pytest.mark.parametrize(
    ("save", "outcome"),
    [
        (((900, 1), (300, 10)), "pass"),
        (((300, 1),), "pass"),
        (((60, 1),), "pass"),
        (((900, 1), (300, 10), (60, 10_000)), "pass"),
        (((899, 1), (299, 9)), "pass"),
        (((901, 1), (300, 10)), "fail"),
        (((900, 2), (300, 10)), "fail"),
        (((900, 1), (301, 10)), "fail"),
        (((900, 1), (300, 11)), "fail"),
        (((900, 1),), "fail"),
        (((300, 10),), "fail"),
        (((3600, 1), (300, 100), (60, 10_000)), "fail"),  # Redis' own default
        ((), "fail"),
        (HIDDEN, "unknown"),
    ],
)
def test_each_required_save_point_is_met(save, outcome):
    assert rdb_schedule.judge(facts_with(save=save)).outcome == outcome


def test_the_default_schedule_is_mended_and_its_strict_point_kept():
    verdict = rdb_schedule.judge(facts_with(save=((3600, 1), (300, 100), (60, 10_000))))

    assert verdict.message == (
        "RDB saves at 3600/1, 300/100, 60/10000; "
        "save points at least as strict as 900/1, 300/10 are missing"
    )
    assert verdict.evidence["wanted_save"] == [[900, 1], [300, 10], [60, 10_000]]
    assert verdict.severity == "warning"


def test_with_the_aof_on_the_schedule_does_not_matter():
    verdict = rdb_schedule.judge(facts_with(save=(), aof_enabled=True))

    assert (verdict.outcome, verdict.reason) == (Outcome.NOT_APPLICABLE, "not_applicable")


def test_with_the_aof_unread_it_cannot_be_told():
    assert rdb_schedule.judge(facts_with(aof_enabled=HIDDEN)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("engine", [*MANAGED, Engine.DRAGONFLY])
def test_the_schedule_has_no_meaning_on_some_makes(engine):
    assert rdb_schedule.judge(facts_with(engine=engine)).outcome is Outcome.NOT_APPLICABLE


def test_what_is_wanted_is_the_policys():
    limits = type(rdb_schedule.limits)(required_pairs=((60, 1),))

    assert rdb_schedule.judge(facts_with(), limits).evidence["unmet"] == [[60, 1]]


@pytest.mark.parametrize(
    ("save", "wanted"),
    [
        ((), ((900, 1), (300, 10))),
        (((3600, 1),), ((900, 1), (300, 10))),
        (((60, 10_000),), ((900, 1), (300, 10), (60, 10_000))),
        (((600, 1),), ((900, 1), (600, 1), (300, 10))),
    ],
)
def test_merged_points_meet_the_required_and_lose_none(save, wanted):
    result = merged(((900, 1), (300, 10)), save)

    assert result == wanted
    assert all(is_met(point, result) for point in (*save, (900, 1), (300, 10)))
