"""What a pair's past shows, and that most visits leave it as it was."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.codec import decode, encode
from checks.facts import Missing, Replica, Trend
from checks.past import DAY_S, NO_COPY, NO_GROWTH, STEP_DAYS, Past, look_back
from tests.checks.pairs import GIB, HIDDEN, MIB, REDIS

BEGAN_S = 1_800_000_000
OLD_S = BEGAN_S + 28 * DAY_S
STEP = BEGAN_S // (STEP_DAYS * DAY_S)


def look(past=None, at_s=BEGAN_S, **fields):
    return look_back(past or Past(), BEGAN_S, replace(REDIS, **fields), at_s)


def test_a_first_look_knows_no_past():
    trend, past = look(rdb_last_cow_bytes=0)

    assert trend == Trend(
        highest_used_bytes=Missing("no_history", "watched for less than 28 days"),
        largest_cow_bytes=NO_COPY,
        most_replicas_count=Missing("no_history", "watched for less than 7 days"),
        no_replica_s=0.0,
        growth=NO_GROWTH,
    )
    assert past.used_by_step == ((STEP, 1 * GIB),)


@pytest.mark.parametrize(("age_days", "is_known"), [(27.99, False), (28, True)])
def test_28_days_tell_the_most_memory(age_days, is_known):
    trend, _ = look(at_s=BEGAN_S + age_days * DAY_S)

    assert (trend.highest_used_bytes == 1 * GIB) is is_known


def test_the_highest_of_all_steps_counts_until_it_is_too_old():
    _, past = look(used_memory_bytes=3 * GIB)
    held, past = look(past, at_s=OLD_S)
    last, past = look(past, at_s=BEGAN_S + 32 * DAY_S)

    assert (held.highest_used_bytes, last.highest_used_bytes) == (3 * GIB, 1 * GIB)
    assert len(past.used_by_step) == 2


def test_a_drift_is_not_written_down():
    _, first = look(used_memory_bytes=1000 * MIB, used_memory_rss_bytes=1000 * MIB)
    _, second = look(first, used_memory_bytes=1009 * MIB, used_memory_rss_bytes=1049 * MIB)
    _, third = look(second, used_memory_bytes=1011 * MIB, used_memory_rss_bytes=1051 * MIB)

    assert second == first
    assert (third.used_by_step[-1][1], third.rss_bytes) == (1011 * MIB, 1051 * MIB)


def test_the_largest_copy_of_any_kind_is_kept():
    _, past = look(rdb_last_cow_bytes=1, aof_last_cow_bytes=70, current_cow_peak_bytes=30)
    trend, _ = look(past, rdb_last_cow_bytes=0, aof_last_cow_bytes=0)

    assert trend.largest_cow_bytes == 70


def test_replicas_that_left():
    later_s = BEGAN_S + 7 * DAY_S
    two = (Replica("a", 1, "online", 0), Replica("b", 1, "online", 0))
    _, past = look(replicas=two, at_s=later_s - DAY_S)
    gone, past = look(past, at_s=later_s, replicas=(replace(two[0], state="wait_bgsave"),))
    still, past = look(past, at_s=later_s + 600, replicas=())
    back, past = look(past, at_s=later_s + 700, replicas=two[:1])

    assert (gone.most_replicas_count, gone.no_replica_s) == (2, 0.0)
    assert (still.no_replica_s, back.no_replica_s) == (600.0, 0.0)


def test_a_replica_is_not_counted_by_its_own():
    assert look(role="slave", replicas=())[1].no_replica_since_s == 0


def test_a_server_that_did_not_answer_leaves_the_past_as_it_was():
    past = Past(used_by_step=((STEP, 5),), cow_by_step=((STEP, 7),))
    trend, after = look_back(past, BEGAN_S, HIDDEN, OLD_S)

    assert after == past
    assert (trend.highest_used_bytes, trend.largest_cow_bytes) == (5, 7)


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 2**40)), max_size=30))
def test_the_past_stays_small_and_can_be_stored(looks):
    past = Past()
    for day, used in sorted(looks):
        _, past = look(past, at_s=BEGAN_S + day * DAY_S, used_memory_bytes=used)

    assert len(past.used_by_step) <= 8
    assert decode(Past, encode(past)) == past
