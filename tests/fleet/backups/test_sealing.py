"""Is a sealed file opened by its key alone, and is every change to it found?"""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.backups.sealing import (
    CHUNK_BYTES,
    HEADER,
    TAG_BYTES,
    SealBroken,
    Sealer,
    key_id,
    opened,
)

KEY, OTHER = os.urandom(32), os.urandom(32)
PART = CHUNK_BYTES + TAG_BYTES
CONTENT = os.urandom(2 * CHUNK_BYTES + 1000)


def sealed(content: bytes, piece: int = 100_000, key: bytes = KEY) -> bytes:
    sealer = Sealer(key)
    parts = [sealer.add(content[at : at + piece]) for at in range(0, len(content), piece)]
    return b"".join(parts) + sealer.end()


def opening(whole: bytes, *keys: bytes, piece: int = 70_000) -> bytes:
    pieces = (whole[at : at + piece] for at in range(0, len(whole), piece))
    return b"".join(opened(pieces, keys or (KEY,)))


WHOLE = sealed(CONTENT)


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, len(CONTENT)]
)
def test_what_was_sealed_comes_out(size):
    content = CONTENT[:size]

    assert opening(sealed(content)) == content


def test_it_opens_with_an_older_key_of_the_ring():
    assert opening(WHOLE, OTHER, KEY) == CONTENT


def test_a_foreign_key_is_named():
    with pytest.raises(SealBroken, match=f"sealed with the key {key_id(KEY).hex()}, which FLEET_"):
        opening(WHOLE, OTHER)


@settings(max_examples=60)
@given(at=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
def test_each_flipped_bit_is_found(at, bit):
    changed = bytearray(WHOLE)
    changed[at] ^= 1 << bit

    with pytest.raises(SealBroken):
        opening(bytes(changed))


@settings(max_examples=60)
@given(length=st.integers(0, len(WHOLE) - 1))
def test_each_cut_is_found(length):
    with pytest.raises(SealBroken):
        opening(WHOLE[:length])


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_a_cut_between_two_parts_is_told_from_damage(parts):
    with pytest.raises(SealBroken) as raised:
        opening(WHOLE[: HEADER.size + parts * PART])

    assert raised.value.is_cut


def test_parts_in_another_order_are_found():
    first, second = (WHOLE[HEADER.size + n * PART :][:PART] for n in (0, 1))
    swapped = WHOLE[: HEADER.size] + second + first + WHOLE[HEADER.size + 2 * PART :]

    with pytest.raises(SealBroken, match="part 1 is not as it was written"):
        opening(swapped)


def test_a_part_of_another_file_is_found():
    other = sealed(CONTENT)
    mixed = WHOLE[: HEADER.size + PART] + other[HEADER.size + PART :]

    with pytest.raises(SealBroken, match="part 2 is not as it was written"):
        opening(mixed)


@pytest.mark.parametrize("more", [b"x", bytes(PART)])
def test_what_is_added_is_found(more):
    with pytest.raises(SealBroken):
        opening(WHOLE + more)


def test_the_same_content_is_never_the_same_file():
    assert sealed(b"same")[HEADER.size :] != sealed(b"same")[HEADER.size :]


@pytest.mark.parametrize("whole", [b"REDIS0011" + bytes(60), b"PKSEALED\x02" + bytes(60)])
def test_other_files_are_told(whole):
    with pytest.raises(SealBroken, match="it is not sealed, or by a newer version"):
        opening(whole)


def test_a_header_that_wants_much_memory_is_refused():
    with pytest.raises(SealBroken, match="not sealed"):
        opening(WHOLE[:49] + (1 << 31).to_bytes(4) + WHOLE[53:])


def test_nothing_of_the_content_or_the_key_shows():
    whole = sealed(b"secret " * 10_000)

    assert b"secret" not in whole
    assert KEY not in whole
