import pytest

from checks.facts import Engine
from checks.rule import Outcome, passed
from checks.rules.disk import aof_disk, aof_last_status, storage_medium
from tests.checks.pairs import HIDDEN, facts_with

FAST = {"disk_iops": 10_000}


def test_without_aof_no_disk_is_judged():
    assert aof_disk.judge(facts_with(aof_enabled=False)) == passed(aof="off")


@pytest.mark.parametrize(
    ("iops", "outcome", "severity", "cause"),
    [
        (9_999, "fail", "critical", "slow"),
        (10_000, "pass", None, ""),
        (10_001, "pass", None, ""),
    ],
)
def test_iops_steps(iops, outcome, severity, cause):
    verdict = aof_disk.judge(facts_with(aof_enabled=True, attested={"disk_iops": iops}))

    assert (verdict.outcome, verdict.severity, verdict.cause) == (outcome, severity, cause)


def test_unattested_iops_are_unknown():
    assert aof_disk.judge(facts_with(aof_enabled=True)).reason == "unattested"


@pytest.mark.parametrize(
    ("looks", "outcome", "severity"),
    [
        ((False, False, False), "pass", None),
        ((True, False, False), "fail", "warning"),
        ((True, True, False), "fail", "warning"),
        ((True, True), "fail", "warning"),
        ((True, True, True), "fail", "critical"),
        # What rose between two judgements counts, and three looks in a row lie anywhere in it.
        ((True, False, False, False, False, False, False), "fail", "warning"),
        ((True, True, False, True, True, False, True), "fail", "warning"),
        ((False, True, True, True, False, False, False), "fail", "critical"),
    ],
)
def test_writes_that_waited(looks, outcome, severity):
    facts = facts_with(aof_enabled=True, attested=FAST, since={"slow_fsync_looks": looks})
    verdict = aof_disk.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_slow_writes_contradict_what_is_attested_and_both_are_shown():
    facts = facts_with(
        aof_enabled=True,
        attested={"disk_iops": 12_000},
        since={"slow_fsync_looks": (True, True, True)},
    )

    assert aof_disk.judge(facts).message == (
        "Writes to the AOF had to wait for the disk at 3 of the last 3 looks, although 12,000 IOPS "
        "are attested; they must not"
    )


def test_appendfsync_always_waits_for_each_write():
    facts = facts_with(aof_enabled=True, attested=FAST, appendfsync="always")
    verdict = aof_disk.judge(facts)

    assert (verdict.severity, verdict.cause) == ("warning", "always")


def test_appendfsync_that_is_hidden_is_no_pass():
    facts = facts_with(aof_enabled=True, attested=FAST, appendfsync=HIDDEN)

    assert aof_disk.judge(facts).reason == "no_permission"


@pytest.mark.parametrize(
    ("aof", "write", "rewrite", "outcome", "cause"),
    [
        (False, "err", "err", "pass", ""),
        (True, "ok", "ok", "pass", ""),
        (True, "err", "ok", "fail", "write"),
        (True, "ok", "err", "fail", "rewrite"),
    ],
)
def test_how_the_aof_is_written(aof, write, rewrite, outcome, cause):
    facts = facts_with(
        aof_enabled=aof, aof_last_write_status=write, aof_last_bgrewrite_status=rewrite
    )
    verdict = aof_last_status.judge(facts)

    assert (verdict.outcome, verdict.cause) == (outcome, cause)


@pytest.mark.parametrize("engine", [Engine.DRAGONFLY, Engine.UPSTASH, Engine.MEMORYDB])
def test_who_has_no_aof_of_ours(engine):
    facts = facts_with(engine=engine, aof_enabled=True)

    assert aof_disk.judge(facts).outcome is Outcome.NOT_APPLICABLE
    assert aof_last_status.judge(facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("medium", "outcome"),
    [
        ("SSD", "pass"),
        ("NVMe", "pass"),
        ("local nvme, RAID 1", "pass"),
        ("gp3 ssd", "pass"),
        ("HDD", "fail"),
        ("HDD with an SSD cache", "fail"),
        ("NFS", "fail"),
        ("passd", "fail"),
    ],
)
def test_media(medium, outcome):
    verdict = storage_medium.judge(facts_with(attested={"storage_medium": medium}))

    assert verdict.outcome == outcome


def test_an_unattested_medium_is_unknown():
    assert storage_medium.judge(facts_with()).reason == "unattested"
