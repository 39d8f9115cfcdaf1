"""A shape that was learnt gives what splitting gives, or steps aside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.probes.info_shape import (
    LEARN_AFTER,
    MOST_BYTES,
    MOST_OF_A_BEGINNING,
    MOST_SHAPES,
    PATIENCE,
    Shapes,
    split,
)
from checks.probes.redis_info import read_info
from tests.replaying import CAPTURES, read_replies

INFO = b"# Server\r\nredis_version:7.0.15\r\nos:Linux\r\nuptime_in_seconds:5\r\n\r\n# Stats\r\nkeys:1\r\n"
WANTED = frozenset({b"redis_version", b"uptime_in_seconds", b"loading"})


def is_wanted(name):
    return name in WANTED or name.startswith(b"slave")


def shapes():
    return Shapes(WANTED, families=(b"slave",), runs={b"# Errors": b"err_", b"# Keys": b"db"})


def wanted(text):
    return {name: value for name, value in split(text).items() if is_wanted(name)}


def taught(*texts):
    """Shapes that have seen each of these texts often enough."""
    found = shapes()
    for text in texts:
        for _ in range(LEARN_AFTER):
            found.fields(text)
    return found


def test_a_text_is_split_until_its_shape_is_known():
    found = shapes()
    before = [found.fields(INFO) for _ in range(LEARN_AFTER)]

    assert before == [split(INFO)] * LEARN_AFTER
    assert found.fields(INFO) == {b"redis_version": b"7.0.15", b"uptime_in_seconds": b"5"}


def test_values_may_change_and_hold_colons():
    found = taught(INFO)

    text = INFO.replace(b"seconds:5", b"seconds:a:b: c").replace(b"keys:1", b"keys:")

    assert found.fields(text) == {b"redis_version": b"7.0.15", b"uptime_in_seconds": b"a:b: c"}


@pytest.mark.parametrize(
    "text",
    [
        INFO.replace(b"keys:1", b"loading:1"),  # as many lines, another name
        INFO.replace(b"os:Linux", b"redis_version:9"),  # given twice: the last counts
        INFO.replace(b"os:Linux\r\n", b"").replace(b"keys:1", b"keys:1\r\nloading:1"),
        INFO.replace(b"os:Linux", b"loading:1"),
        INFO.replace(b"os:Linux", b"slave0:ip=10.0.0.1"),
        INFO.replace(b"seconds:5", b"seconds:\r5"),
        INFO.replace(b"# Stats", b"loading"),
        INFO.replace(b"\r\n\r\n", b"\r\nloading:1\r\n"),  # where an empty line was
        INFO[:-2],
    ],
)
def test_another_shape_steps_aside(text):
    assert taught(INFO).fields(text) == split(text)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_any_number_of_lines_may_stand_where_a_run_is(count):
    runs = b"# Errors\r\nerr_OOM:1\r\nerr_BUSY:2\r\n\r\n# Keys\r\n"
    keys = b"".join(b"db%d:keys=1\r\n" % number for number in range(count))
    found = taught(INFO + runs)

    read = found.fields(INFO + runs + keys)

    assert read == {b"redis_version": b"7.0.15", b"uptime_in_seconds": b"5"}
    text = INFO + runs + keys + b"loading:1\r\n"
    assert found.fields(text) == split(text)


def test_servers_of_one_version_have_a_few_shapes():
    texts = [INFO + b"own:1\r\n" * count for count in range(MOST_OF_A_BEGINNING + 1)]
    found = shapes()
    for number, text in enumerate(texts):
        for _ in range(LEARN_AFTER * PATIENCE**number):
            found.fields(text)

    is_known = [found.fields(text) != split(text) for text in texts]

    assert is_known == [False, *[True] * MOST_OF_A_BEGINNING]


@given(
    st.lists(
        st.sampled_from(
            [
                *INFO.split(b"\r\n"),
                b"slave1:x",
                b"load:2",
                b"load",
                b"loading:2",
                b"# Keys",
                b"db1:1",
            ]
        ),
        max_size=12,
    ),
    st.binary(max_size=80),
)
def test_no_text_is_read_otherwise_than_by_splitting(lines, end):
    text = b"\r\n".join([*INFO.split(b"\r\n")[:2], *lines]) + end
    found = taught(INFO, text)

    read = found.fields(text)

    assert {name: value for name, value in read.items() if is_wanted(name)} == wanted(text)


def test_what_keeps_changing_is_learnt_ever_more_rarely():
    found, other = taught(INFO), INFO.replace(b"keys:1", b"name:1")
    for _ in range(LEARN_AFTER):
        found.fields(other)

    assert found.fields(other) == split(other)
    assert b"os" not in found.fields(INFO)


def test_shapes_and_counts_are_bounded():
    found = shapes()
    for number in range(20 * MOST_SHAPES):
        found.fields(INFO.replace(b"7.0.15", b"%d" % number))
    for number in range(MOST_SHAPES + 1):
        for _ in range(LEARN_AFTER):
            found.fields(INFO.replace(b"7.0.15", b"x%d" % number))
    long = INFO + b"x" * MOST_BYTES

    assert taught(long).fields(long) == split(long)
    assert len(found._known) == MOST_SHAPES
    assert len(found._left) <= 16 * MOST_SHAPES + 1


@pytest.mark.parametrize(
    "name",
    sorted(
        f"{path.parent.parent.name}/{path.parent.name}"
        for path in CAPTURES.glob("*-*/*/replies.jsonl")
    ),
)
def test_each_capture_reads_the_same_once_its_shape_is_known(name):
    reply = read_replies(CAPTURES / name).get(("INFO",), b"")
    body = reply.partition(b"\r\n")[2] if reply.startswith(b"$") else reply
    before = read_info(body, "db1")
    for _ in range(LEARN_AFTER):
        read_info(body, "db1")

    assert read_info(body, "db1") == before
