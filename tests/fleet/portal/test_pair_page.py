"""The pair page: lamps in words, what to do, every rule, evidence, past and changes."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checks.catalog import RULES
from checks.facts import NOT_CONFIGURED, Missing
from checks.rule import Kind
from fleet.portal import matrix, reading
from fleet.portal.pair_page import Todo
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target
from fleet.registry.register import set_state
from fleet.registry.scoping import EVERYTHING
from tests.checks.pairs import HIDDEN, REDIS, facts_with
from tests.fleet.factories import (
    make_finding,
    make_pair,
    make_person,
    make_reading,
    make_state,
    make_worker,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def page(pair, view=""):
    return f"/admin/registry/pair/{pair.pk}/{view or 'change/'}"


def bad_pair(**state):
    now = timezone.now()
    pair = make_pair(name="northwind-eu-0417", emailengine_url="http://ee.example.com:3000")
    make_worker(now=now)
    make_state(
        pair,
        now=now,
        compliance="non_compliant",
        compliance_since=now - timedelta(minutes=14),
        **state,
    )
    make_reading(
        pair, facts_with(maxmemory_policy="allkeys-lru"), now, raw=[["INFO", "a:1\r\nb:2"]]
    )
    finding = make_finding(pair, now=now)
    return pair, finding


def test_the_cards_say_state_duration_and_the_one_reason(operator):
    pair, _finding = bad_pair()

    context = operator.get(page(pair)).context
    (compliance, health), table = context["lamps"], context["matrix"]
    requirements, operations = map(table.applicable, (Kind.REQUIREMENT, Kind.OPERATION))
    unsure = len(table.not_verified(Kind.REQUIREMENT))

    assert (compliance.state, compliance.answer) == (
        "non_compliant",
        "maxmemory-policy is allkeys-lru",
    )
    assert compliance.detail == (
        f"1 critical fails among {requirements} requirements. {unsure} could not be verified."
    )
    assert (health.state, health.answer) == ("healthy", "")
    assert health.detail == f"Nothing fails; {operations} operation rules apply."


@pytest.mark.parametrize(
    ("reason", "words"),
    [("paused", "checking is paused"), ("no_worker", "no worker in its zone")],
)
def test_the_cards_say_why_nobody_looks_though_the_last_reading_passed(operator, reason, words):
    pair = make_pair()
    core_unknown = {"redis.standalone": reason, "redis.reachable": reason}
    lamps = {"compliance": "unverified", "health": "unknown"}
    make_state(pair, now=timezone.now(), core_unknown=core_unknown, **lamps)
    make_reading(pair, facts_with(), timezone.now())

    lamps = operator.get(page(pair)).context["lamps"]

    assert [one.answer for one in lamps] == [words, words]


def test_a_paused_pair_says_to_resume_it_and_not_that_there_is_nothing_to_do(operator):
    pair = make_pair(state="paused")
    make_state(pair, now=timezone.now(), compliance="unverified")
    make_reading(pair, facts_with(), timezone.now())

    text = operator.get(page(pair)).content.decode()

    assert "Checking is paused: until you resume it (⋯, Resume checking)" in text
    assert "Nothing to do." not in text


def test_the_worst_finding_shows_its_commands_for_this_server(operator):
    pair, finding = bad_pair()

    text = operator.get(page(pair)).content.decode()

    assert "CONFIG SET maxmemory-policy noeviction" in text
    assert "<code>maxmemory-policy noeviction</code>" in text
    assert f"/admin/findings/finding/{finding.pk}/change/" in text


def test_every_rule_is_there_worst_first(operator):
    pair, _finding = bad_pair()

    table = operator.get(page(pair)).context["matrix"]

    outcomes = [matrix.OUTCOMES.index(line.outcome) for line in table.lines]
    assert outcomes == sorted(outcomes)
    assert table.lines[0].rule.id == "redis.eviction-policy"
    assert (table.lines[0].observed, table.lines[0].required) == ("allkeys-lru", "noeviction")
    chips = ("fail", "not_verified", "pass", "not_applicable")
    assert sum(table.counts[chip] for chip in chips) == len(table.lines) == len(RULES)
    assert table.counts["requirement"] + table.counts["operation"] == len(table.lines)
    assert sum(line.outcome == "pass" for line in table.shown) == matrix.SHOWN_PASSES


def test_a_pair_never_read_judges_nothing(operator):
    pair = make_pair()

    answer = operator.get(page(pair))

    table = answer.context["matrix"]
    assert {line.outcome for line in table.lines} == {"not_verified"}
    assert {line.observed for line in table.lines} == {"not judged yet"}
    assert [lamp.answer for lamp in answer.context["lamps"]] == ["not read yet", "not read yet"]
    assert answer.context["waiting"] == "No worker was ever seen in zone eu-1."


@pytest.mark.parametrize(
    ("state", "seen", "said"),
    [
        ("active", timedelta(seconds=5), "First reading under way: findings appear here."),
        ("active", timedelta(minutes=11), "It is first read once its zone has a worker."),
        ("paused", timedelta(seconds=5), "Paused: it is first read once you resume checking."),
        ("archived", timedelta(seconds=5), "Archived before it was ever read."),
    ],
)
def test_a_pair_never_read_says_when_it_will_be(operator, state, seen, said):
    make_worker(seen=seen, now=timezone.now())

    answer = operator.get(page(make_pair(state=state)))

    assert answer.context["unread_words"][1] == said
    assert said in answer.content.decode()


def test_what_the_probe_could_not_see_is_not_told_as_a_fact(operator):
    pair, now = make_pair(), timezone.now()
    make_state(pair, now=now, health="unknown", core_unknown={"redis.reachable": "probe_blind"})

    answer = operator.get(page(pair))

    assert answer.context["lamps"][1].answer == "our own probe was blind"


def test_a_silent_redis_is_one_finding_and_no_pass(operator):
    pair = make_pair()
    now = timezone.now()
    make_state(pair, now=now, health="failing", answered_at=None)
    silence = Missing("refused", "port 6379 refuses")
    make_reading(pair, facts_with(redis=silence, emailengine=silence), now)

    table = operator.get(page(pair)).context["matrix"]

    by_rule = {line.rule.id: line.outcome for line in table.lines}
    assert by_rule["redis.reachable"] == "critical"
    # Copies lie elsewhere: they are judged all the same.
    of_it = {outcome for rule, outcome in by_rule.items() if not rule.startswith("backup.")}
    assert of_it <= {"critical", "not_verified"}


def test_what_our_account_may_not_read_comes_with_the_rights_to_grant(operator):
    pair = make_pair()
    now = timezone.now()
    make_state(pair, now=now)
    make_reading(pair, facts_with(save=HIDDEN, tcp_keepalive_s=HIDDEN), now)

    answer = operator.get(page(pair))

    lines = {line.rule.id: line for line in answer.context["matrix"].lines}
    assert lines["redis.tcp-keepalive"].act == matrix.Act("Grant", "#pk-rights")
    assert answer.context["rights"]["line"].startswith("ACL SETUSER pairkeeper on >CHOOSE")
    assert answer.context["rights"]["count"] >= 1


@pytest.mark.parametrize(
    ("prefix", "queues", "line"),
    [
        ("", HIDDEN, "ACL SETUSER pairkeeper ~bull:* +select "),
        ("mail", HIDDEN, "ACL SETUSER pairkeeper ~mail:bull:* +select "),
        ("", REDIS.queues, ""),
    ],
)
def test_closed_queues_come_with_the_line_that_opens_them(operator, prefix, queues, line):
    pair = make_pair(emailengine_prefix=prefix)
    now = timezone.now()
    make_state(pair, now=now)
    make_reading(pair, facts_with(queues=queues, tcp_keepalive_s=HIDDEN), now)

    answer = operator.get(page(pair))

    assert answer.context["rights"]["queues"].startswith(line)
    assert ("of a job it reads the times alone" in answer.content.decode()) is bool(line)


def test_an_rtt_without_locations_says_what_to_declare(operator):
    pair = make_pair()
    now = timezone.now()
    make_state(pair, now=now)
    make_reading(
        pair,
        facts_with(
            emailengine={"redis_ping_us": Missing("undetermined", "not told")},
            vantage={"emailengine_location": NOT_CONFIGURED},
        ),
        now,
    )

    lines = {line.rule.id: line for line in operator.get(page(pair)).context["matrix"].lines}

    assert lines["pair.rtt"].outcome == "not_verified"
    assert lines["pair.rtt"].act == matrix.Act(
        "Declare", f"/admin/registry/pair/{pair.pk}/edit/#id_emailengine_location"
    )


def test_a_pair_without_emailengine_says_what_registering_would_add(operator):
    pair = make_pair()
    now = timezone.now()
    make_state(pair, now=now, is_redis_only=True)
    make_reading(pair, facts_with(emailengine=NOT_CONFIGURED), now)

    answer = operator.get(page(pair))

    count = sum(rule.id.startswith("emailengine.") for rule in RULES)
    assert answer.context["unregistered"] == count
    said = f"EmailEngine is not registered: {count} rules cannot be judged."
    assert said in answer.content.decode()


def test_a_rule_read_by_a_later_version_is_not_judged_rather_than_an_error(operator):
    pair = make_pair()
    make_state(pair)
    make_reading(pair, facts_with())
    kept = pair.target.latest_facts.get(cadence="health")
    kept.verdicts["redis.reachable"] = {"outcome": "splendid"}
    kept.facts = {"redis": {"host": 7}}
    kept.save()

    lines = {line.rule.id: line for line in operator.get(page(pair)).context["matrix"].lines}

    assert lines["redis.reachable"].outcome == "not_verified"


def test_pending_findings_say_how_far_they_are():
    finding = make_finding(
        make_pair(), "redis.reachable", state="pending", results=0b101, results_count=3
    )

    assert Todo(finding, None).confirmed == "2 of 3"


def test_the_page_costs_at_most_twelve_queries(operator):
    pair, _finding = bad_pair()
    for rule_id in ("pair.rtt", "redis.rdb-schedule", "redis.durability"):
        make_finding(pair, rule_id, severity="warning")
    operator.get(page(pair))

    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        operator.get(page(pair))

    assert len(queries) <= 12, [one["sql"][:120] for one in queries]


def test_the_body_alone_is_what_a_new_reading_changes(operator):
    pair, _finding = bad_pair()

    text = operator.get(page(pair, "body/"), headers={"HX-Request": "true"}).content.decode()

    assert "<html" not in text
    assert "maxmemory-policy is allkeys-lru" in text


def test_evidence_shows_the_replies_as_read(operator):
    pair, _finding = bad_pair()

    text = operator.get(page(pair, "evidence/")).content.decode()

    assert "a:1\r\nb:2" in text
    assert "worker-eu-1-a" in text


def test_evidence_escapes_what_a_server_said(operator):
    pair = make_pair()
    make_reading(pair, facts_with(), raw=[["INFO", "<script>alert(1)</script>"]])

    text = operator.get(page(pair, "evidence/")).content.decode()

    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_past_findings_of_the_pair(operator):
    pair, _finding = bad_pair()
    now = timezone.now()
    make_finding(
        pair,
        "pair.rtt",
        state="resolved",
        message="RTT was 2 ms",
        opened_at=now - timedelta(hours=5),
        resolved_at=now - timedelta(hours=1, minutes=48),
    )

    text = operator.get(page(pair, "findings/")).content.decode()

    assert "RTT was 2 ms" in text
    assert "3\u202fh 12\u202fmin" in text
    assert "allkeys-lru" not in text


def test_changes_say_who_changed_what_and_no_secret(operator):
    pair = make_pair(name="here")
    set_state(Target.objects.filter(pk=pair.pk), Target.State.PAUSED)
    pair.refresh_from_db()
    pair.expected_mailboxes = 2480
    pair.redis_password = "env:PAIRKEEPER_SECRET_X"
    pair.save()

    changes = operator.get(page(pair, "changes/")).context["changes"]

    columns = {column for change in changes for column in change.columns}
    assert columns == {("Expected mailboxes", "–", "2480"), ("State", "active", "paused")}


@pytest.mark.parametrize(
    "view",
    ["", "body/", "trend/", "trend/rtt/", "evidence/", "findings/", "changes/", "edit/"],
)
def test_another_tenants_pair_is_not_there(client, view):
    pair = make_pair()
    client.force_login(make_person("vera", is_operator=False, roles=[("editor", "Halden Clinics")]))

    assert client.get(page(pair, view)).status_code == 404
    assert client.post(page(pair, "check/")).status_code == 404
    assert client.post(page(pair, "state/"), {"state": "paused"}).status_code == 404


def test_a_viewer_gets_no_way_to_change(client):
    pair = make_pair("Halden Clinics")
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Halden Clinics")]))

    assert f"/admin/registry/pair/{pair.pk}/edit/" not in client.get(page(pair)).content.decode()
    assert client.get(page(pair, "edit/")).status_code == 403
    assert client.post(page(pair, "state/"), {"state": "paused"}).status_code == 403
    assert client.post(page(pair)).status_code == 405


@pytest.mark.parametrize(("state", "status"), [("paused", 302), ("archived", 302), ("gone", 403)])
def test_the_state_of_one_pair(operator, state, status):
    pair = make_pair()

    assert operator.post(page(pair, "state/"), {"state": state}).status_code == status
    assert Target.objects.get().state == (state if status == 302 else "active")
    assert operator.get(page(pair, "state/")).status_code == 405


@pytest.mark.parametrize("number", ["0", "99999999", "x"])
def test_a_pair_that_is_not_there(operator, number):
    assert operator.get(f"/admin/registry/pair/{number}/change/").status_code == 404


def test_the_server_is_named_from_what_was_detected():
    pair = make_pair(redis_url="unix:///run/redis.sock?db=0")
    state = make_state(pair, engine="valkey", version="8.0.1")
    make_reading(pair, facts_with(config_file="/etc/valkey/valkey.conf"))

    server = reading.latest(Rows(EVERYTHING, EVERYTHING), pair, state).server

    assert (server.label, server.host, server.config_file) == (
        "Valkey 8.0.1",
        "/run/redis.sock",
        "/etc/valkey/valkey.conf",
    )
