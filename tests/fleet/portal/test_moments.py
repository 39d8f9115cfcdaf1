"""Is an instant read as the person means it, whatever the clocks do?"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.utils import timezone

from fleet.portal import ceilings, moments

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-12T14:00", BERLIN, datetime(2026, 12, 12, 13, tzinfo=UTC)),
        ("2026-07-12 14:00", BERLIN, datetime(2026, 7, 12, 12, tzinfo=UTC)),
        ("2026-03-29T01:59", BERLIN, datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        ("2026-03-29T03:00", BERLIN, datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("2026-10-25T01:59", BERLIN, datetime(2026, 10, 24, 23, 59, tzinfo=UTC)),
        ("2026-10-25T03:00", BERLIN, datetime(2026, 10, 25, 2, tzinfo=UTC)),
        ("2026-10-25T02:30", ZoneInfo("UTC"), datetime(2026, 10, 25, 2, 30, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_in_its_zone(text, zone, expected):
    assert moments.read(text, zone) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "2026-03-29T02:30",
            "02:30 does not exist on 29 Mar 2026 in Europe/Berlin: the clocks go forward.",
        ),
        (
            "2026-10-25T02:30",
            (
                "02:30 comes twice on 25 Oct 2026 in Europe/Berlin, at 00:30 and at 01:30 UTC. "
                "Choose UTC, and write the one you mean."
            ),
        ),
        ("tomorrow", "tomorrow is no date and time, such as 2026-12-24 14:30."),
        ("2026-02-30T10:00", "2026-02-30T10:00 is no date and time, such as 2026-12-24 14:30."),
    ],
)
def test_what_the_clocks_skip_repeat_or_never_show_is_refused(text, words):
    with pytest.raises(forms.ValidationError) as refused:
        moments.read(text, BERLIN)

    assert refused.value.messages == [words]


def test_an_instant_is_shown_in_both_zones_where_they_differ():
    at = datetime(2026, 12, 12, 13, tzinfo=UTC)
    with timezone.override(BERLIN):
        assert moments.both(at) == "12 Dec 2026, 14:00 CET (12 Dec 2026, 13:00 UTC)"
    with timezone.override("UTC"):
        assert moments.both(at) == "12 Dec 2026, 13:00 UTC"


def test_utc_is_offered_beside_ones_own_zone():
    with timezone.override("Europe/Berlin"):
        assert moments.zones() == [("own", "Europe/Berlin"), ("utc", "UTC")]
        assert moments.zone_named("own") == BERLIN
        assert moments.zone_named("utc") == ZoneInfo("UTC")
    with timezone.override("UTC"):
        assert moments.zones() == [("own", "UTC")]


@pytest.mark.parametrize(
    ("rule_id", "text", "measure", "shown"),
    [
        ("redis.memory-headroom", "87%", 0.87, "87%"),
        ("redis.memory-headroom", "87.5", 0.875, "87.5%"),
        ("pair.rtt", "8 ms", 8.0, "8\u202fms"),
        ("pair.rtt", "2.5", 2.5, "2.5\u202fms"),
        ("emailengine.queue-size", "250", 250.0, "250"),
        ("emailengine.license", "5", -5.0, "5"),
        ("redis.eviction-policy", "", None, ""),
    ],
)
def test_a_ceiling_is_typed_and_shown_in_the_limits_unit(rule_id, text, measure, shown):
    assert ceilings.parse(text, rule_id) == pytest.approx(measure)
    assert ceilings.shown(measure, rule_id) == shown


@pytest.mark.parametrize(
    ("rule_id", "text", "words"),
    [
        ("redis.eviction-policy", "87%", "No single figure decides this rule: leave it empty."),
        ("redis.memory-headroom", "much", "Write a number, such as 87%."),
        ("pair.rtt", "8 s", "Write a number, such as 8\u202fms."),
        ("emailengine.queue-size", "-1", "Write a number, such as 250."),
    ],
)
def test_a_ceiling_that_cannot_be_is_refused(rule_id, text, words):
    with pytest.raises(ValueError, match=r"Write|No single") as refused:
        ceilings.parse(text, rule_id)

    assert str(refused.value) == words
