"""When room for pulled copies runs out: said on the fleet's page and the zones', and as an alarm."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from checks.growth import Growth
from fleet.alerts.models import PortalAlarm
from fleet.backups.models import PullRoom
from fleet.history import partitions
from fleet.portal.backup_room import Room, little_room, room_of
from fleet.portal.models import Pulse
from fleet.portal.watch import watch
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import NOW, make_pair, make_person, make_state, make_worker, make_zone

GIB = 1024**3
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TODAY = int(NOW.timestamp() // 86_400)


def row(**fields) -> PullRoom:
    """A disk that is half full and was read an hour ago; sizes in GiB."""
    values = {
        "zone": make_zone(fields.pop("zone", "eu-1")),
        "read_at": fields.pop("now", NOW) - HOUR,
        "worker": "worker-a",
        "folder": "/srv/pulls",
        "total_bytes": int(fields.pop("total", 100) * GIB),
        "free_bytes": int(fields.pop("free", 50) * GIB),
        "sources_count": 2,
        "round_bytes": int(fields.pop("round_gib", 3) * GIB),
        **fields,
    }
    return PullRoom(**values)


def days(a_day_gib: float, count: int = 20, last: int = TODAY) -> list[list[int]]:
    """So many days, each with so many GiB more, 50 on the last."""
    return [[last - ago, int((50 - a_day_gib * ago) * GIB)] for ago in range(count - 1, -1, -1)]


def keys(room: PullRoom, now=NOW, manned=("eu-1",)) -> list[str]:
    return [one.key for one in little_room([room_of(room)], manned, now)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, []),
        ({"free": 10}, []),
        ({"free": 9.999}, ["room.eu-1.low"]),
        ({"free": 20, "round_gib": 19}, []),
        ({"free": 20, "round_gib": 19.001}, ["room.eu-1.low"]),
        ({"free": 20, "round_gib": 30, "sources_count": 0}, []),
        ({"days": days(0)}, []),
        ({"days": days(50 / 7.05)}, []),  # full 7 d 1 h after the reading, which is 1 h old
        ({"days": days(50 / 7.04)}, ["room.eu-1.filling"]),
        ({"days": days(50 / 7.04, count=13)}, []),
        ({"total_bytes": None, "free_bytes": None, "error": "gone"}, ["room.eu-1.unseen"]),
        ({"read_at": NOW - 3 * HOUR}, []),
        ({"read_at": NOW - 3 * HOUR - DAY / 86_400}, ["room.eu-1.unread"]),
    ],
)
def test_what_is_an_alarm(fields, found):
    assert keys(row(**fields)) == found


@pytest.mark.django_db
def test_a_zone_without_a_worker_is_told_of_once_and_its_disk_as_it_was():
    assert keys(row(read_at=NOW - DAY), manned=()) == []
    assert keys(row(read_at=NOW - DAY, free=1), manned=()) == ["room.eu-1.low"]


LINE = Growth(20, TODAY, 50 * GIB, 2 * GIB, GIB, 4 * GIB)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("line", "likely", "soonest", "latest"),
    [
        (LINE, 25, 12.5, 50),
        (replace(LINE, low_bytes=0), None, None, None),
        (replace(LINE, low_bytes=1000), 25, 12.5, None),
        (None, None, None, None),
    ],
)
def test_a_disk_is_full_when_what_is_free_is_used_up(line, likely, soonest, latest):
    room = Room(row(), line)

    found = (room.likely_at, room.soonest_at, room.latest_at)

    assert [at and (at - room.row.read_at) / DAY for at in found] == [likely, soonest, latest]


@pytest.mark.django_db
def test_the_alarms_say_what_is_left_and_what_to_do():
    (low,) = little_room([room_of(row(free=4))], ["eu-1"], NOW)
    (filling,) = little_room([room_of(row(days=days(10)))], ["eu-1"], NOW)
    (unread,) = little_room([room_of(row(read_at=NOW - 5 * HOUR))], ["eu-1"], NOW)
    gone = row(total_bytes=None, free_bytes=None, error="no such file or directory")
    (unseen,) = little_room([room_of(gone)], ["eu-1"], NOW)

    said = [one.text.replace("\u202f", " ") for one in (low, filling, unread, unseen)]
    disk = "disk for pulled copies of zone eu-1"
    assert said == [
        f"The {disk} (/srv/pulls) has 4.0 GiB left, 4% of it; one more copy of each pair takes 3.0 GiB.",
        f"The {disk} (/srv/pulls) will be full about 26 Nov: 50 GiB are left, and it grows by 10 GiB a day.",
        f"Nobody has looked for 5 h how full the {disk} is (/srv/pulls).",
        f"How full the {disk} (/srv/pulls) is cannot be read: no such file or directory.",
    ]
    assert low.cure.replace("\u202f", " ") == (
        "Enlarge it, or let the pairs keep fewer copies; at least 10% and 4.0 GiB should be free, "
        "and that for over 7 days."
    )


@pytest.mark.django_db
def test_the_watch_raises_the_alarm_and_ends_it(settings):
    settings.DEADMAN_URL = "http://127.0.0.1:9/never"
    make_worker()
    partitions.make_ahead(partitions.VISITS, NOW.date())
    Pulse.objects.create(watched_at=NOW, pinged_at=NOW)
    room = row(free=4)
    room.save()
    for _turn in range(2):
        watch(NOW)
    alarm = PortalAlarm.objects.get()
    assert (alarm.key, alarm.ended_at) == ("room.eu-1.low", None)

    room.free_bytes = 50 * GIB
    room.save()
    watch(NOW + HOUR)

    alarm.refresh_from_db()  # beside it, that nobody watched for an hour is told
    assert alarm.ended_at == NOW + HOUR
    partitions.forget_days()


@pytest.fixture
def operator(client, db):
    client.force_login(make_person())
    return client


@pytest.fixture
def stored(db):
    """Pairs of two tenants that are pulled: to folders of two zones, and to a bucket."""
    now = timezone.now()
    for tenant, zone, fields in (
        ("Northwind Mail", "eu-1", {}),
        ("Fabrikam", "eu-1", {}),
        ("Fabrikam", "eu-2", {}),
        ("Fabrikam", "eu-1", {"destination": "bucket", "bucket": "vault"}),
        ("Fabrikam", "eu-2", {"destination": "bucket", "bucket": "vault"}),
    ):
        pair = make_pair(tenant, zone=zone)
        make_state(pair, now=now)
        source = make_source(pair, "pull", **fields)
        for ago in range(3):
            make_artefact(source, at=now - ago * DAY, stored_bytes=GIB)
        make_artefact(source, at=now - DAY, stored_bytes=GIB, gone_at=now)
    today = int(now.timestamp() // 86_400)
    row(now=now, days=days(2, last=today)).save()
    return now


def page(client) -> str:
    answer = client.get("/admin/backups/")
    return " ".join(answer.content.decode().replace("\u202f", " ").split())


def test_each_place_says_what_is_taken_and_left(operator, stored, django_assert_max_num_queries):
    page(operator)
    with django_assert_max_num_queries(12):
        said = page(operator)

    found = operator.get("/admin/backups/").context["stores"]
    assert [(one.zone, one.bucket, one.count, one.bytes // GIB) for one in found.shown] == [
        ("eu-1", "", 6, 6),
        ("eu-2", "", 3, 3),
        ("", "vault", 6, 6),
    ]
    assert (found.count, found.bytes // GIB) == (15, 15)
    full = stored - HOUR + 25 * DAY
    assert '50 GiB</b> <span class="pk-quiet">of 100 GiB' in said
    assert "one more of each takes 3.0 GiB" in said
    assert f"<b>{full:%-d %b %Y}</b>" in said
    assert "not read yet" in said
    assert "a bucket does not tell" in said


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "0 of the 14 days that show a trend"),
        ({"days": days(0)}, "<b>not growing</b><small>as far as 20 days show"),
        ({"days": days(0.001)}, "<b>in over ten years</b>"),
        ({"total_bytes": None, "free_bytes": None, "error": "gone"}, "could not be read"),
        ({"read_at": NOW}, "as it was"),
    ],
)
def test_what_is_not_known_is_said(operator, fields, words):
    row(**{"now": timezone.now(), **fields}).save()

    assert words in page(operator)


def test_a_tenant_sees_what_theirs_take_and_no_disk(client, stored):
    client.force_login(make_person("lea", is_operator=False, roles=[("viewer", "Northwind Mail")]))

    said = page(client)

    assert "Folder of zone eu-1" in said
    assert "3 pulled copies take 3.0 GiB" in said
    for hidden in ("/srv/pulls", "100 GiB", "vault", "zone eu-2", "Free"):
        assert hidden not in said


def test_many_buckets_are_added_up(operator):
    for number in range(15):
        pair = make_pair()
        source = make_source(pair, "pull", destination="bucket", bucket=f"b{number:02}")
        make_artefact(source, stored_bytes=GIB * (number + 1))

    found = operator.get("/admin/backups/").context["stores"]

    assert [one.bucket for one in found.shown] == [f"b{number:02}" for number in range(14, 2, -1)]
    assert (found.others_count, found.others_bytes) == (3, 6 * GIB)
    assert "3 more buckets" in page(operator)


def test_the_zones_page_tells_of_the_disk(operator, stored):
    answer = operator.get("/admin/zones/")
    said = " ".join(answer.content.decode().replace("\u202f", " ").split())

    assert said.count("Pulled copies:</a> <b>50 GiB</b> of 100 GiB free") == 1
    assert said.count("Pulled copies:") == 1


@pytest.mark.parametrize("view", ["unproven", "oldest", "drills", "trouble"])
def test_where_no_pair_is_none_is_called_proven(operator, view):
    said = operator.get(f"/admin/backups/?view={view}").content.decode()

    assert "No pair is being checked" in said
    assert "was proven" not in said
