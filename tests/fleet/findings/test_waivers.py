"""Is a waiver asked for, approved and ended as the settings and the clock allow?"""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from fleet.findings import waivers
from fleet.findings.models import Waiver, WaiverNotice
from fleet.findings.waivers import Ask, Refused
from fleet.registry.models import FleetSettings
from tests.fleet.factories import NOW, make_pair, make_person

pytestmark = pytest.mark.django_db
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
RULE = "redis.eviction-policy"


@pytest.fixture
def mara():
    return make_person()


@pytest.fixture
def noor():
    return make_person("noor")


@pytest.fixture
def pair():
    return make_pair()


def asked(pair, **changes) -> Ask:
    ask = Ask(
        RULE,
        pair.target.tenant_id,
        pair.pk,
        "critical",
        "fix_scheduled",
        "A larger plan is ordered",
        NOW + 7 * DAY,
    )
    return replace(ask, **changes)


def request(ask, by, now=NOW, renews=None):
    with transaction.atomic():
        return waivers.request(ask, by.pk, now, renews)


def second_person():
    FleetSettings.objects.update_or_create(pk=1, defaults={"second_person": True})


def test_without_a_second_person_it_is_in_force_at_once(mara, pair):
    waiver = request(asked(pair), mara)

    assert (waiver.requested_by, waiver.approved_by, waiver.approved_at) == (mara, mara, NOW)
    assert (waiver.needs_second, waiver.ended_at) == (False, None)


def test_a_second_person_approves_a_critical_and_nobody_a_warning(mara, noor, pair):
    second_person()
    waiver = request(asked(pair), mara)
    assert (waiver.needs_second, waiver.approved_at) == (True, None)

    with pytest.raises(Refused, match="somebody else has to approve it"), transaction.atomic():
        waivers.approve(waiver.pk, mara.pk, NOW)
    with transaction.atomic():
        approved = waivers.approve(waiver.pk, noor.pk, NOW + DAY)
    assert (approved.approved_by, approved.approved_at) == (noor, NOW + DAY)

    light = request(asked(pair, rule_id="pair.rtt", severity="warning"), mara)
    assert (light.needs_second, light.approved_by) == (False, mara)


def test_the_database_holds_the_second_person_too(mara, pair):
    second_person()
    waiver = request(asked(pair), mara)

    with pytest.raises(IntegrityError, match="waiver_approved_by_another"), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(approved_by=mara, approved_at=NOW)


@pytest.mark.parametrize(
    ("severity", "lasts", "is_refused"),
    [
        ("critical", 30 * DAY - SECOND, False),
        ("critical", 30 * DAY, False),
        ("critical", 30 * DAY + SECOND, True),
        ("warning", 180 * DAY - SECOND, False),
        ("warning", 180 * DAY, False),
        ("warning", 180 * DAY + SECOND, True),
        ("warning", SECOND, False),
        ("warning", 0 * DAY, True),
        ("warning", -DAY, True),
    ],
)
def test_it_ends_within_its_cap_and_not_in_the_past(mara, pair, severity, lasts, is_refused):
    ask = asked(pair, severity=severity, expires_at=NOW + lasts)
    if not is_refused:
        assert request(ask, mara).expires_at == NOW + lasts
        return
    with pytest.raises(Refused) as refused:
        request(ask, mara)
    assert refused.value.field == "expires_at"
    assert not Waiver.objects.exists()


def test_a_refusal_names_the_cap_and_the_latest_instant_in_the_readers_zone(mara, pair):
    ask = asked(pair, expires_at=NOW + 31 * DAY)
    with timezone.override("America/New_York"), pytest.raises(Refused) as refused:
        request(ask, mara)

    assert str(refused.value) == (
        "A waiver of a critical lasts 30 days at most: until 21 Dec 2026, 09:32 EST."
    )


def test_the_caps_are_settings(mara, pair):
    FleetSettings.objects.update_or_create(pk=1, defaults={"critical_waiver_days": 1})

    assert request(asked(pair, expires_at=NOW + DAY), mara).pk
    with pytest.raises(Refused, match="lasts 1 day at most"):
        request(asked(pair, rule_id="pair.rtt", expires_at=NOW + DAY + SECOND), mara)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"rule_id": "redis.unheard-of"}, "rule_id", "There is no rule redis.unheard-of."),
        ({"severity": "info"}, "severity", "Choose warning or critical."),
        ({"kind": "whim"}, "kind", "Choose a kind."),
        ({"reason": " so  "}, "reason", "Give a reason of 5 letters or more."),
        (
            {"expires_at": NOW - DAY},
            "expires_at",
            "20 Nov 2026, 14:32 UTC has passed: it is 21 Nov 2026, 14:32 UTC.",
        ),
    ],
)
def test_faults_are_named_at_their_field(mara, pair, changes, field, text):
    with pytest.raises(Refused) as refused:
        request(asked(pair, **changes), mara)

    assert (refused.value.field, str(refused.value)) == (field, text)


def test_one_of_the_same_scope_is_in_the_way_and_another_scope_is_not(mara, pair):
    first = request(asked(pair), mara)

    with pytest.raises(Refused) as refused:
        request(asked(pair), mara)
    assert (refused.value.field, refused.value.in_the_way) == ("rule_id", first)
    assert str(refused.value) == (
        "One of the same scope is in force until 28 Nov 2026, 14:32 UTC. Renew it."
    )
    assert request(asked(pair, target_id=None), mara).pk
    assert request(asked(make_pair()), mara).pk
    assert request(asked(pair, rule_id="pair.rtt"), mara).pk


def test_a_waiting_one_is_in_the_way_of_a_second(mara, pair):
    second_person()
    first = request(asked(pair), mara)

    with pytest.raises(Refused) as refused:
        request(asked(pair), mara)

    assert refused.value.in_the_way == first
    assert str(refused.value) == "One of the same scope waits for approval."


def test_one_that_expired_a_moment_ago_is_not_in_the_way(mara, pair):
    first = request(asked(pair), mara)

    again = request(asked(pair, expires_at=NOW + 20 * DAY), mara, now=NOW + 7 * DAY)

    first.refresh_from_db()
    assert (first.end, first.ended_at, again.ended_at) == ("expired", NOW + 7 * DAY, None)


def test_a_renewal_takes_the_place_of_what_it_renews_once_it_is_approved(mara, noor, pair):
    first = request(asked(pair), mara)
    second_person()
    renewal = request(asked(pair, expires_at=NOW + 20 * DAY), mara, now=NOW + DAY, renews=first)
    first.refresh_from_db()
    assert (first.ended_at, renewal.approved_at) == (None, None)

    with transaction.atomic():
        waivers.approve(renewal.pk, noor.pk, NOW + 2 * DAY)

    first.refresh_from_db()
    assert (first.end, first.ended_at, first.ended_by) == ("renewed", NOW + 2 * DAY, noor)


def test_a_rejected_request_is_never_in_force(mara, noor, pair):
    second_person()
    waiver = request(asked(pair), mara)

    with transaction.atomic():
        turned_down = waivers.reject(waiver.pk, noor.pk, "Fix it instead", NOW + DAY)

    assert (turned_down.end, turned_down.end_note) == ("rejected", "Fix it instead")
    assert (turned_down.ended_by, turned_down.approved_at) == (noor, None)
    with pytest.raises(Refused, match="does not wait for approval"), transaction.atomic():
        waivers.approve(waiver.pk, noor.pk, NOW + DAY)


@pytest.mark.parametrize(
    ("at", "is_refused"), [(NOW + 7 * DAY - SECOND, False), (NOW + 7 * DAY, True)]
)
def test_what_expired_while_it_waited_cannot_be_approved(mara, noor, pair, at, is_refused):
    second_person()
    waiver = request(asked(pair), mara)

    if is_refused:
        with pytest.raises(Refused, match="would have expired"), transaction.atomic():
            waivers.approve(waiver.pk, noor.pk, at)
    else:
        with transaction.atomic():
            assert waivers.approve(waiver.pk, noor.pk, at).approved_at == at


def test_revoking_wants_a_reason_and_ends_it_once(mara, noor, pair):
    waiver = request(asked(pair), mara)

    with pytest.raises(Refused, match="Give a reason"), transaction.atomic():
        waivers.revoke(waiver.pk, noor.pk, "", NOW)
    with transaction.atomic():
        ended = waivers.revoke(waiver.pk, noor.pk, "Not needed any more", NOW + DAY)
    assert (ended.end, ended.ended_at, ended.ended_by) == ("revoked", NOW + DAY, noor)
    with pytest.raises(Refused, match="not in force"), transaction.atomic():
        waivers.revoke(waiver.pk, noor.pk, "Once more", NOW + DAY)


@pytest.mark.parametrize(
    ("lasts", "at", "days"),
    [
        (20 * DAY, NOW + 6 * DAY - SECOND, []),
        (20 * DAY, NOW + 6 * DAY, [14]),
        (20 * DAY, NOW + 17 * DAY - SECOND, [14]),
        (20 * DAY, NOW + 17 * DAY, [14, 3]),
        (14 * DAY, NOW, []),
        (14 * DAY + SECOND, NOW + SECOND, [14]),
        (3 * DAY, NOW + DAY, []),
    ],
)
def test_notice_is_given_fourteen_and_three_days_before(mara, pair, lasts, at, days):
    waiver = request(asked(pair, expires_at=NOW + lasts), mara)

    for moment in (NOW + SECOND, NOW + 6 * DAY, at, at):
        if moment <= at:
            waivers.give_notice(moment)

    given = WaiverNotice.objects.filter(waiver=waiver).order_by("at")
    assert list(given.values_list("days", flat=True)) == days


def test_after_a_long_night_only_the_later_notice_is_given(mara, pair):
    request(asked(pair, expires_at=NOW + 20 * DAY), mara)

    assert waivers.give_notice(NOW + 18 * DAY) == 1
    assert WaiverNotice.objects.get().days == 3


def test_no_notice_of_what_waits_or_has_ended(mara, noor, pair):
    revoked = request(asked(pair, expires_at=NOW + 20 * DAY), mara)
    with transaction.atomic():
        waivers.revoke(revoked.pk, mara.pk, "No need", NOW)
    second_person()
    request(asked(pair, rule_id="pair.rtt", expires_at=NOW + 20 * DAY), mara)

    assert waivers.give_notice(NOW + 18 * DAY) == 0
