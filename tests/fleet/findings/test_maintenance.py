from datetime import timedelta

import pytest
from django.utils import timezone

from fleet.findings.maintenance import (
    Plan,
    Refused,
    Silence,
    end,
    ended_since,
    over,
    silenced,
    start,
)
from fleet.findings.models import MaintenanceWindow
from fleet.registry.models import FleetSettings
from tests.fleet.factories import NOW, make_pair, make_person

pytestmark = pytest.mark.django_db
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
def mara():
    return make_person()


def of_pairs(*pairs, starts_at=NOW, ends_at=NOW + HOUR):
    tenant = pairs[0].target.tenant_id
    return Plan(starts_at, ends_at, frozenset(pair.pk for pair in pairs), tenant)


@pytest.mark.parametrize(
    ("at", "is_silent"),
    [
        (NOW - SECOND, False),
        (NOW, True),
        (NOW + HOUR - SECOND, True),
        (NOW + HOUR, False),
    ],
)
def test_mail_waits_from_the_start_until_the_end(mara, at, is_silent):
    pair, other = make_pair(), make_pair()
    start(of_pairs(pair), mara.pk, NOW)

    assert silenced([pair.pk, other.pk], at) == ({pair.pk} if is_silent else set())


def test_a_tenants_window_holds_for_its_pairs_alone(mara):
    pair, other = make_pair(), make_pair(tenant="Contoso")
    start(Plan(NOW, NOW + HOUR, tenant_id=pair.target.tenant_id), mara.pk, NOW)

    assert silenced([pair.pk, other.pk], NOW) == {pair.pk}


def test_a_labels_window_holds_for_its_tenant_or_for_everybody(mara):
    mine = make_pair(labels={"rack": "7"})
    theirs = make_pair(tenant="Contoso", labels={"rack": "7"})
    others = make_pair(labels={"rack": "8"})
    ids = [mine.pk, theirs.pk, others.pk]
    rack = ("rack", "7")

    start(Plan(NOW, NOW + HOUR, tenant_id=mine.target.tenant_id, label=rack), mara.pk, NOW)
    assert silenced(ids, NOW) == {mine.pk}

    start(Plan(NOW, NOW + HOUR, label=rack), mara.pk, NOW)
    assert silenced(ids, NOW) == {mine.pk, theirs.pk}


def test_of_overlapping_windows_the_last_end_counts(mara):
    pair = make_pair()
    start(of_pairs(pair), mara.pk, NOW)
    start(Plan(NOW, NOW + 2 * HOUR, tenant_id=pair.target.tenant_id), mara.pk, NOW)

    assert over([pair.pk], NOW)[pair.pk].until == NOW + 2 * HOUR


def test_a_window_ended_early_is_over_at_once_and_ends_once(mara):
    pair = make_pair()
    window = start(of_pairs(pair), mara.pk, NOW)

    assert end(window.pk, mara.pk, NOW + MINUTE)
    assert not end(window.pk, mara.pk, NOW + 2 * MINUTE)
    assert silenced([pair.pk], NOW + MINUTE - SECOND) == {pair.pk}
    assert silenced([pair.pk], NOW + MINUTE) == set()
    window.refresh_from_db()
    assert (window.ended_at, window.ended_by) == (NOW + MINUTE, mara)


def test_what_came_out_of_silence_is_told_once_with_its_whole_length(mara):
    pair = make_pair()
    start(of_pairs(pair), mara.pk, NOW)
    start(of_pairs(pair, starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR), mara.pk, NOW)

    assert ended_since(NOW, NOW + HOUR) == []  # the next one has begun
    whole = [Silence(pair.pk, NOW, NOW + 2 * HOUR)]
    assert ended_since(NOW + 2 * HOUR - SECOND, NOW + 2 * HOUR) == whole
    assert ended_since(NOW + 2 * HOUR, NOW + 3 * HOUR) == []


def test_a_window_called_off_before_it_began_never_was(mara):
    pair = make_pair()
    window = start(of_pairs(pair, starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR), mara.pk, NOW)
    end(window.pk, mara.pk, NOW + MINUTE)

    assert silenced([pair.pk], NOW + HOUR) == set()
    assert ended_since(NOW, NOW + 3 * HOUR) == []


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "field", "text"),
    [
        (
            NOW - MINUTE,
            NOW + HOUR,
            "starts_at",
            (
                "21 Nov 2026, 14:31 UTC has passed: it is 21 Nov 2026, 14:32 UTC. "
                "Leave it empty to start now."
            ),
        ),
        (NOW, NOW, "ends_at", "It must end after it starts, 21 Nov 2026, 14:32 UTC."),
        (
            NOW,
            NOW + 72 * HOUR + SECOND,
            "ends_at",
            "At most 72 hours, as the settings say: until 24 Nov 2026, 14:32 UTC at the latest.",
        ),
    ],
)
def test_times_that_make_no_sense_are_refused_at_their_field(mara, starts_at, ends_at, field, text):
    with pytest.raises(Refused) as refused:
        start(of_pairs(make_pair(), starts_at=starts_at, ends_at=ends_at), mara.pk, NOW)

    assert (refused.value.field, str(refused.value)) == (field, text)
    assert not MaintenanceWindow.objects.exists()


def test_the_minute_under_way_counts_as_now_and_the_cap_is_allowed(mara):
    begun = NOW - MINUTE + SECOND

    window = start(of_pairs(make_pair(), starts_at=begun, ends_at=NOW + 72 * HOUR), mara.pk, NOW)

    assert (window.starts_at, window.ends_at) == (NOW, NOW + 72 * HOUR)


def test_the_cap_is_a_setting(mara):
    FleetSettings.objects.update_or_create(pk=1, defaults={"maintenance_hours": 1})

    with pytest.raises(Refused, match="At most 1 hour,"):
        start(of_pairs(make_pair(), ends_at=NOW + HOUR + SECOND), mara.pk, NOW)


def test_refusals_speak_in_the_readers_time_zone(mara):
    with timezone.override("Europe/Berlin"), pytest.raises(Refused) as refused:
        start(of_pairs(make_pair(), ends_at=NOW), mara.pk, NOW)

    assert str(refused.value) == "It must end after it starts, 21 Nov 2026, 15:32 CET."


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "is_refused"),
    [
        (NOW, NOW + HOUR, False),
        (NOW, NOW + HOUR + SECOND, True),
        (NOW + 2 * HOUR - SECOND, NOW + 3 * HOUR, True),
        (NOW + 2 * HOUR, NOW + 3 * HOUR, False),
    ],
)
def test_a_window_over_another_of_the_same_pair_is_refused(mara, starts_at, ends_at, is_refused):
    pair, other = make_pair(), make_pair()
    first = start(of_pairs(pair, starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR), mara.pk, NOW)
    plan = of_pairs(pair, other, starts_at=starts_at, ends_at=ends_at)

    if not is_refused:
        assert start(plan, mara.pk, NOW).targets.count() == 2
        return
    with pytest.raises(Refused) as refused:
        start(plan, mara.pk, NOW)
    assert refused.value.in_the_way == first
    assert str(refused.value) == (
        "There is maintenance already, from 21 Nov 2026, 15:32 UTC to 21 Nov 2026, 16:32 UTC."
    )


def test_one_that_was_called_off_is_in_nobodys_way(mara):
    pair = make_pair()
    end(start(of_pairs(pair), mara.pk, NOW).pk, mara.pk, NOW)

    assert start(of_pairs(pair), mara.pk, NOW).pk
