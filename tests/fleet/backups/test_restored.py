"""What must come back, at the boundaries."""

from dataclasses import replace

import pytest

from checks.facts import Missing
from checks.probes.rdb_keys import KeyCount
from fleet.backups.restored import Restored, RestoreLimits, remarks, shortfalls

LIMITS = RestoreLimits()
NOT_SAID = Missing("undetermined", "its keys are not counted")
WHOLE = Restored(
    keys={"8": 2000},
    copy_keys={8: KeyCount(2000, 0)},
    live_keys={"8": 2000},
    families={"accounts": 5, "settings": 9, "tokens": 1},
    families_before={},
    has_emailengine=True,
)


@pytest.mark.parametrize(
    ("changes", "is_short"),
    [
        ({}, False),
        ({"keys": {"8": 1999}}, True),  # than it says itself
        ({"keys": {"8": 2001}}, True),
        ({"keys": {"8": 1990}, "copy_keys": {8: KeyCount(2000, 10)}}, False),
        ({"keys": {"8": 1989}, "copy_keys": {8: KeyCount(2000, 10)}}, True),
        ({"keys": {}}, True),
        ({"copy_keys": {8: KeyCount(2000, 0), 3: KeyCount(5, 1)}}, True),  # of each database
        ({"copy_keys": {8: KeyCount(2000, 0), 3: KeyCount(5, 5)}}, False),
        ({"keys": {"8": 2000, "3": 1}}, True),  # out of nowhere
        ({"copy_keys": NOT_SAID}, False),
        ({"live_keys": {"8": 4000}}, False),  # exactly half
        ({"live_keys": {"8": 4001}}, True),
        (
            {"live_keys": {"8": 10}},
            False,
        ),  # a live server that lost its keys is no fault of the copy
        ({"live_keys": {"8": 2000, "3": 999}}, False),  # few keys come and go
        ({"live_keys": {"8": 2000, "3": 1000}}, True),
        ({"live_keys": NOT_SAID}, False),
        ({"families": {"accounts": 0, "settings": 0, "tokens": 0}}, True),
        ({"families": {"accounts": 0, "settings": 3, "tokens": 0}}, False),  # a new installation
        (
            {
                "families": {"accounts": 0, "settings": 3, "tokens": 1},
                "families_before": {"accounts": 1},
            },
            True,
        ),
        ({"families": {}, "has_emailengine": False}, False),
    ],
)
def test_what_counts_as_missing(changes, is_short):
    assert bool(shortfalls(replace(WHOLE, **changes), LIMITS)) is is_short


def test_each_shortfall_shows_its_numbers():
    found = replace(WHOLE, keys={"8": 10}, live_keys={"8": 5000}, families_before={"iad": 7})

    assert shortfalls(found, LIMITS) == [
        "database 8 came back with 10 keys; the copy holds 2,000",
        "database 8 came back with 10 keys, under 50% of the 5,000 that the live server has",
        "EmailEngine's iad did not come back; the last drill found 7",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"live_keys": {"8": 1000}}, []),  # exactly half
        (
            {"live_keys": {"8": 999}},
            [
                (
                    "the live server holds 999 keys in database 8 now, under 50% of the 2,000 that came "
                    "back"
                )
            ],
        ),
        (
            {"keys": {"8": 2000, "3": 1000, "10": 999}, "live_keys": {"8": 1500}},
            [
                (
                    "the live server holds 0 keys in database 3 now, under 50% of the 1,000 that came "
                    "back"
                )
            ],
        ),
        (
            {"copy_keys": NOT_SAID, "live_keys": Missing("refused", "it refuses")},
            ["its keys are not counted", "the live server could not be asked: it refuses"],
        ),
    ],
)
def test_what_is_odd_is_told_and_fails_nothing(changes, told):
    assert remarks(replace(WHOLE, **changes), LIMITS) == told
