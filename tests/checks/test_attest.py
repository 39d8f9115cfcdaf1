from dataclasses import fields
from typing import get_type_hints

import pytest

from checks import attest
from checks.facts import Attested, Missing


def test_every_fact_that_is_attested_has_its_key():
    assert list(attest.BY_KEY) == [one.name for one in fields(Attested)]


@pytest.mark.parametrize("key", attest.KEYS, ids=lambda key: key.name)
def test_each_example_is_read_as_the_fact_wants_it(key):
    value = attest.parse(key.name, key.example)

    assert isinstance(value, get_type_hints(Attested)[key.name].__args__[0])
    assert attest.is_sound(key.name, value)
    assert getattr(attest.facts({key.name: value}), key.name) == value


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("ram_bytes", "8 GiB", 8 * 1024**3),
        ("ram_bytes", "8589934592", 8 * 1024**3),
        ("disk_iops", "12000", 12000),
        ("private_link", "No", False),
        ("storage_medium", " NVMe ", "NVMe"),
        ("redis_location", "eu-1", "eu-1"),
    ],
)
def test_values_as_people_write_them(key, text, value):
    assert attest.parse(key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("disk_iops", "12 GiB", "a whole number"),
        ("disk_iops", "-1", "a whole number"),
        ("ram_bytes", "8 GB", "a whole number over 0, or with KiB, MiB, GiB"),
        ("ram_bytes", "0 GiB", "a whole number over 0, or with KiB, MiB, GiB"),
        ("private_link", "perhaps", "yes or no"),
        ("storage_medium", "", "a text"),
        ("storage_medium", "n" * 81, "a text"),
        ("redis_location", "eu-1/b/c", "a region, or region/zone, such as eu-1/b"),
    ],
)
def test_what_a_key_does_not_take_is_refused(key, text, wanted):
    with pytest.raises(attest.AttestError) as refused:
        attest.parse(key, text)

    assert str(refused.value) == f"{key}={text}: want {wanted}"


def test_what_nobody_vouches_for_says_so():
    assert attest.facts({}).disk_iops == Missing("unattested", "disk_iops is not attested")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("disk_iops", "many"),
        ("disk_iops", True),
        ("disk_iops", -1),
        ("ram_bytes", 0),
        ("private_link", 1),
        ("gone", 1),
        ("plan", 2),
    ],
)
def test_a_stored_value_of_another_kind_is_not_sound(key, value):
    assert not attest.is_sound(key, value)


def test_a_rule_knows_the_keys_that_it_may_ask_for():
    assert [key.name for key in attest.keys_for("redis.durability")] == [
        "disk_iops",
        "managed_durability",
    ]
