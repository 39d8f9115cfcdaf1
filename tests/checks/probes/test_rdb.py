"""Is a dump judged by its bytes: whole, cut off, changed, packed, or something else?"""

import gzip
import hashlib
from collections.abc import Iterator

import anycrc
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from checks.facts import Missing
from checks.probes.rdb import Dump, State, Wrapping, read_dump
from checks.probes.rdb_head import Said, read_head
from checks.probes.rdb_keys import NOT_ENDED, KeyCount

MOST = 1 << 30
CRC = anycrc.Model("CRC64-REDIS")


def text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def aux(name: bytes, value: bytes) -> bytes:
    return b"\xfa" + text(name) + text(value)


WORDS = (
    aux(b"valkey-ver", b"9.1.2")
    + b"\xfa"
    + text(b"ctime")
    + b"\xc2"
    + (1_795_000_000).to_bytes(4, "little")
)
KEYS = b"\xfe\x00\xfb\x02\x00\x00" + text(b"k1") + text(b"v") + b"\x00" + text(b"k2") + text(b"v")


def sealed(body: bytes) -> bytes:
    """End a dump as a server does."""
    whole = body + b"\xff"
    return whole + CRC.calc(whole).to_bytes(8, "little")


GOOD = sealed(b"VALKEY080" + WORDS + KEYS)
SAID = Said("9.1.2", 1_795_000_000)
TWO_KEYS = {0: KeyCount(2, 0)}


def pieces(whole: bytes, size: int = 7) -> Iterator[bytes]:
    yield from (whole[at : at + size] for at in range(0, len(whole), size))


def read(whole: bytes, size: int = 7) -> Dump:
    found = read_dump(pieces(whole, size), MOST)
    assert isinstance(found, Dump)
    return found


def test_a_whole_dump_is_intact_and_says_what_the_server_wrote() -> None:
    assert read(GOOD) == Dump(
        State.INTACT,
        "header, end mark and checksum are right",
        stored_bytes=len(GOOD),
        size_bytes=len(GOOD),
        sha256=hashlib.sha256(GOOD).hexdigest(),
        magic="VALKEY",
        version=80,
        said=SAID,
        databases=TWO_KEYS,
    )


@pytest.mark.parametrize("size", [1, 8, 9, 10, 4096])
def test_how_it_arrives_changes_nothing(size: int) -> None:
    assert read(GOOD, size) == read(GOOD)


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_each_flipped_byte_is_found(at: int) -> None:
    flipped = GOOD[:at] + bytes([GOOD[at] ^ 0x10]) + GOOD[at + 1 :]

    found = read_dump(pieces(flipped), MOST)

    assert isinstance(found, Missing) or found.state in (State.CORRUPT, State.TRUNCATED)


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_each_cut_is_found(length: int) -> None:
    found = read_dump(pieces(GOOD[:length]), MOST)

    assert isinstance(found, Dump)
    assert found.state is (State.TRUNCATED if length else State.EMPTY)


@pytest.mark.parametrize(
    ("dump", "state"),
    [
        (b"REDIS0011" + KEYS + b"\xff" + bytes(8), State.UNCHECKED),
        (b"REDIS0004" + KEYS + b"\xff", State.UNCHECKED),
        (b"REDIS0004" + KEYS, State.TRUNCATED),
        (sealed(b"REDIS0005" + KEYS), State.INTACT),
        (GOOD + b"more", State.TRUNCATED),
    ],
    ids=["unchecked", "old", "old and cut", "first with a checksum", "more behind it"],
)
def test_what_the_end_proves(dump: bytes, state: State) -> None:
    assert read(dump).state is state


@pytest.mark.parametrize(
    ("packed", "wrapping"),
    [
        (gzip.compress(GOOD, mtime=0), Wrapping.GZIP),
        (gzip.compress(GOOD[:20], mtime=0) + gzip.compress(GOOD[20:], mtime=0), Wrapping.GZIP),
        (zstandard.compress(GOOD), Wrapping.ZSTD),
        (zstandard.compress(GOOD[:20]) + zstandard.compress(GOOD[20:]), Wrapping.ZSTD),
    ],
    ids=["gzip", "gzip twice", "zstd", "zstd twice"],
)
def test_a_packed_dump_is_read_through_its_packing(packed: bytes, wrapping: Wrapping) -> None:
    found = read(packed)

    assert (found.state, found.wrapping, found.said) == (State.INTACT, wrapping, SAID)
    assert found.databases == TWO_KEYS
    assert (found.size_bytes, found.stored_bytes) == (len(GOOD), len(packed))
    assert found.sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_each_cut_of_a_packed_dump_is_found(pack) -> None:
    packed = pack(GOOD)
    for length in range(5, len(packed) - 8):
        assert read(packed[:length]).state is State.TRUNCATED, length


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_packed_dump_that_is_cut_before_anything_comes_out_is_not_empty(size: int) -> None:
    packing = zstandard.ZstdCompressor().compressobj()
    streamed = packing.compress(GOOD) + packing.flush()
    for packed in (zstandard.compress(GOOD), streamed):
        for length in range(4, len(packed) - 8):
            assert read(packed[:length], size).state is State.TRUNCATED, length
    nothing = zstandard.ZstdCompressor().compressobj().flush()

    assert [read(one, size).state for one in (nothing, zstandard.compress(b""))] == [
        State.EMPTY
    ] * 2


def packed_with(window_log: int) -> bytes:
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=window_log)
    packing = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    return packing.compress(GOOD) + packing.flush()


def test_a_packing_that_is_not_opened_here_is_not_damaged() -> None:
    trained = zstandard.train_dictionary(1000, [GOOD + bytes([n]) * n for n in range(100)])

    assert read(packed_with(27)).state is State.INTACT
    assert read_dump([packed_with(28)], MOST) == Missing(
        "too_large",
        "its zstd packing wants a window of over 128 MiB: pack it with a --long of 27 at most",
    )
    assert read_dump([zstandard.ZstdCompressor(dict_data=trained).compress(GOOD)], MOST) == Missing(
        "protocol", "its zstd packing wants a dictionary, and none is known here"
    )


def test_frames_without_content_are_passed_over() -> None:
    sizes = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"\x99\x00\x00\x00"

    found = read(sizes + zstandard.compress(GOOD))

    assert (found.state, found.wrapping) == (State.INTACT, Wrapping.ZSTD)


def test_whoever_holds_the_lease_hears_of_it_while_much_comes_out_of_few_bytes() -> None:
    ticks = []
    bomb = zstandard.compress(b"REDIS0011" + bytes(64 << 20))

    read_dump([bomb], MOST, lambda: ticks.append(1))

    assert (len(bomb) < 4096, len(ticks) >= 64) == (True, True)


@pytest.mark.parametrize(
    ("pack", "unpack"),
    [(gzip.compress, gzip.decompress), (zstandard.compress, zstandard.decompress)],
)
def test_a_damaged_packing_is_found(pack, unpack) -> None:
    packed = pack(GOOD)
    for at in range(12, len(packed) - 8):
        flipped = packed[:at] + bytes([packed[at] ^ 0x20]) + packed[at + 1 :]
        found = read_dump(pieces(flipped), MOST)
        is_intact = isinstance(found, Dump) and found.state is State.INTACT
        # The bits that fill the packing's last byte up mean nothing.
        assert not is_intact or unpack(flipped) == GOOD, at


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", "an append-only file, not a dump"),
        (
            b"file appendonly.aof.1.base.rdb seq 1 type b\n",
            "the manifest of an append-only directory, not a dump",
        ),
        (b"PK\x03\x04 a zip archive", "not a dump: it begins with neither REDIS nor VALKEY"),
        (
            b"REDIS0009" + aux(b"aof-preamble", b"1") + KEYS + b"\xff" + bytes(8) + b"*1\r\n",
            "an append-only file with a dump at its start, not a dump",
        ),
    ],
)
def test_another_kind_of_file_is_not_judged(other: bytes, said: str) -> None:
    assert read_dump(pieces(other, 64), MOST) == Missing("protocol", said)


def test_what_unpacks_to_more_than_allowed_is_refused() -> None:
    bomb = gzip.compress(b"VALKEY080" + bytes(5_000_000))

    assert read_dump([bomb], 4_000_000) == Missing("too_large", "the dump is over 4,000,000 bytes")
    assert read_dump([GOOD], len(GOOD) - 1) == Missing(
        "too_large", f"the dump is over {len(GOOD) - 1:,} bytes"
    )
    assert isinstance(read_dump([GOOD], len(GOOD)), Dump)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_never_intact_and_raise_nothing(junk: bytes) -> None:
    for whole in (junk, b"REDIS0011" + junk, b"\x1f\x8b" + junk, b"\x28\xb5\x2f\xfd" + junk):
        found = read_dump(pieces(whole, 64), MOST)
        assert isinstance(found, Missing) or found.state is not State.INTACT


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\xf5" + text(b"#!lua name=x") + aux(b"redis-ver", b"7.2.4"), Said("7.2.4")),
        (aux(b"used-mem", b"17") + b"\xfe\x00" + aux(b"ctime", b"1"), Said(used_memory_bytes=17)),
        (aux(b"ctime", b"253402300799"), Said(created_at_s=253_402_300_799)),
        (aux(b"ctime", b"253402300800"), Said()),
        (aux(b"used-mem", b"9" * 19), Said(used_memory_bytes=10**19 - 1)),
        (aux(b"used-mem", b"9" * 20), Said()),
        (aux(b"redis-ver", b"7.0\x00"), Said()),
        (aux(b"redis-ver", b"x" * 41), Said()),
        (b"\xf7\x01", Said()),
        (b"\xfa\xc3", Said()),
        (b"\xff", Said()),
        (b"", Said()),
    ],
)
def test_the_head_says_what_is_plain(head: bytes, said: Said) -> None:
    assert read_head(b"REDIS0011" + head) == said


def test_what_is_not_whole_tells_no_keys() -> None:
    flipped = GOOD[:-12] + bytes([GOOD[-12] ^ 1]) + GOOD[-11:]

    assert read(flipped).state is State.CORRUPT
    assert [read(one).databases for one in (flipped, GOOD[:-1])] == [NOT_ENDED] * 2


def test_the_checksum_is_the_servers() -> None:
    # The check value of the CRC catalogue for CRC-64/REDIS.
    assert CRC.calc(b"123456789") == 0xE9C6D914C4B8D9CA
