"""Whole mails, as a person reads them: each kind's text is held as a file beside this one."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from checks.rule import Severity
from fleet.alerts import samples
from fleet.alerts.channels import email
from fleet.alerts.letter import Letter, Move, RuleCount
from fleet.alerts.render import render
from fleet.alerts.samples import AT, BACKUP, DURABILITY, EVICTION, MEMORY, READER, alert, sample

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(autouse=True)
def installed(settings):
    settings.BASE_URL = "https://pairkeeper.example.com"
    settings.SECRET_KEY = "golden"


def written(letter) -> str:
    with time_machine.travel(AT, tick=False):
        found = render(letter)
    headers = [("Subject", found.subject), *found.headers.items(), ("Preheader", found.preheader)]
    return "".join(f"{name}: {value}\n" for name, value in headers) + "\n" + found.text


@pytest.mark.parametrize("name", samples.BODIES)
def test_each_kind_reads_as_it_is_held(name):
    assert written(sample(name)) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_a_mails_links_name_the_findings_that_it_tells_of():
    """By the mail's own number: a filter would show others too, and other states an hour later."""
    items = [replace(EVICTION, finding_id=number) for number in range(30)]
    text = render(Letter(reader=READER, at=AT, body=replace(alert(*items), mail_id=31))).text
    storm = render(Letter(reader=READER, at=AT, body=replace(samples.STORM, mail_id=31))).text

    whole = "https://pairkeeper.example.com/admin/findings/finding/?mail=31"
    text, storm = " ".join(text.split()), " ".join(storm.split())
    assert f"Open the 30 findings: {whole} " in text
    assert f"Acknowledge: {whole} " in text
    assert f" {whole}&rule=redis.eviction-policy " in text
    assert f"Open these findings: {whole} " in storm


def test_no_file_is_held_that_nothing_writes():
    assert {path.stem for path in GOLDEN.iterdir()} == set(samples.BODIES)


def subject(*items, **fields) -> str:
    return render(Letter(reader=READER, at=AT, body=replace(alert(*items), **fields))).subject


OPERATION = replace(
    EVICTION,
    finding_id=1,
    pair="northwind-eu-0002",
    rule_id="redis.reachable",
    is_requirement=False,
)


@pytest.mark.parametrize(
    ("items", "wanted"),
    [
        ([EVICTION], "[Critical] Northwind Mail: 1 pair left compliance"),
        ([EVICTION, DURABILITY], "[Critical] Northwind Mail: 2 pairs left compliance"),
        # Two findings of one pair are one pair.
        (
            [EVICTION, replace(DURABILITY, pair=EVICTION.pair)],
            "[Critical] Northwind Mail: 1 pair left compliance",
        ),
        ([OPERATION], "[Critical] Northwind Mail: 1 pair is failing"),
        (
            [EVICTION, OPERATION, MEMORY],
            "[Critical] Northwind Mail: 1 pair left compliance, 1 pair is failing",
        ),
        ([MEMORY, BACKUP], "[Warning] Northwind Mail: 1 pair at risk"),
        (
            [replace(OPERATION, severity=Severity.WARNING)],
            "[Warning] Northwind Mail: 1 pair degraded",
        ),
        (
            [replace(MEMORY, finding_id=n, pair=f"northwind-{n}") for n in range(3)],
            "[Warning] Northwind Mail: 3 pairs at risk",
        ),
        (
            [replace(EVICTION, move=Move.STILL), MEMORY],
            "[Critical] Northwind Mail: 1 pair still non-compliant",
        ),
        (
            [replace(EVICTION, move=Move.EASED, severity=Severity.WARNING)],
            "[Warning] Northwind Mail: 1 pair at risk",
        ),
        (
            [replace(BACKUP, opened_at=AT - timedelta(hours=3, minutes=12)), BACKUP],
            "[Resolved] Northwind Mail: 1 pair is back after 9\u202fh",
        ),
        # Something else is open on it: it is not back.
        (
            [replace(BACKUP, others_open=1)],
            "[Resolved] Northwind Mail: 1 finding resolved after 9\u202fh",
        ),
        (
            [replace(EVICTION, move=Move.FRESH)],
            "[Info] Northwind Mail: 1 note",
        ),
    ],
)
def test_the_subject_says_tenant_count_worst_and_what(items, wanted):
    assert subject(*items) == wanted


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", "21 Nov 2026, 14:18 UTC. "),
        ("Europe/Berlin", "21 Nov 2026, 15:18 CET. "),
        ("Asia/Kathmandu", "21 Nov 2026, 20:03 UTC+0545. "),
        ("Mars/Olympus_Mons", "21 Nov 2026, 14:18 UTC. "),
        ("../../etc/passwd", "21 Nov 2026, 14:18 UTC. "),
    ],
)
def test_instants_are_in_the_readers_zone_with_its_name(zone, told):
    assert told in render(sample("opened", replace(READER, time_zone=zone))).text


def test_the_next_reminder_of_another_day_says_the_day():
    body = replace(alert(EVICTION), reminder_at=AT + timedelta(hours=10))
    text = render(Letter(reader=READER, at=AT, body=body)).text

    assert "Next reminder at 22 Nov 2026, 00:18 UTC unless acknowledged." in text


def test_criticals_up_to_five_each_carry_their_own_command():
    items = [replace(EVICTION, finding_id=n, pair=f"pair-{n}") for n in range(5)]
    text = render(Letter(reader=READER, at=AT, body=alert(*items))).text

    assert text.count("\n    CONFIG SET maxmemory-policy noeviction\n") == 5


def test_six_criticals_are_grouped_by_rule():
    items = [replace(EVICTION, finding_id=n, pair=f"pair-{n}") for n in range(6)]
    text = render(Letter(reader=READER, at=AT, body=alert(*items))).text

    assert text.count("\n    CONFIG SET maxmemory-policy noeviction\n") == 1
    assert "CRITICAL  6 pairs\n" in text
    assert "pair-0, pair-1, pair-2, pair-3, pair-4, pair-5" in text


def test_a_group_whose_commands_differ_shows_none():
    items = [
        replace(
            MEMORY,
            finding_id=n,
            pair=f"pair-{n}",
            severity=Severity.CRITICAL,
            evidence={**MEMORY.evidence, "suggested_maxmemory_bytes": n * 1024**3},
        )
        for n in range(1, 7)
    ]
    text = render(Letter(reader=READER, at=AT, body=alert(*items))).text

    assert "CONFIG SET" not in text
    assert "The command differs from pair to pair: each finding shows its own." in text


@pytest.mark.parametrize("engine", ["", "unknown", "no engine of ours"])
def test_an_engine_never_told_is_not_named(engine):
    item = replace(EVICTION, engine=engine, engine_version="")

    assert "\n  Do now:\n" in render(Letter(reader=READER, at=AT, body=alert(item))).text


def test_a_rule_that_is_no_more_still_makes_a_mail():
    item = replace(EVICTION, rule_id="redis.gone-since")
    text = render(Letter(reader=READER, at=AT, body=alert(item))).text

    assert "Rule:     redis.gone-since" in text
    assert "Do now" not in text


def test_two_hundred_findings_stay_small_and_none_is_left_out_in_silence():
    items = [
        replace(
            EVICTION,
            finding_id=n,
            pair=f"northwind-eu-{n:04}",
            rule_id=f"redis.rule-{n % 20}",
            message="Redis may evict keys " * 20,
        )
        for n in range(200)
    ]
    found = render(Letter(reader=READER, at=AT, body=alert(*items)))

    assert found.subject == "[Critical] Northwind Mail: 200 pairs left compliance"
    assert found.text.count("CRITICAL  10 pairs\n") == 5
    assert "and 150 more findings: https://pairkeeper.example.com/admin/findings/" in (
        found.text.replace(":\nhttps", ": https")
    )
    assert email.size_bytes(found) <= 30_000


def test_a_long_storm_counts_what_it_does_not_name():
    rules = [
        RuleCount(rule_id=f"redis.rule-{n}", severity=Severity.WARNING, pairs_count=n)
        for n in range(60, 0, -1)
    ]
    found = render(Letter(reader=READER, at=AT, body=replace(samples.STORM, rules=tuple(rules))))

    assert "and 36 more" in found.text


def test_a_verification_offers_no_way_to_stop_what_has_not_begun():
    found = render(sample("verification"))

    assert found.headers == {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    assert "Stop" not in found.text


def test_html_and_text_tell_the_same_in_the_same_order():
    found = render(sample("opened"))
    facts = [
        "northwind-eu-0417",
        "allkeys-lru: Redis may evict",
        "Observed",
        "Required",
        "noeviction",
        "redis.eviction-policy",
        "Do now, on Valkey 8.0.1:",
        "CONFIG SET maxmemory-policy noeviction",
        "/f/8812/",
        "northwind-us-1022",
        "/f/8813/",
        "Open the 4 findings",
        "northwind-us-1190",
        "northwind-eu-0088",
        "Next reminder at 18:18 UTC",
        "Acknowledge",
    ]
    for written_ in (found.html, found.text):
        places = [0]
        for fact in facts:
            places.append(written_.find(fact, places[-1]))
            assert places[-1] > 0, fact
