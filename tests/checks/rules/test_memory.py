import pytest

from checks.facts import Missing
from checks.rule import Outcome, Severity
from checks.rules.memory import Ram, ceiling_for, memory_headroom, ram_of
from tests.checks.pairs import GIB, MIB, facts_with

UNREAD = Missing("no_permission", "INFO is closed")


@pytest.mark.parametrize(
    ("used", "outcome", "severity", "keeps"),
    [
        (749, "pass", None, None),
        (750, "pass", None, "warning"),
        (799, "pass", None, "warning"),
        (800, "fail", "warning", None),
        (849, "fail", "warning", None),
        (850, "fail", "warning", "critical"),
        (899, "fail", "warning", "critical"),
        (900, "fail", "critical", None),
        (1001, "fail", "critical", None),
    ],
)
def test_headroom_steps(used, outcome, severity, keeps):
    verdict = memory_headroom.judge(
        facts_with(used_memory_bytes=used, used_memory_rss_bytes=used, maxmemory_bytes=1000)
    )

    assert (verdict.outcome, verdict.severity, verdict.keeps) == (outcome, severity, keeps)


@pytest.mark.parametrize(
    ("used", "outcome", "severity"),
    [(799, "pass", None), (800, "fail", "warning"), (900, "fail", "critical")],
)
def test_headroom_without_maxmemory_counts_attested_ram(used, outcome, severity):
    facts = facts_with(
        used_memory_bytes=used,
        used_memory_rss_bytes=0,
        maxmemory_bytes=0,
        system_memory_bytes=UNREAD,
        attested={"ram_bytes": 1000},
    )
    verdict = memory_headroom.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)
    assert (verdict.evidence["ceiling_bytes"], verdict.evidence["ceiling"]) == (1000, "RAM")


@pytest.mark.parametrize(
    ("used", "outcome", "reason"),
    [(100, "unknown", "unattested"), (799, "unknown", "unattested"), (800, "fail", None)],
)
def test_an_estimate_of_ram_proves_a_fail_and_never_a_pass(used, outcome, reason):
    facts = facts_with(
        used_memory_bytes=used,
        used_memory_rss_bytes=used,
        maxmemory_bytes=0,
        system_memory_bytes=1000,
    )
    verdict = memory_headroom.judge(facts)

    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.evidence["ceiling"] == "RAM, estimated"


def test_without_maxmemory_and_ram_it_says_what_to_attest():
    facts = facts_with(maxmemory_bytes=0, system_memory_bytes=UNREAD)
    verdict = memory_headroom.judge(facts)

    assert (verdict.outcome, verdict.reason, verdict.evidence) == ("unknown", "unattested", {})
    assert "attest ram_bytes" in verdict.message


@pytest.mark.parametrize(
    ("attested", "rss", "outcome"),
    [
        ({"ram_bytes": 1000}, 799, "pass"),
        ({"ram_bytes": 1000}, 800, "fail"),
        ({}, 799, "pass"),
        ({}, 800, "fail"),  # the estimate is enough to prove a fail
    ],
)
def test_rss_counts_against_ram_too(attested, rss, outcome):
    facts = facts_with(
        used_memory_bytes=100,
        used_memory_rss_bytes=rss,
        maxmemory_bytes=900,
        system_memory_bytes=1000,
        attested=attested,
    )
    verdict = memory_headroom.judge(facts)

    assert verdict.outcome == outcome
    if outcome == "fail":
        assert (verdict.cause, verdict.evidence["used_bytes"]) == ("ram", 800)


@pytest.mark.parametrize("name", ["used_memory_bytes", "maxmemory_bytes"])
def test_headroom_is_unknown_where_memory_cannot_be_read(name):
    verdict = memory_headroom.judge(facts_with(**{name: UNREAD}))

    assert (verdict.outcome, verdict.message) == (Outcome.UNKNOWN, "INFO is closed")


def test_an_unread_rss_leaves_the_other_view():
    assert memory_headroom.judge(facts_with(used_memory_rss_bytes=UNREAD)).outcome == "pass"


def test_the_message_says_what_is_used_of_what():
    verdict = memory_headroom.judge(
        facts_with(used_memory_bytes=int(3.3 * GIB), used_memory_rss_bytes=int(3.4 * GIB))
    )

    assert verdict.message == "Redis uses 82% of 4.0\u202fGiB maxmemory; keep it below 80%"
    assert (verdict.short, verdict.cause) == ("Memory at 82%", "maxmemory")
    assert verdict.severity is Severity.WARNING


def test_a_ceiling_that_ram_cannot_hold_asks_for_ram_first():
    verdict = memory_headroom.judge(
        facts_with(used_memory_bytes=int(3.8 * GIB), system_memory_bytes=6 * GIB)
    )

    assert verdict.cause == "add-ram"
    assert verdict.evidence["needed_ram_bytes"] > 6 * GIB


@pytest.mark.parametrize(
    ("used", "ram", "suggested", "fits"),
    [
        (1 * GIB, None, 2 * GIB, True),
        (1 * GIB, 16 * GIB, 2 * GIB, True),
        (1200 * MIB, 3000 * MIB, 1800 * MIB, True),  # 60 % of RAM, and 67 % full
        (1300 * MIB, 3000 * MIB, 1858 * MIB, False),  # 70 % full would already be too much
        (0, 16 * GIB, MIB, True),
    ],
)
def test_a_suggested_ceiling_leaves_room_and_fits(used, ram, suggested, fits):
    ceiling = ceiling_for(used, None if ram is None else Ram(ram, is_attested=True))

    assert (ceiling.size_bytes, ceiling.fits) == (suggested, fits)
    assert ceiling.size_bytes >= used


@pytest.mark.parametrize(
    ("attested", "seen", "ram"),
    [
        ({}, 16, Ram(16, is_attested=False)),
        ({"ram_bytes": 8}, 16, Ram(8, is_attested=True)),
        # A machine shows a little less than it was bought with; far less is contrary evidence.
        ({"ram_bytes": 100}, 85, Ram(85, is_attested=True)),
        ({"ram_bytes": 100}, 84, Ram(84, is_attested=False, refuted_bytes=100)),
        ({"ram_bytes": 8}, UNREAD, Ram(8, is_attested=True)),
        ({}, UNREAD, None),
        ({}, 0, None),
    ],
)
def test_ram_is_attested_or_estimated(attested, seen, ram):
    assert ram_of(facts_with(attested=attested, system_memory_bytes=seen)) == ram


def test_other_servers_on_the_host_count_by_their_rss():
    facts = facts_with(
        used_memory_rss_bytes=1 * GIB,
        attested={"ram_bytes": 10 * GIB},
        fleet={"other_rss_bytes": 8 * GIB},
    )
    verdict = memory_headroom.judge(facts)

    assert (verdict.severity, verdict.evidence["used_bytes"]) == ("critical", 9 * GIB)
