"""Does the portal notice what is wrong with itself, say it once, and fall silent when it should?"""

from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.db import connection

from fleet.alerts import turns
from fleet.alerts.models import Channel, Mail, PortalAlarm, new_message_id
from fleet.findings.models import Transition
from fleet.history import partitions
from fleet.inspections.models import PairSchedule
from fleet.portal import deadman, faults
from fleet.portal.alarms import banners
from fleet.portal.lag import read_lag
from fleet.portal.models import Pulse
from fleet.portal.scoped_admin import Rows
from fleet.portal.watch import watch
from fleet.registry.egress import egress_rules
from fleet.registry.intervals import default_intervals
from fleet.registry.models import Pair, Tenant, Zone
from fleet.registry.scoping import EVERYTHING, Scope
from fleet.registry.sealed import seal
from tests.fleet.factories import NOW, make_finding, make_pair, make_state, make_worker

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
SEES_ALL = Rows(EVERYTHING, EVERYTHING)


@pytest.fixture(autouse=True)
def _well(settings):
    """A portal without faults: manned, with partitions and a switch that is not called."""
    make_worker()
    partitions.make_ahead(partitions.VISITS, NOW.date())
    settings.DEADMAN_URL = "http://127.0.0.1:9/never"
    Pulse.objects.create(watched_at=NOW, pinged_at=NOW)
    yield
    partitions.forget_days()


def pair(zone="eu-1", due=SECOND, checked=timedelta(seconds=5), engine="valkey", **fields) -> Pair:
    """A pair that is due in a moment, or overdue where `due` is negative."""
    made = make_pair(zone=zone, **fields)
    make_state(made, engine=engine, checked_at=NOW - checked, recorded_claim=7)
    at = NOW + due
    PairSchedule.objects.filter(target_id=made.pk).delete()
    PairSchedule.objects.create(
        target_id=made.pk,
        claim=7,
        next_due_at=at,
        health_due_at=at,
        latency_due_at=at,
        persistence_due_at=at,
        stats_due_at=at,
        backup_due_at=at,
    )
    return made


def alarms() -> dict[str, str]:
    return dict(PortalAlarm.objects.filter(ended_at=None).values_list("key", "text"))


def complaints(now=NOW) -> list[str]:
    with connection.cursor() as cursor:
        return read_lag(cursor, default_intervals(), now).complaints(now)


def test_a_portal_without_faults_raises_no_alarm():
    pair()

    watch(NOW)

    assert alarms() == {}
    assert complaints() == []


@pytest.mark.parametrize(
    ("overdue", "engine", "late"),
    [
        (3 * MINUTE, "valkey", False),
        (3 * MINUTE + SECOND, "valkey", True),
        (15 * MINUTE, "upstash", False),
        (15 * MINUTE + SECOND, "upstash", True),
    ],
)
def test_checks_are_late_after_three_intervals_of_their_engine(overdue, engine, late):
    pair()
    pair(due=-overdue, engine=engine)

    watch(NOW)

    assert ("zone.eu-1.late" in alarms()) is late
    assert complaints() == (["checks late"] if late else [])


def test_a_late_zone_says_how_late_and_what_is_allowed():
    pair(due=-12 * MINUTE)

    watch(NOW)

    assert alarms() == {
        "zone.eu-1.late": "Checks in zone eu-1 are 12\u202fmin late (allowed: 3\u202fmin)."
    }


@pytest.mark.parametrize(("leased_for", "late"), [(-4 * MINUTE, True), (MINUTE, False)])
def test_a_claim_that_was_never_recorded_is_due_when_its_lease_ends(leased_for, late):
    made = pair(due=MINUTE)
    PairSchedule.objects.filter(target_id=made.pk).update(claim=8, lease_until=NOW + leased_for)

    assert complaints() == (["checks late"] if late else [])


@pytest.mark.parametrize(("silent", "late"), [(4 * MINUTE, False), (4 * MINUTE + SECOND, True)])
def test_a_zone_that_claims_and_never_records_is_late(silent, late):
    pair(checked=silent)

    assert complaints() == (["checks late"] if late else [])


def test_paused_pairs_are_never_late():
    made = pair(due=-timedelta(days=2), checked=timedelta(days=2))
    made.target.state = "paused"
    made.target.save()

    assert complaints() == []


def test_a_zone_without_a_worker_is_named_once_and_not_called_late_too():
    pair(zone="ap-1", due=-timedelta(hours=1))

    watch(NOW)
    watch(NOW + SECOND)

    assert alarms() == {
        "zone.ap-1.no-worker": "No worker was ever seen in zone ap-1: 1 pair cannot be checked."
    }
    assert PortalAlarm.objects.count() == 1
    make_worker("ap-1")
    PairSchedule.objects.update(next_due_at=NOW + MINUTE)
    watch(NOW + 2 * SECOND)
    assert alarms() == {}


@pytest.mark.parametrize(("age", "late"), [(10 * MINUTE, False), (10 * MINUTE + SECOND, True)])
def test_a_transition_that_nobody_routed_is_an_outbox_too_old(age, late):
    make_finding(pair())
    Transition.objects.update(at=NOW - age)

    watch(NOW)

    assert ("outbox.late" in alarms()) is late
    assert complaints() == (["outbox late"] if late else [])


def test_an_outbox_that_is_empty_again_is_no_alarm():
    make_finding(pair())
    Transition.objects.update(at=NOW - 11 * MINUTE)
    watch(NOW)
    Transition.objects.update(routed_at=NOW)

    watch(NOW + SECOND)

    assert alarms() == {}


@pytest.mark.parametrize("still", ["routing", "sending"])
def test_routing_and_sending_that_came_to_no_end_for_three_minutes_are_told(switch, still):
    """Also where nothing waits to be sent: whoever would be told of the next fault is not."""
    for name in ("routing", "sending"):
        turns.ended(name, NOW - 2 * MINUTE)
    watch(NOW + MINUTE)
    assert (alarms(), complaints(NOW + MINUTE), len(switch.calls)) == ({}, [], 1)

    turns.ended(still, NOW + 2 * MINUTE)
    at = NOW + 2 * MINUTE + SECOND
    watch(at)

    assert alarms() == {"outbox.untended": "Nobody has routed or sent mail for 4\u202fmin."}
    assert (complaints(at), len(switch.calls)) == (["nobody sends"], 1)
    for name in ("routing", "sending"):
        turns.ended(name, at)
    watch(at)
    assert (alarms(), complaints(at), len(switch.calls)) == ({}, [], 2)


def mail(**fields):
    channel = Channel.objects.create(
        name="Ops", address=f"{Mail.objects.count()}@example.com", verified_at=NOW
    )
    values = {
        "kind": "alert",
        "message_id": new_message_id(),
        "state": "waiting",
        "made_at": NOW - 20 * MINUTE,
        "next_attempt_at": NOW + MINUTE,
    }
    return Mail.objects.create(channel=channel, **{**values, **fields})


@pytest.mark.parametrize(("due", "late"), [(10 * MINUTE, False), (10 * MINUTE + SECOND, True)])
def test_a_mail_that_is_due_and_that_nobody_tries_is_late(due, late):
    mail(next_attempt_at=NOW - due)

    assert complaints() == (["outbox late"] if late else [])


def test_a_mail_server_that_takes_nothing_makes_the_outbox_late():
    mail(first_tried_at=NOW - 11 * MINUTE)
    mail(state="sent", sent_at=NOW - 12 * MINUTE)

    assert complaints() == ["outbox late"]


def test_one_recipient_whose_server_says_later_does_not():
    mail(first_tried_at=NOW - 11 * MINUTE)
    mail(state="sent", sent_at=NOW - MINUTE)

    assert complaints() == []


def test_a_missing_partition_is_named():
    partitions.forget_days()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE history_visit_20261122")

    watch(NOW)

    assert alarms() == {"history.partitions": "The history table has no partition for 2026-11-22."}


GIB = 1024**3


@pytest.mark.parametrize(
    ("total", "free", "low"),
    [
        (100 * GIB, 5 * GIB, False),
        (100 * GIB, 5 * GIB - 1, True),
        (10 * GIB, GIB, False),
        (10 * GIB, GIB - 1, True),
    ],
)
def test_a_disk_is_low_below_a_share_or_an_amount(total, free, low):
    assert bool(list(faults.little_disk(total, free))) is low


def test_a_disk_that_cannot_be_looked_at_is_an_alarm_and_ends_nothing_else(settings, tmp_path):
    settings.DATA_FOLDER = str(tmp_path / "gone")

    watch(NOW)

    assert alarms() == {
        "disk.unseen": "How full the database's disk is cannot be read: No such file or directory."
    }
    settings.DATA_FOLDER = str(tmp_path)
    watch(NOW + SECOND)
    assert "disk.unseen" not in alarms()


def test_secrets_that_no_key_opens_are_counted(settings):
    pair(redis_password=seal("s3cret"))
    pair(redis_password="env:PAIRKEEPER_SECRET_GONE")
    watch(NOW)
    assert alarms() == {}
    settings.FLEET_KEYS = ["p" * 43 + "="]

    watch(NOW)

    assert alarms() == {"keys.mismatch": "The secrets of at least 1 pair fit no key in FLEET_KEYS."}


def test_a_switch_that_is_not_set_is_an_alarm(settings):
    settings.DEADMAN_URL = ""

    watch(NOW)

    assert list(alarms()) == ["deadman.unset"]


# --- the dead-man's switch


class Switch(HTTPServer):
    """A monitor that counts its calls and answers as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = 200
        self.calls: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ping/0123-secret"


class Answer(BaseHTTPRequestHandler):
    server: Switch

    def do_GET(self) -> None:
        self.server.calls.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args) -> None: ...


@pytest.fixture
def switch(settings):
    server = Switch()
    settings.DEADMAN_URL = server.url
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_switch_is_called_once_a_minute_while_all_is_well(switch):
    pair()
    for seconds in (0, 59, 60, 90):
        watch(NOW + timedelta(seconds=seconds))
    assert switch.calls == ["/ping/0123-secret"]

    watch(NOW + timedelta(seconds=120))

    assert len(switch.calls) == 2
    assert Pulse.objects.get().pinged_at == NOW + timedelta(seconds=120)


def test_the_switch_is_not_called_while_checks_are_late(switch):
    pair(due=-5 * MINUTE)

    watch(NOW + 2 * MINUTE)

    assert switch.calls == []
    assert Pulse.objects.get().watched_at == NOW + 2 * MINUTE


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_switch_that_does_not_take_the_call_is_an_alarm_until_it_does(switch, status):
    switch.status = status
    watch(NOW + 2 * MINUTE)
    assert alarms() == {
        "deadman.unreached": f"The dead-man's switch cannot be called: it answered with status {status}."
    }
    assert len(switch.calls) == 1
    switch.status = 204

    watch(NOW + 3 * MINUTE)

    assert alarms() == {}


def test_an_address_that_is_no_use_is_named_without_being_shown(settings):
    for url in ("http://127.0.0.1:9/secret", "http://169.254.169.254/secret", "nonsense"):
        with pytest.raises(deadman.SwitchError) as error:
            deadman.call(url, egress_rules())
        assert "secret" not in str(error.value)
        assert str(error.value).startswith("no connection: ")


# --- the banner


def test_the_banner_shows_live_alarms_and_what_the_page_sees_itself():
    pair(zone="ap-1")
    watch(NOW)
    PortalAlarm.objects.create(key="mail.refusing", text="It refuses.", cure="Mend it.", since=NOW)
    PortalAlarm.objects.create(key="old", text="Over.", cure="", since=NOW, ended_at=NOW)

    found = banners(SEES_ALL, NOW + 5 * MINUTE)

    assert [one.text for one in found] == [
        "No worker was ever seen in zone ap-1: 1 pair cannot be checked.",
        "The portal has not looked at itself for 5\u202fmin: no mail may go out.",
        "It refuses.",
    ]
    assert [bool(one.url) for one in found] == [True, False, False]


def test_the_banner_is_for_those_who_see_the_fleet():
    pair(zone="ap-1")
    some = Scope(frozenset(Tenant.objects.values_list("pk", flat=True)))

    assert banners(Rows(some, some), NOW) == []


def test_a_blind_zone_is_told_to_operators_once_until_it_sees():
    pair()
    why = "none of 3 hosts answers, such as 10.0.0.1:6379"
    Zone.objects.filter(slug="eu-1").update(blind_since=NOW, self_check_failure=why)
    for n in range(3):
        watch(NOW + n * SECOND)

    alarm = PortalAlarm.objects.get(key="zone.eu-1.blind")
    assert (alarm.since, alarm.ended_at) == (NOW, None)
    assert alarm.text == (
        f"Zone eu-1 is blind since 21 Nov 2026, 14:32 UTC: {why}. Its pairs are unverified; their "
        "tenants are not told."
    )
    Zone.objects.filter(slug="eu-1").update(blind_since=None)
    watch(NOW + MINUTE)
    alarm.refresh_from_db()
    assert alarm.ended_at == NOW + MINUTE


@pytest.mark.parametrize(("minutes", "is_noted"), [(3, False), (25, True)])
def test_having_stood_still_is_put_on_record_once_and_alarms_nobody(minutes, is_noted):
    pair()
    later = NOW + minutes * MINUTE

    watch(later)
    watch(later + SECOND)

    noted = PortalAlarm.objects.filter(key="portal.stood-still")
    told = [(NOW, later, "The portal stood still for 25\u202fmin.")] if is_noted else []
    assert list(noted.values_list("since", "ended_at", "text")) == told
    assert "portal.stood-still" not in alarms()
    assert Pulse.objects.get().watched_at == later + SECOND
