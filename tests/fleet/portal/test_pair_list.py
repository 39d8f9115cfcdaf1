"""The pair list: order, cells, chips, filters, search, actions, and what it costs."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from fleet.inspections.models import PairSchedule
from fleet.portal import pair_list
from fleet.registry.models import Target
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db
LIST = "/admin/registry/pair/"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def names(answer):
    return [pair.target.name for pair in answer.context["cl"].result_list]


def cell(pair, make):
    pair.fails, pair.now = {}, timezone.now()
    return " | ".join(
        strip_tags(make(pair).replace("</span><span", "</span> / <span")).split(" / ")
    )


def test_the_worst_comes_first(operator):
    for name, rank, minutes in (
        ("b-compliant", 6, None),
        ("a-compliant", 6, None),
        ("young", 1, 3),
        ("old", 1, 90),
        ("failing", 0, 1),
    ):
        opened_at = timezone.now() - timedelta(minutes=minutes) if minutes else None
        make_state(make_pair(name=name), rank=rank, oldest_opened_at=opened_at)
    make_pair(name="never read")

    assert names(operator.get(LIST)) == [
        "failing",
        "old",
        "young",
        "a-compliant",
        "b-compliant",
        "never read",
    ]


SORTED = ["quick", "slow", "silent", "unread"]


@pytest.mark.parametrize("way", ["", "-"])
@pytest.mark.parametrize(
    ("column", "upwards"),
    [
        (2, ["quick", "silent", "slow", "unread"]),
        (4, ["slow", "silent", "quick", "unread"]),
        (5, SORTED),
        (6, SORTED),
        (7, SORTED),
        (8, SORTED),
        (9, ["quick", "silent", "slow", "unread"]),
    ],
)
def test_what_was_not_read_comes_last_whichever_way_a_column_is_sorted(
    operator, django_assert_max_num_queries, column, upwards, way
):
    """By what is shown: the least age first, and what a silent pair read once for not read."""
    now = timezone.now()
    for name, size, fields in (
        ("quick", 1, {"rank": 6, "engine": "valkey"}),
        ("slow", 9, {"rank": 0, "engine": "keydb"}),
        ("silent", 5, {"rank": 3, "engine": "redis", "answered_at": now - timedelta(hours=2)}),
    ):
        make_state(
            make_pair(name=name, zone="eu-1"),
            now=now - timedelta(minutes=size),
            rtt_us=100 * size,
            used_ratio=size / 10,
            last_save_at=now - timedelta(minutes=size),
            last_backup_at=None if name == "silent" else now - timedelta(hours=size),
            **fields,
        )
    make_pair(name="unread", zone="eu-1")
    make_pair("Halden Clinics", name="another's", zone="us-1")
    query = {"o": f"{way}{column}", "zone": "eu-1", "q": "northwind mail"}

    with django_assert_max_num_queries(12):
        found = names(operator.get(LIST, query))

    unread = [] if column == 2 else [name for name in ("silent", "unread") if name in upwards[-2:]]
    read = [name for name in upwards if name not in unread]
    assert found[: len(read)] == (read[::-1] if way else read)
    assert set(found[len(read) :]) == set(unread)


def test_archived_pairs_are_listed_only_when_asked_for(operator):
    make_pair(name="here")
    make_pair(name="resting", state="paused")
    make_pair(name="gone", state="archived")

    assert names(operator.get(LIST)) == ["here", "resting"]
    assert names(operator.get(LIST, {"state": "archived"})) == ["gone"]
    assert names(operator.get(LIST, {"state": "paused"})) == ["resting"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"compliance": "non_compliant"}, ["bad"]),
        ({"compliance": "unverified"}, ["dark", "unread"]),
        ({"health": "failing"}, ["bad"]),
        ({"health": "unknown"}, ["unread"]),
        ({"tenant": "halden clinics"}, ["dark"]),
        ({"environment": "staging"}, ["dark"]),
        ({"zone": "us-1"}, ["dark"]),
        ({"engine": "redis"}, ["bad"]),
        ({"version": "8.0.1"}, ["dark"]),
        ({"redis_only": "1"}, ["dark"]),
        ({"redis_only": "0"}, ["bad", "unread"]),
        ({"reason": "unattested"}, ["dark"]),
        ({"reason": "no_worker"}, []),
        ({"reason": '" || true'}, []),
        ({"q": "redis-7.example"}, ["bad"]),
        ({"q": "gold"}, ["dark"]),
        ({"q": "halden"}, ["dark"]),
        ({"q": "unr"}, ["unread"]),
        ({"compliance": "non_compliant", "health": "healthy"}, []),
    ],
)
def test_filters_and_search(operator, query, found):
    bad = make_pair(
        name="bad", redis_url="redis://redis-7.example.com:6379/0", emailengine_url="http://ee:3000"
    )
    make_state(
        bad, rank=0, compliance="non_compliant", health="failing", engine="redis", version="7"
    )
    dark = make_pair(
        "Halden Clinics", "us-1", name="dark", environment="staging", labels={"tier": "gold"}
    )
    make_state(
        dark, rank=5, compliance="unverified", core_unknown={"redis.durability": "unattested"}
    )
    make_pair(name="unread")

    assert names(operator.get(LIST, query)) == found


def test_a_tenant_filter_takes_the_id_of_a_link(operator):
    pair = make_pair(name="bad")
    make_pair("Halden Clinics", name="other")

    assert names(operator.get(LIST, {"tenant": pair.target.tenant_id})) == ["bad"]


def test_chips_count_every_pair_once_per_lamp(operator):
    make_state(make_pair(), compliance="non_compliant", health="failing")
    make_state(make_pair(), compliance="at_risk")
    make_pair()
    make_pair(state="archived")

    chips = operator.get(LIST, {"compliance": "at_risk"}).context["chips"]

    assert [(chip["state"], chip["count"], chip["is_current"]) for chip in chips] == [
        ("", 3, False),
        ("non_compliant", 1, False),
        ("at_risk", 1, True),
        ("unverified", 1, False),
        ("compliant", 0, False),
        ("failing", 1, False),
        ("degraded", 0, False),
        ("unknown", 1, False),
    ]


def test_cells_of_a_pair_that_answers():
    now = timezone.now()
    pair = make_pair(name="northwind-eu-0417")
    make_state(pair, now=now, critical_count=1, warning_count=2, worst_short="RTT is 6.31 ms")

    assert cell(pair, pair_list.lamps_cell) == "Compliant | Healthy"
    assert cell(pair, pair_list.name_cell) == "northwind-eu-0417 | Northwind Mail · production"
    assert cell(pair, pair_list.findings_cell) == "RTT is 6.31 ms | 1 critical · 2 warning"
    assert cell(pair, pair_list.engine_cell) == "Valkey 8.0.1 | eu-1"
    assert cell(pair, pair_list.rtt_cell) == "0.42\u202fms | probe eu-1"
    assert cell(pair, pair_list.memory_cell) == "41% | of 4\u202fGiB"
    assert cell(pair, pair_list.snapshot_cell) == "7\u202fmin"
    assert cell(pair, pair_list.backup_cell) == "not read"
    assert cell(pair, pair_list.checked_cell) == "5\u202fs"


def test_cells_of_a_pair_that_does_not_answer_say_so():
    now = timezone.now()
    pair = make_pair()
    make_state(pair, now=now, health="failing", answered_at=now - timedelta(hours=1))

    assert cell(pair, pair_list.rtt_cell) == "not read | no answer"
    assert cell(pair, pair_list.memory_cell) == "not read"
    assert cell(pair, pair_list.snapshot_cell) == "not read"


def test_cells_of_a_pair_never_read():
    pair = make_pair()

    assert cell(pair, pair_list.lamps_cell) == "Unverified | Unknown"
    assert cell(pair, pair_list.findings_cell) == "Not read yet | first reading is due"
    assert cell(pair, pair_list.engine_cell) == "not read | eu-1"
    assert cell(pair, pair_list.checked_cell) == "not read"


@pytest.mark.parametrize(
    ("core_unknown", "words"),
    [
        ({}, "None open"),
        (
            {"redis.durability": "unattested"},
            "None open | Not verified: durability, not attested",
        ),
        (
            {"redis.durability": "unattested", "pair.rtt": "not_configured"},
            "None open | Not verified: rtt, not registered and 1 more",
        ),
        (
            {"redis.durability": "paused", "pair.rtt": "paused", "backup.age": "paused"},
            "None open | Not verified: checking is paused",
        ),
        ({"backup.age": "no_worker"}, "None open | Not verified: no worker in its zone"),
        ({"backup.age": "unattested"}, "None open | Not verified: backup age, not attested"),
    ],
)
def test_an_unverified_pair_says_why(core_unknown, words):
    pair = make_pair()
    make_state(pair, compliance="unverified", core_unknown=core_unknown)

    assert cell(pair, pair_list.findings_cell) == words


def test_an_rtt_without_a_vantage_is_not_judged():
    pair = make_pair()
    make_state(pair, now=timezone.now(), rtt_vantage="")

    assert cell(pair, pair_list.rtt_cell) == "0.42\u202fms | not judged"


def test_a_value_is_coloured_only_where_a_rule_fails_on_it(operator):
    pair = make_pair()
    make_state(pair, now=timezone.now(), compliance="non_compliant")
    make_finding(pair, "pair.rtt")

    text = operator.get(LIST).content.decode()

    assert '<b class="pk-bad">0.42' in text
    assert '<b class="pk-bad">41%' not in text


def test_a_page_of_fifty_costs_no_query_per_row(operator):
    for _ in range(60):
        pair = make_pair()
        make_state(pair, now=timezone.now())
        make_finding(pair)
    operator.get(LIST)
    cache.clear()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = operator.get(LIST)

    assert len(names(answer)) == 50
    assert len(queries) <= 12, [one["sql"][:120] for one in queries]


def act(client, action, *pairs):
    return client.post(
        LIST, {"action": action, "_selected_action": [pair.pk for pair in pairs], "index": 0}
    )


def test_check_now_for_many(operator):
    pairs = [make_pair(), make_pair(), make_pair(state="paused")]

    act(operator, "check_chosen", *pairs)

    asked = PairSchedule.objects.exclude(asked_at=None).values_list("target_id", flat=True)
    assert set(asked) == {pair.pk for pair in pairs[:2]}


def test_pause_resume_and_archive_many(operator):
    pairs = [make_pair(), make_pair()]

    for action, state in (
        ("pause_chosen", "paused"),
        ("resume_chosen", "active"),
        ("archive_chosen", "archived"),
    ):
        act(operator, action, *pairs)
        assert set(Target.objects.values_list("state", flat=True)) == {state}

    history = Target.history.filter(id=pairs[0].pk).order_by("history_id")
    assert [(row.state, row.history_user and row.history_user.username) for row in history] == [
        ("active", None),
        ("paused", "mara"),
        ("active", "mara"),
        ("archived", "mara"),
    ]


def test_a_viewer_sees_their_tenant_and_may_not_pause(client):
    mine, other = make_pair("Halden Clinics", name="mine"), make_pair(name="other")
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Halden Clinics")]))

    assert names(client.get(LIST)) == ["mine"]
    assert client.get(LIST).context["chips"][0]["count"] == 1
    act(client, "pause_chosen", mine, other)
    assert set(Target.objects.values_list("state", flat=True)) == {"active"}


def test_an_editor_pauses_only_what_is_theirs(client):
    mine, other = make_pair("Halden Clinics"), make_pair()
    client.force_login(make_person("edda", is_operator=False, roles=[("editor", "Halden Clinics")]))

    act(client, "pause_chosen", mine, other)

    assert Target.objects.get(pk=mine.pk).state == "paused"
    assert Target.objects.get(pk=other.pk).state == "active"
