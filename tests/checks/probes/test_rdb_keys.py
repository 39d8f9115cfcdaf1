"""Are a dump's keys counted by database, whatever kinds of values it holds, and nothing made up?"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.facts import Missing
from checks.probes import rdb_keys
from checks.probes.rdb import Dump, State, read_dump
from checks.probes.rdb_keys import MOST_DATABASES, NOT_ENDED, Databases, KeyCount, KeyCounter

DUMPS = sorted((Path(__file__).parents[2] / "captures" / "dumps").iterdir())
MOST = 1 << 30
END = b"\xff" + bytes(8)
KEY = b"\x01k"
ONE = {0: KeyCount(1, 0)}


def count(whole: bytes, size: int = 1 << 20) -> Databases | Missing:
    counter = KeyCounter()
    for at in range(0, len(whole), size):
        counter.add(whole[at : at + size])
    return counter.databases


def dump_of(folder: Path) -> bytes:
    return (folder / "dump.rdb").read_bytes()


def read(whole: bytes) -> Dump:
    found = read_dump([whole], MOST)
    assert isinstance(found, Dump)
    return found


@pytest.mark.parametrize("folder", DUMPS, ids=lambda folder: folder.name)
def test_every_kind_of_value_of_a_real_server_is_counted(folder: Path) -> None:
    told = json.loads((folder / "keys.json").read_text())
    found = read(dump_of(folder))

    assert (found.state, found.said.server_version) == (
        State.INTACT,
        folder.name.partition("-")[2],
    )
    assert found.databases == {int(number): KeyCount(*pair) for number, pair in told.items()}


@pytest.mark.parametrize("folder", DUMPS, ids=lambda folder: folder.name)
def test_how_a_dump_arrives_changes_no_count(folder: Path) -> None:
    whole = dump_of(folder)

    assert count(whole, 1) == count(whole, 7) == count(whole, 4096) == count(whole)


@pytest.mark.parametrize("folder", DUMPS, ids=lambda folder: folder.name)
def test_no_real_dump_is_whole_once_it_is_cut_or_changed(folder: Path) -> None:
    whole = dump_of(folder)
    for at in range(0, len(whole), 97):
        flipped = read_dump([whole[:at], bytes([whole[at] ^ 0x10]), whole[at + 1 :]], MOST)

        assert isinstance(flipped, Missing) or not flipped.is_whole, at
        assert not read(whole[:at]).is_whole, at


@pytest.mark.parametrize(
    ("body", "databases"),
    [
        (b"", {}),
        (b"\x00" + KEY + b"\x01v", ONE),  # before any database is named
        (b"\xfe\x03\xfb\x02\x00\x00" + KEY + b"\x00\x00" + KEY + b"\x00", {3: KeyCount(2, 0)}),
        (b"\xfe\x00\xfc" + bytes(8) + b"\x00" + KEY + b"\x00", {0: KeyCount(1, 1)}),
        (b"\xfe\x00\xfd" + bytes(4) + b"\x00" + KEY + b"\x00", {0: KeyCount(1, 1)}),
        (b"\xfe\x00\xf9\x05\xf8\x41\x00\x00" + KEY + b"\x00", ONE),  # how often and how lately used
        (b"\xf4\x01\x02\x00\xfe\x00\x00" + KEY + b"\xc1\x00\x01", ONE),
        (b"\x00" + KEY + b"\xc3\x02\x20ab", ONE),  # packed
        (b"\x00" + KEY + b"\x80\x00\x00\x00\x02ab", ONE),
        (b"\x00" + KEY + b"\x81" + (2).to_bytes(8) + b"ab", ONE),
        (b"\x03" + KEY + b"\x02\x01a\x011\x01b\xfd", ONE),  # a score as text, and one that is none
        (b"\x07" + KEY + b"\x05\x01\x07\x02\x08\x03abcd\x04abcdefgh\x05\x02hi\x00", ONE),
        (b"\xf7\x05\x02\x01\x05\x02hi\x00\x00" + KEY + b"\x00", ONE),
        (b"\xfa\x01a\x01b\x00" + KEY + b"\x00\xfa\x01a\x01b", ONE),  # KeyDB has words between keys
    ],
)
def test_what_stands_before_and_in_a_key_is_stepped_over(
    body: bytes, databases: dict[int, KeyCount]
) -> None:
    whole = b"REDIS0012" + body + END

    assert [count(whole, size) for size in (1, 3, 1000)] == [databases] * 3


@pytest.mark.parametrize(
    ("whole", "why"),
    [
        (b"REDIS0012\x40" + END, "it holds what is marked 64, which is not known here"),
        (b"VALKEY080\x18" + KEY + END, "it holds what is marked 24, which is not known here"),
        (b"REDIS0012\x07" + KEY + b"\x05\x09" + END, "a module's value is marked 9"),
        (b"REDIS0012\x02" + KEY + b"\xc0" + END, "a length begins with 192"),
        (b"REDIS0004\x00" + KEY + b"\x00" + END, "its header is b'REDIS0004'"),
        (b"REDISabcd\x00" + KEY + b"\x00" + END, "its header is b'REDISabcd'"),
    ],
)
def test_what_is_not_known_is_not_counted(whole: bytes, why: str) -> None:
    assert count(whole) == Missing("undetermined", f"its keys are not counted: {why}")


@pytest.mark.parametrize("databases", [MOST_DATABASES, MOST_DATABASES + 1])
def test_no_dump_fills_memory_with_databases(databases: int) -> None:
    body = b"".join(
        b"\xfe\x80" + number.to_bytes(4) + b"\x00" + KEY + b"\x00" for number in range(databases)
    )
    found = count(b"REDIS0011" + body + END)

    assert (len(found) if not isinstance(found, Missing) else found.text) == (
        MOST_DATABASES
        if databases == MOST_DATABASES
        else "its keys are not counted: it has over 1,024 databases"
    )


@pytest.mark.parametrize("size", [0, 8, 9, 10, 14, 15])
def test_a_cut_tells_nothing(size: int) -> None:
    assert count((b"REDIS0011\x00" + KEY + b"\x01v" + END)[:size]) == NOT_ENDED


@given(st.binary(max_size=400), st.integers(min_value=1, max_value=50))
def test_no_bytes_make_it_fail(junk: bytes, size: int) -> None:
    for magic in (b"REDIS0013", b"VALKEY080", b""):
        count(magic + junk, size)


def test_what_keydb_writes_around_its_keys_is_no_key() -> None:
    """KeyDB runs nowhere here. Source: KeyDB 6.3's rdb.cpp, rdbSaveKeyValuePair, as it is documented."""
    stamp = b"\xfa\x0bmvcc-tstamp\x011"
    plain = stamp + b"\x00" + KEY + b"\x01v"
    expiring = b"\xfc" + bytes(8) + plain
    of_a_member = (
        stamp
        + b"\x02\x01s\x01\x01m"
        + b"\xfa\x13keydb-subexpire-key\x01m\xfa\x14keydb-subexpire-when\x011"
    )
    whole = b"REDIS0009\xfe\x00" + plain + expiring + of_a_member + plain + END

    assert count(whole) == count(whole, 3) == {0: KeyCount(4, 1)}


@pytest.mark.parametrize(
    "steps",
    [b"\x00\x00\x00", b"\xf9\x00", b"\xfe\x01", b"\x01\x01k\x02\x01a\x01b"],
    ids=["keys", "words", "databases", "parts"],
)
def test_a_dump_that_asks_for_too_many_steps_is_not_counted(monkeypatch, steps: bytes) -> None:
    monkeypatch.setattr(rdb_keys, "MOST_STEPS", 1000)

    found = count(b"REDIS0011" + 1000 * steps + END)

    assert found == Missing(
        "undetermined", "its keys are not counted: it has over 1,000 keys and parts of keys"
    )


def test_a_value_that_claims_more_parts_than_there_can_be_is_given_up_at_once() -> None:
    claimed = b"\x01" + KEY + b"\x81" + (2**62).to_bytes(8)

    assert isinstance(count(b"REDIS0011" + claimed + 20 * b"\x01a"), Missing)
