"""What must come back, at the boundaries."""

from dataclasses import replace

import pytest

from checks.facts import Missing
from checks.probes.rdb_head import Said
from fleet.backups.restored import Restored, RestoreLimits, shortfalls

LIMITS = RestoreLimits()
WHOLE = Restored(
    keys={"8": 2000},
    said=Said(database=8, keys_count=2000, expiring_count=0),
    live_keys={"8": 2000},
    families={"accounts": 5, "settings": 9, "tokens": 1},
    families_before={},
    has_emailengine=True,
)
NOT_SAID = Missing("not_applicable", "the file does not say")


@pytest.mark.parametrize(
    ("changes", "is_short"),
    [
        ({}, False),
        ({"keys": {"8": 1999}}, True),  # than it says itself
        ({"keys": {"8": 2001}}, True),
        (
            {"keys": {"8": 1990}, "said": Said(database=8, keys_count=2000, expiring_count=10)},
            False,
        ),
        ({"keys": {"8": 1989}, "said": Said(database=8, keys_count=2000, expiring_count=10)}, True),
        ({"keys": {}}, True),
        ({"said": Said()}, False),
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
        "database 8 came back with 10 keys; the copy says that it holds 2,000",
        "database 8 came back with 10 keys, under 50% of the 5,000 that the live server has",
        "EmailEngine's iad did not come back; the last drill found 7",
    ]
