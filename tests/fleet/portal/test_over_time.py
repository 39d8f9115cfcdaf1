"""The fleet over time: scores, open findings, gaps, what moved in a week, and who may see it."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache

from fleet.history.models import FleetHour, LampMove, ScoreDay
from fleet.inspections.terms import forget
from fleet.people.models import User
from fleet.registry.models import FleetSettings, PolicyVersion
from tests.fleet.factories import make_pair, make_person, make_state, make_tenant

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
TODAY = NOW.date()
URL = "/admin/trends/"


@pytest.fixture(autouse=True)
def _at_noon():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def score(day: date, tenant: str | None = None, **counts) -> ScoreDay:
    values = {
        "pairs_count": 100,
        "compliant_count": 91,
        "at_risk_count": 5,
        "non_compliant_count": 3,
        "unverified_count": 1,
        "raw_compliant_count": 90,
        "conclusive_count": 4100,
        "applicable_count": 4400,
        "open_findings": {"pair.rtt": [2, 6, 1]},
        **counts,
    }
    return ScoreDay.objects.create(day=day, tenant=tenant and make_tenant(tenant), **values)


def days_ago(count: int) -> date:
    return TODAY - timedelta(days=count)


def data(client, **query) -> dict:
    answer = client.get(f"{URL}data/", query)
    assert answer.status_code == 200
    return answer.json()


def values(found: dict, name: str) -> dict[str, list]:
    chart = next(one for one in found["charts"] if one["name"] == name)
    return {one["label"]: one["values"] for one in chart["series"]}


def test_shares_with_and_without_waivers_and_coverage(operator):
    score(days_ago(1), raw_compliant_count=88, compliant_count=89)
    score(TODAY)
    score(TODAY, "Fabrikam", compliant_count=1)

    found = data(operator)

    assert values(found, "compliance") == {"compliant": [88, 90], "with waivers": [89, 91]}
    assert values(found, "coverage") == {"coverage": [93.182, 93.182]}
    assert values(found, "states") == {
        "non-compliant": [3, 3],
        "at risk": [5, 5],
        "unverified": [1, 1],
    }
    first = found["charts"][0]
    assert (first["starts_at"], first["now"]) == (84, "90.0%")
    assert first["sentence"] == "Compliant pairs: lowest 88.0%, highest 90.0%, now 90.0%."


def test_open_findings_by_severity_and_by_rule_worst_first(operator):
    score(days_ago(1), open_findings={"pair.rtt": [0, 1, 0], "redis.durability": [9, 0, 0]})
    score(TODAY, open_findings={"pair.rtt": [0, 4, 2]})

    found = data(operator)

    assert values(found, "severities") == {"critical": [9, 0], "warning": [1, 4], "waived": [0, 2]}
    rules = {one["title"]: one["series"] for one in found["charts"] if one["name"][:5] == "rule-"}
    assert [(title, [one["label"] for one in lines]) for title, lines in rules.items()] == [
        ("Redis keeps its data through a crash", ["critical", "warning"]),
        ("Redis is less than 1\u202fms from EmailEngine", ["warning"]),
    ]


def test_days_without_a_score_are_a_gap_and_those_without_findings_too(operator):
    for count in (9, 8, 7, 3, 2, 1, 0):
        score(days_ago(count), open_findings=None if count > 2 else {})

    found = data(operator)

    start, end, why = found["charts"][0]["gaps"][0]
    edges = [datetime.fromtimestamp(at, UTC).date() for at in (start, end)]
    assert edges == [days_ago(7), days_ago(3)]
    assert why == "no score: the portal was not running"
    assert values(found, "compliance")["compliant"] == [90, 90, 90, None, 90, 90, 90, 90]
    assert values(found, "severities")["critical"] == [0, 0, 0]


@pytest.mark.parametrize("scores", [0, 1])
def test_one_point_only_and_none_at_all(operator, scores):
    if scores:
        score(TODAY)

    found = data(operator, range="2y", only="compliance")

    assert [one["name"] for one in found["charts"]] == ["compliance"]
    assert values(found, "compliance") == {
        "compliant": [90] * scores,
        "with waivers": [91] * scores,
    }
    sentence = "now 90.0%." if scores else "no reading in this time."
    assert found["charts"][0]["sentence"].endswith(sentence)


def test_a_change_of_the_fleets_policy_is_marked_on_every_chart(operator):
    score(TODAY)
    PolicyVersion.objects.create(
        level="fleet", overrides={}, made_at=NOW - timedelta(days=3), number=9
    )

    found = data(operator)

    assert {len(one["marks"]) for one in found["charts"]} == {1}
    assert [one["words"] for one in found["events"]] == ["Policy changed: Fleet, version 9"]


def test_each_sees_the_tenants_that_are_theirs(client):
    for tenant, compliant in (
        (None, 50),
        ("Northwind Mail", 10),
        ("Fabrikam", 20),
        ("Tessera", 20),
    ):
        score(TODAY, tenant, compliant_count=compliant)
    roles = [("viewer", "Northwind Mail"), ("viewer", "Fabrikam")]
    client.force_login(make_person("lea", is_operator=False, roles=roles))
    fabrikam, tessera = make_tenant("Fabrikam"), make_tenant("Tessera")

    both = data(client)
    assert values(both, "compliance")["with waivers"] == [15]
    assert values(both, "severities")["warning"] == [12]
    assert values(data(client, tenant=fabrikam.pk), "compliance")["with waivers"] == [20]
    for wrong in (tessera.pk, 999_999, "x", 10**30):
        assert client.get(f"{URL}data/", {"tenant": wrong}).status_code == 404
        assert client.get(URL, {"tenant": wrong}).status_code == 404


def test_a_chart_as_table_and_as_csv(operator):
    score(days_ago(1), raw_compliant_count=0, pairs_count=0)
    score(TODAY)

    table = operator.get(f"{URL}compliance/table/").content.decode()
    csv = operator.get(f"{URL}compliance/csv/", {"range": "30d"})

    assert '21 Nov 2026</td><td class="pk-num">90.0%' in table
    assert csv["Content-Disposition"] == 'attachment; filename="fleet-compliance-30d.csv"'
    assert csv.content.decode().splitlines() == [
        "at (UTC),compliant (%),with waivers (%),nothing read until (UTC),why",
        "2026-11-21T00:00:00+00:00,90.0,91.0,,",
    ]
    assert operator.get(f"{URL}nothing/table/").status_code == 404


def test_a_day_of_utc_is_that_day_wherever_one_reads(operator):
    User.objects.update(time_zone="America/New_York")
    score(days_ago(3))
    score(TODAY)

    table = operator.get(f"{URL}compliance/table/").content.decode()

    assert re.findall(r"<tr><td>([^<]+)<", table) == ["21 Nov 2026", "18 Nov 2026"]
    assert "Nothing was read: 18 Nov 2026 – 21 Nov 2026" in table


def test_the_worst_hour_zone_and_engine_of_each_day_for_who_sees_the_fleet(operator):
    pair = make_pair()
    for days, engine, rtt_us, ratio in (
        (2, "redis", 900, 0.5),
        (2, "valkey", 400, 0.85),
        (1, "redis", 700, None),
    ):
        FleetHour.objects.create(
            at=NOW - timedelta(days=days),
            zone=pair.target.zone,
            engine=engine,
            pairs_count=1,
            visits_count=60,
            silent_count=0,
            rtt_median_us=rtt_us // 2,
            rtt_p95_us=rtt_us,
            used_ratio_p95=ratio,
            last_save_age_p95_s=600,
        )
    score(TODAY)

    found = data(operator)

    assert values(found, "fleet-rtt") == {
        "19 of 20 visits": [0.9, 0.7],
        "half of them": [0.45, 0.35],
    }
    assert values(found, "fleet-memory") == {"19 of 20 visits": [85, None], "half of them": []}
    assert values(found, "fleet-snapshots") == {"19 of 20 visits": [10, 10]}
    limits = {one["name"]: [limit["label"] for limit in one["limits"]] for one in found["charts"]}
    assert limits["fleet-memory"] == ["80% warning", "90% critical"]
    names = {one["name"] for one in data(operator, tenant=pair.target.tenant_id)["charts"]}
    assert "fleet-rtt" not in names


def moved(before: str, after: str, days: float, tenant: str = "Northwind Mail", **state):
    pair = make_pair(tenant)
    since = NOW - timedelta(days=days)
    LampMove.objects.create(
        target_id=pair.pk, at=NOW - timedelta(days=40), compliance=before, health="healthy"
    )
    make_state(pair, NOW, compliance=after, compliance_since=since, health_since=since, **state)
    return pair


def test_pairs_that_moved_in_a_week_worst_first(operator, django_assert_max_num_queries):
    risky = moved("compliant", "at_risk", 2)
    bad = moved("compliant", "non_compliant", 1, worst_short="Full in 3 d")
    good = moved("non_compliant", "compliant", 3)
    moved("compliant", "non_compliant", 8)
    moved("at_risk", "at_risk", 2)
    make_state(make_pair(), NOW, compliance="unverified", compliance_since=NOW, health_since=NOW)

    with django_assert_max_num_queries(12):
        answer = operator.get(URL)

    found = answer.context["movers"]
    assert [one.target_id for one in found.worse] == [bad.pk, risky.pk]
    assert [one.target_id for one in found.better] == [good.pk]
    assert (found.worse_count, found.better_count, found.has_past) == (2, 1, False)
    assert (found.on_record_count, found.off_record_count) == (5, 1)
    text = answer.content.decode()
    assert "Full in 3 d" in text
    assert "1 pair of today was not on record then." in text


@pytest.mark.parametrize(
    ("since", "worse", "ago"),
    [
        ("24h", 1, "24 hours ago"),
        ("7d", 2, "a week ago"),
        ("30d", 3, "30 days ago"),
        ("soon", 2, "a week ago"),
        ("", 2, "a week ago"),
    ],
)
def test_one_may_compare_with_other_times(operator, since, worse, ago):
    for days in (0.5, 6, 29):
        moved("compliant", "at_risk", days)

    answer = operator.get(URL, {"since": since})

    assert answer.context["movers"].worse_count == worse
    assert f"Pairs, since {ago}" in answer.content.decode()


def test_where_nobody_was_on_record_it_says_so_and_counts_nobody(operator):
    make_state(make_pair(), NOW, compliance_since=NOW, health_since=NOW)

    text = operator.get(URL).content.decode()

    assert "No pair was on record a week ago: what changed since is not known." in text
    assert "stands as it stood" not in text
    assert "better" not in text
    assert text.count("No score of 14 Nov is on record.") == 2


def test_where_all_stand_as_they_stood_it_says_how_many(operator):
    for _number in range(2):
        moved("at_risk", "at_risk", 2)
    moved("compliant", "compliant", 9)

    text = operator.get(URL).content.decode()

    assert "All 3 pairs that were on record a week ago stand as they stood then." in text


@pytest.mark.parametrize(
    ("open_findings", "words"),
    [
        (None, "What was open in this time is not on record."),
        ({}, "No rule had an open finding at the end of any of these days."),
    ],
)
def test_where_no_rule_has_a_chart_it_says_why(operator, open_findings, words):
    score(TODAY, open_findings=open_findings)

    assert data(operator)["words"]["rules"] == words


def test_an_empty_chart_of_figures_speaks_of_figures(operator):
    score(TODAY)

    found = {one["name"]: one for one in data(operator)["charts"]}

    assert (found["compliance"]["empty"], found["fleet-rtt"]["empty"]) == (
        "",
        "No figures in this time.",
    )
    assert found["fleet-rtt"]["sentence"].endswith("engine: No figures in this time.")
    table = operator.get(f"{URL}fleet-rtt/table/").content.decode()
    assert "No figures in this time." in table


def test_tenants_and_rules_that_moved_in_a_week(operator):
    week = days_ago(7)
    for tenant, before, after in (("A", 90, 80), ("B", 50, 70), ("C", 60, 60)):
        score(week, tenant, compliant_count=before)
        score(TODAY, tenant, compliant_count=after)
    score(week, open_findings={"pair.rtt": [1, 4, 0], "redis.version": [1, 0, 0]})
    score(TODAY, open_findings={"pair.rtt": [3, 4, 9], "redis.durability": [0, 1, 0]})

    found = operator.get(URL).context["movers"]

    assert [(one.name, one.words) for one in found.tenants] == [("A", "−10.0"), ("B", "+20.0")]
    assert [(one.rule_id, one.words) for one in found.rules] == [
        ("pair.rtt", "+2"),
        ("redis.durability", "+1"),
        ("redis.version", "−1"),
    ]


def test_scores_older_than_they_are_kept_are_not_shown_and_that_is_said(operator):
    FleetSettings.objects.update_or_create(pk=1, defaults={"daily_days": 100})
    forget()
    for ago, compliant in ((101, 70), (100, 80), (0, 90)):
        score(days_ago(ago), raw_compliant_count=compliant, compliant_count=compliant)

    found = data(operator, range="2y")
    table = operator.get(f"{URL}compliance/table/", {"range": "2y"}).content.decode()

    said = "History is kept for 100 days: nothing older is shown."
    assert found["words"]["kept"] == said
    assert said in table
    shown = [value for value in values(found, "compliance")["compliant"] if value is not None]
    assert shown == [80, 90]
    assert data(operator, range="90d")["words"]["kept"] == ""
    forget()
