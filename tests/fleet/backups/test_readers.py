"""Which server loads which dump: a table."""

import pytest

from fleet.backups.readers import Reader, choose, read_version

VALKEY_9, VALKEY_8 = (Reader("valkey", (n, 1), f"{n}.1.2", "") for n in (9, 8))
REDIS_62, REDIS_70, REDIS_72, REDIS_74, REDIS_8, REDIS_86 = (
    Reader("redis", release, "", "") for release in ((6, 2), (7, 0), (7, 2), (7, 4), (8, 0), (8, 6))
)
KEYDB = Reader("keydb", (6, 3), "6.3.4", "")
ALL = (VALKEY_9, VALKEY_8, REDIS_62, REDIS_70, REDIS_72, REDIS_74, REDIS_8, REDIS_86, KEYDB)


@pytest.mark.parametrize(
    ("magic", "version", "able"),
    [
        ("REDIS", 9, set(ALL)),
        ("REDIS", 10, {*ALL} - {REDIS_62, KEYDB}),
        ("REDIS", 11, {*ALL} - {REDIS_62, REDIS_70, KEYDB}),
        ("REDIS", 12, {REDIS_74, REDIS_8, REDIS_86}),
        ("REDIS", 13, {REDIS_86}),
        ("REDIS", 14, set()),
        ("VALKEY", 80, {VALKEY_9}),
        ("VALKEY", 81, set()),
    ],
)
def test_who_loads_what(magic, version, able):
    assert {one for one in ALL if one.reads(magic, version)} == able


@pytest.mark.parametrize(
    ("here", "made_by", "chosen"),
    [
        (ALL, "redis", REDIS_86),
        (ALL, "valkey", VALKEY_9),
        ((VALKEY_9, KEYDB), "redis", VALKEY_9),
        ((), "redis", None),
    ],
)
def test_the_newest_of_its_own_make_comes_first(here, made_by, chosen):
    assert choose(here, "REDIS", 9, made_by) is chosen


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("Valkey server v=9.1.2 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "valkey 9.1.2"),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64", "redis 7.0.15"),
        # Valkey 7.2 does not say its name.
        ("Server v=7.2.14 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "valkey 7.2.14"),
        ("KeyDB server v=6.3.4 sha=00000000:0 malloc=jemalloc-5.2.1", "keydb 6.3.4"),
    ],
)
def test_a_version_is_read(told, name):
    found = read_version(told, "/usr/bin/x")

    assert found is not None
    assert found.name == name


def test_another_program_is_no_reader():
    assert read_version("busybox v1.36", "/bin/busybox") is None
    assert read_version("Web Server v=1.2.3", "/bin/web") is None
