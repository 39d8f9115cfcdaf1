"""Add and edit: what is refused at its field, secrets that only go in, and the connection test."""

import re
import threading
import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.template.loader import render_to_string
from django.utils import timezone

from fleet.inspections.connection_test import run_test
from fleet.inspections.ladder import WITHIN, Ladder, Rung, Silence, to_json
from fleet.inspections.models import ConnectionTest, PairSchedule
from fleet.portal import typed_urls
from fleet.portal.ladder_page import Shown
from fleet.registry.models import Pair, Target
from fleet.registry.sealed import reveal, seal
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import make_pair, make_person, make_tenant, make_worker, make_zone
from tests.fleet.visiting import NOW

SECRET = "pa:ss/w@rd"  # every character that a URL could trip over
ADD = "/admin/registry/pair/add/"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client, db):
    client.force_login(make_person())
    return client


def typed(**fields):
    values = {
        "name": "halden-eu-0613",
        "tenant": make_tenant("Halden Clinics").pk,
        "environment": "production",
        "zone": make_zone("eu-1").pk,
        "redis_url": "redis://pairkeeper@redis-0613.example.com:6380/0",
        "redis_tls_verify": "on",
        "_save_paused": "1",
        **fields,
    }
    return {name: value for name, value in values.items() if value is not None}


def errors(answer):
    return {name: list(found) for name, found in answer.context["adminform"].form.errors.items()}


def test_save_paused_without_a_test(operator):
    answer = operator.post(ADD, typed(redis_password=SECRET, labels="tier=gold, team = mail"))

    pair = Pair.objects.select_related("target__tenant").get()
    assert answer.url == f"/admin/registry/pair/{pair.pk}/change/"
    assert (pair.target.name, pair.target.state, pair.target.labels) == (
        "halden-eu-0613",
        "paused",
        {"tier": "gold", "team": "mail"},
    )
    assert pair.redis_url == "redis://pairkeeper@redis-0613.example.com:6380/0"
    assert reveal(pair.redis_password) == SECRET
    assert SECRET not in pair.redis_password
    assert ConnectionTest.objects.count() == 0


def test_a_password_in_the_url_moves_into_its_field(operator):
    operator.post(ADD, typed(redis_url=f"rediss://pairkeeper:{SECRET}@redis-7.example.com:6380/3"))

    pair = Pair.objects.get()
    assert pair.redis_url == "rediss://pairkeeper@redis-7.example.com:6380/3"
    assert reveal(pair.redis_password) == SECRET


@pytest.mark.parametrize(
    "url",
    [
        f"redis://pairkeeper:{SECRET}@redis-7.example.com:6380/0",
        f"redis://pairkeeper:{SECRET}@redis-7.example.com:notaport/0",
        f"http://pairkeeper:{SECRET}@redis-7.example.com/",
        f"redis:/pairkeeper:{SECRET}@redis-7.example.com",
        f"pairkeeper:{SECRET}@redis-7.example.com",
    ],
)
def test_no_page_sends_a_pasted_password_back(operator, url):
    answer = operator.post(ADD, typed(redis_url=url, name=""))

    assert answer.status_code == 200
    assert SECRET not in answer.content.decode()
    assert SECRET.replace("/", "&#x2F;") not in answer.content.decode()
    assert Pair.objects.count() == 0


def test_a_url_that_cannot_be_read_is_never_saved_as_what_is_left_of_it(operator):
    answer = operator.post(ADD, typed(redis_url="redis://pairkeeper:pa%FFss@redis-7.example.com/0"))

    assert list(errors(answer)) == ["redis_url"]
    assert Pair.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "wrong", "words"),
    [
        ({"redis_url": "localhost:6379"}, "redis_url", "has no scheme"),
        ({"redis_url": "redis://h:0/0"}, "redis_url", "no number from 1 to 65535"),
        ({"redis_url": "redis://h/zero"}, "redis_url", "is no number"),
        ({"redis_url": ""}, "redis_url", "required"),
        ({"emailengine_url": "ee.example.com"}, "emailengine_url", "has no scheme"),
        ({"emailengine_url": "http://:tok@ee.example.com"}, "emailengine_url", "user or password"),
        ({"sentinel_addresses": "redis://h"}, "sentinel_addresses", "without scheme"),
        ({"sentinel_addresses": "s1, s2"}, "sentinel_master", "Sentinel needs both"),
        ({"sentinel_master": "mymaster"}, "sentinel_addresses", "Sentinel needs both"),
        ({"redis_location": "eu 1"}, "redis_location", "region or region/zone"),
        ({"emailengine_location": "a/b/c"}, "emailengine_location", "region or region/zone"),
        ({"labels": "gold"}, "labels", "is no label"),
        ({"redis_password": "env:HOME"}, "redis_password", "PAIRKEEPER_SECRET_"),
        ({"api_token": "file:/etc/passwd"}, "api_token", "switched off"),
        ({"name": ""}, "name", "required"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"tenant": "99999"}, "tenant", "Select a valid choice"),
        ({"tenant": "9" * 5_000}, "tenant", "Select a valid choice"),
        ({"zone": "99999"}, "zone", "Select a valid choice"),
        ({"expected_mailboxes": "-1"}, "expected_mailboxes", "greater than or equal to 0"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(operator, fields, wrong, words):
    answer = operator.post(ADD, typed(**fields))

    found = errors(answer)
    assert list(found) == [wrong]
    assert words in found[wrong][0]
    assert Pair.objects.count() == 0
    assert Target.objects.count() == 0


def test_a_name_is_taken_once_per_tenant_whatever_its_case(operator):
    make_pair("Halden Clinics", name="HALDEN-EU-0613")

    answer = operator.post(ADD, typed())

    assert errors(answer) == {"name": ["This tenant has a pair of this name."]}


def stored(**fields):
    values = {"redis_password": "env:PAIRKEEPER_SECRET_OLD", **fields}
    return make_pair("Halden Clinics", name="halden-eu-0613", state="paused", **values)


def same(pair, **fields):
    return typed(redis_url=pair.redis_url, zone=pair.target.zone_id, _save_paused=None, **fields)


def test_blank_keeps_the_stored_secret_and_nothing_is_tested(operator):
    pair = stored()

    operator.post(f"/admin/registry/pair/{pair.pk}/edit/", same(pair, expected_mailboxes="12"))

    pair.refresh_from_db()
    assert (pair.redis_password, pair.expected_mailboxes) == ("env:PAIRKEEPER_SECRET_OLD", 12)
    assert ConnectionTest.objects.count() == 0
    assert pair.target.state == "paused"


def test_a_new_secret_replaces_the_stored_one_and_the_history_says_only_that(operator):
    pair = stored()

    operator.post(
        f"/admin/registry/pair/{pair.pk}/edit/",
        {**same(pair), "redis_password": SECRET, "_save_paused": "1"},
    )

    pair.refresh_from_db()
    assert reveal(pair.redis_password) == SECRET
    last = pair.history.latest()
    assert last.history_change_reason == "Redis password replaced"
    assert not hasattr(last, "redis_password")


def test_removing_a_secret_takes_the_explicit_box(operator):
    pair = stored()
    url = f"/admin/registry/pair/{pair.pk}/edit/"

    both = {**same(pair), "remove_redis_password": "on", "redis_password": "x", "_save_paused": "1"}
    assert list(errors(operator.post(url, both))) == ["redis_password"]
    operator.post(url, {**same(pair), "remove_redis_password": "on", "_save_paused": "1"})

    pair.refresh_from_db()
    assert pair.redis_password == ""
    assert pair.history.latest().history_change_reason == "Redis password removed"


def test_the_form_never_shows_a_stored_secret(operator):
    pair = stored(redis_password="", metrics_token="env:PAIRKEEPER_SECRET_METRICS")

    text = operator.get(f"/admin/registry/pair/{pair.pk}/edit/").content.decode()

    assert "PAIRKEEPER_SECRET_METRICS" not in text
    assert "One is stored; leave this empty to keep it." in text
    assert "remove_metrics_token" in text
    assert "remove_redis_password" not in text


def test_an_editor_may_choose_only_their_tenants(client, db):
    make_pair("Halden Clinics")
    make_zone("eu-1")
    client.force_login(make_person("edda", is_operator=False, roles=[("editor", "Halden Clinics")]))

    assert client.post(ADD, typed(name="mine")).status_code == 302
    answer = client.post(ADD, typed(name="theirs", tenant=make_tenant("Northwind Mail").pk))

    assert list(errors(answer)) == ["tenant"]


def test_a_viewer_may_not_add(client, db):
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Halden Clinics")]))

    assert client.get(ADD).status_code == 403
    assert client.post(ADD, typed(_save_paused=None)).status_code == 403
    assert ConnectionTest.objects.count() == 0


# --- Test and save: a worker of the zone answers

FAILED = (
    Rung("name", "ok", "redis-0613.example.com is 10.31.4.17 (private)", ms=3.0),
    Rung("connection", "ok", "port 6380 answers", ms=0.4),
    Rung("tls", "skipped", "not used: the URL is not rediss://"),
    Rung("sign_in", "failed", "WRONGPASS invalid username-password pair", "auth", 1.0),
    Rung("rights", "not_tried"),
    Rung("emailengine", "not_tried"),
)
PASSED = tuple(
    Rung(rung.step, "warned", "CONFIG GET is refused", "no_permission")
    if rung.step == "rights"
    else Rung(rung.step, "ok", "fine")
    for rung in FAILED
)


@pytest.fixture
def worker(transactional_db):
    """Answer each test that shows up, from another connection, as a worker does."""
    started = []

    def answer_with(rungs):
        thread = threading.Thread(target=serve, args=(rungs,), daemon=True)
        thread.start()
        started.append(thread)

    yield answer_with
    for thread in started:
        thread.join(timeout=20)


def serve(rungs):
    deadline = time.monotonic() + 15
    try:
        while time.monotonic() < deadline:
            waiting = ConnectionTest.objects.filter(result__isnull=True).first()
            if waiting:
                waiting.result = to_json(rungs)
                waiting.save()
                return
            time.sleep(0.05)
    finally:
        connection.close()


def test_a_failed_test_saves_nothing_and_shows_the_ladder(worker, client):
    client.force_login(make_person())
    make_worker(now=timezone.now())
    worker(FAILED)

    answer = client.post(ADD, typed(redis_password=SECRET, _save_paused=None))

    text = answer.content.decode()
    assert "Connection test failed at sign-in. Nothing was saved." in text
    assert 'role="alert"' in text
    assert "WRONGPASS invalid username-password pair" in text
    assert "Not tried: sign-in comes first" in text
    assert "ACL SETUSER pairkeeper on &gt;CHOOSE-A-PASSWORD" in text
    assert "Type the password again: it is never sent back to this page." in text
    assert SECRET not in text
    assert (Pair.objects.count(), Target.objects.count()) == (0, 0)
    assert SECRET not in str(ConnectionTest.objects.get().draft)


def test_a_passed_test_saves_an_active_pair_that_is_due_at_once(worker, client):
    client.force_login(make_person())
    make_worker(now=timezone.now())
    worker(PASSED)

    answer = client.post(ADD, typed(_save_paused=None), follow=True)

    pair = Pair.objects.select_related("target").get()
    assert pair.target.state == "active"
    assert PairSchedule.objects.get(target=pair.pk).asked_at is not None
    assert [str(message) for message in answer.context["messages"]] == [
        "CONFIG GET is refused",
        "Saved. A reading is under way.",
    ]


def alert(html):
    """What the alert above the form says, without its marks."""
    found = re.search(r'<section[^>]*role="alert".*?</section>', html, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (None, "None was ever seen there."),
        (timedelta(minutes=11, seconds=5), "The last one was seen 11 min ago."),
    ],
)
def test_without_a_worker_the_test_says_at_once_that_it_did_not_begin(operator, seen, why):
    if seen:
        make_worker(seen=seen, now=timezone.now())
    started = time.monotonic()

    answer = operator.post(ADD, typed(_save_paused=None))

    said = alert(answer.content.decode())
    assert said.startswith(
        "Unknown Connection test did not begin. Nothing was saved."
        f" No worker in zone eu-1 was seen within 60 s. {why}"
        " What to do: start a worker with ZONE=eu-1, or choose another probe zone; or save paused,"
        " without a test. Asked at "
    )
    assert not re.search("fail|firewall|Not tried|Sign-in", said)
    assert time.monotonic() - started < WITHIN.total_seconds() / 2  # it would wait for all of it
    assert (Pair.objects.count(), Target.objects.count()) == (0, 0)


def test_a_worker_that_gives_no_answer_is_no_fault_of_the_name():
    ladder = Ladder("eu-1", (), Silence("no_answer", NOW - timedelta(seconds=5)))

    said = alert(render_to_string("portal/pairs/ladder.html", {"ladder": Shown(ladder, NOW)}))

    assert said.startswith(
        "Unknown Connection test got no answer. Nothing was saved."
        " A worker in zone eu-1 was seen within 60 s, but gave no result within 20 s."
        " What to do: test again. If there is no answer then either, restart the worker with"
        " ZONE=eu-1, or choose another probe zone; or save paused, without a test. Asked at "
    )
    assert not re.search("fail|firewall|Not tried|Sign-in", said)


@pytest.mark.parametrize(
    ("workers", "offered"),
    [
        ({}, "ap-1"),  # the first there is
        ({"local": {"seen_s": 30}, "us-9": {"seen_s": 90}}, "local"),
        ({"local": {"seen_s": 30}, "us-9": {"seen_s": 5, "is_zone_blind": True}}, "local"),
        ({"local": {"seen_s": 30}, "us-9": {"seen_s": 5, "is_blind": True}}, "local"),
        ({"local": {"seen_s": 600}, "us-9": {"seen_s": 90, "is_zone_blind": True}}, "us-9"),
        ({"local": {"seen_s": 600}, "us-9": {"seen_s": 90}}, "us-9"),
        ({"local": {"seen_s": 9}, "us-9": {"seen_s": 5}}, "us-9"),
    ],
)
def test_the_zone_offered_has_a_worker_that_sees(operator, workers, offered):
    now = timezone.now()
    make_zone("ap-1")
    for slug, seen in workers.items():
        make_zone(slug, blind_since=now if seen.get("is_zone_blind") else None)
        blind_since = now if seen.get("is_blind") else None
        make_worker(slug, timedelta(seconds=seen["seen_s"]), now, blind_since=blind_since)

    form = operator.get(ADD).context["adminform"].form

    assert form.initial["zone"].slug == offered


def test_a_worker_keeps_its_hands_off_a_test_that_has_a_result(transactional_db):
    test = ConnectionTest.objects.create(
        zone=make_zone(),
        asked_at=timezone.now(),
        expires_at=timezone.now(),
        draft={"redis_url": "redis://"},
    )

    run_test(test.pk)
    test.refresh_from_db()
    first = test.result
    run_test(test.pk)
    test.refresh_from_db()

    assert first[0]["state"] == "failed"
    assert test.result == first


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        ("redis://h", "redis://h:6379/0", ""),
        ("rediss://u:p@h/2", "rediss://u@h:6379/2", "p"),
        ("unix://:p@/run/r.sock?db=8", "unix:///run/r.sock?db=8", "p"),
    ],
)
def test_what_a_redis_url_is_read_as(url, shown, password):
    typed_url = typed_urls.redis_url(url)

    assert (typed_url.shown, typed_url.password, typed_url.error) == (shown, password, "")
    assert "p@" not in repr(typed_url)


@pytest.mark.parametrize(
    ("tenants", "chosen", "said"),
    [
        ((), None, "None yet: add one with the button beside."),
        (("Halden Clinics",), "Halden Clinics", ""),
        (("Halden Clinics", "Tessera Travel"), None, ""),
    ],
)
def test_the_only_tenant_is_offered_and_the_first_one_asked_for(operator, tenants, chosen, said):
    for name in tenants:
        make_tenant(name)

    form = operator.get(ADD).context["adminform"].form

    offered = form.initial.get("tenant")
    assert (offered and offered.name, str(form["tenant"].help_text)) == (chosen, said)


def test_a_tenant_that_is_no_number_is_refused_at_its_field(operator):
    answer = operator.post(ADD, typed(tenant="abc"))

    assert errors(answer)["tenant"] == [
        "Select a valid choice. That choice is not one of the available choices."
    ]
    assert operator.get(f"{ADD}?tenant=abc").status_code == 200


@pytest.mark.parametrize("page", ["registry/pair/?state=", "findings/finding/?rule=", "rules/?q="])
def test_a_nul_in_a_query_is_a_bad_request(operator, page):
    assert operator.get(f"/admin/{page}%00").status_code == 400


@pytest.fixture
def editor(client, db):
    make_tenant("Halden Clinics")
    client.force_login(make_person("edda", is_operator=False, roles=[("editor", "Halden Clinics")]))
    return client


REFERENCES = "Only operators may name env: and file: references. Type the secret."


@pytest.mark.parametrize("name", ["redis_password", "metrics_token", "api_token"])
def test_a_tenants_editor_names_no_reference(editor, name):
    """All tenants' references lie in one place, and the address that gets the secret is theirs to type."""
    answer = editor.post(ADD, typed(**{name: "env:PAIRKEEPER_SECRET_OF_ANOTHER"}))

    assert errors(answer) == {name: [REFERENCES]}
    assert Pair.objects.count() == 0


AGAIN = ["The address or its zone is another one: give this again, for it would be sent there."]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"redis_url": "redis://mine.example.com:6379/0"}, {"redis_password": AGAIN}),
        ({"redis_url": "redis://h:6380/0"}, {"redis_password": AGAIN}),
        ({"redis_url": "redis://h:6379/3"}, {}),
        ({"redis_url": "redis://mine.example.com", "redis_password": "new"}, {}),
        ({"redis_url": "redis://mine.example.com", "remove_redis_password": "on"}, {}),
        ({"emailengine_url": "https://mine.example.com"}, {"api_token": AGAIN}),
        ({"emailengine_url": "http://ee.example.com"}, {"api_token": AGAIN}),
        ({"emailengine_url": ""}, {}),
    ],
)
def test_a_stored_secret_goes_to_no_address_that_it_was_not_given_for(editor, fields, wrong):
    pair = make_pair(tenant="Halden Clinics", redis_url="redis://h:6379/0")
    pair.redis_password, pair.api_token = seal(SECRET), seal("token")
    pair.emailengine_url = "https://ee.example.com"
    pair.save()
    same = {"redis_url": pair.redis_url, "emailengine_url": pair.emailengine_url}

    answer = editor.post(f"/admin/registry/pair/{pair.pk}/edit/", typed(**{**same, **fields}))

    assert (errors(answer) if wrong else answer.status_code) == (wrong or 302)


def test_an_address_seen_from_another_zone_is_another_one(editor):
    pair = make_pair(tenant="Halden Clinics", zone="eu-1", redis_url="redis://h:6379/0")
    pair.redis_password = seal(SECRET)
    pair.save()
    page = f"/admin/registry/pair/{pair.pk}/edit/"
    moved = typed(redis_url="redis://h:6379/0", zone=make_zone("mine").pk)

    assert errors(editor.post(page, moved)) == {"redis_password": AGAIN}
    assert editor.post(page, {**moved, "redis_password": "new"}).status_code == 302


@pytest.mark.parametrize(
    ("zone", "url", "wrong"),
    [
        ("eu-1", "redis://mine.example.com", ["redis_url"]),
        ("mine", "redis://h:6379/0", ["zone"]),
        ("eu-1", "redis://h:6379/3", None),
    ],
)
def test_a_pulls_password_goes_to_no_other_address_either(editor, zone, url, wrong):
    pair = make_pair(tenant="Halden Clinics", zone="eu-1", redis_url="redis://h:6379/0")
    make_source(pair, "pull", pull_password=seal(SECRET))
    values = typed(redis_url=url, zone=make_zone(zone).pk)

    answer = editor.post(f"/admin/registry/pair/{pair.pk}/edit/", values)

    assert (list(errors(answer)) if wrong else answer.status_code) == (wrong or 302)


@pytest.mark.parametrize(
    ("folder", "pattern", "is_refused"),
    [
        ("/mnt/shared", "{pair}-*.rdb", True),
        ("/mnt/shared/{pair}", "*", True),
        ("/mnt/shared/{tenant}", "{pair}-*.rdb", False),
        ("/mnt/shared", "dump-*.rdb", False),
        ("/mnt/own/Halden Clinics", "{pair}-*.rdb", False),
    ],
)
def test_no_editor_takes_a_name_that_opens_anothers_copies(
    editor, settings, folder, pattern, is_refused
):
    settings.BACKUP_ROOTS = ["/mnt/shared", "/mnt/own/{tenant}"]
    pair = make_pair(tenant="Halden Clinics", redis_url="redis://h:6379/0")
    make_source(pair, folder=folder, name_pattern=pattern)
    edit = f"/admin/registry/pair/{pair.pk}/edit/"

    renamed = editor.post(edit, typed(redis_url=pair.redis_url, name="anothers"))

    assert (renamed.status_code, Target.objects.get().name == "anothers") == (
        (200, False) if is_refused else (302, True)
    )
    if is_refused:
        assert list(errors(renamed)) == ["name"]
        kept = editor.post(edit, typed(redis_url=pair.redis_url, name=pair.target.name))
        assert kept.status_code == 302
