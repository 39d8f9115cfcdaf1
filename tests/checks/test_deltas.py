"""Two visits' counters: restarts, resets, gaps, first looks; and what is remembered."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.codec import decode, encode
from checks.counters import add, rise, rises, total
from checks.deltas import Memory, compare
from checks.facts import NOT_CONFIGURED, NOT_READ, Missing, Queue, Since
from checks.look import FIRST, GAP, YOUNG_DAY
from tests.checks.pairs import EMAILENGINE, NOW_S, REDIS

HOUR, DAY = 3600, 86_400
STARTED = datetime.fromtimestamp(NOW_S - DAY, UTC)
EE = replace(EMAILENGINE, started_at=STARTED)
CLOSED = Missing("no_permission", "INFO is closed")


def since(elapsed_s=60.0):
    return Since(last_visit_s=elapsed_s, last_answer_s=elapsed_s, last_stats_s=elapsed_s)


def looks(*readings, every_s=60.0, memory=None):
    """Compare readings (redis, emailengine) one after the other; returns the last Since and Memory."""
    found = None
    for number, (redis, emailengine) in enumerate(readings):
        gone = since(every_s) if number or memory else Missing("first_visit", "first")
        at_s = NOW_S + number * every_s
        found, memory = compare(gone, memory, redis, emailengine, at_s)
    return found, memory


def redis(**fields):
    return replace(REDIS, **fields), NOT_CONFIGURED


def engine(**fields):
    return REDIS, replace(EE, **fields)


@pytest.mark.parametrize(
    ("now", "before", "is_restarted", "grown"),
    [(5, 5, False, 0), (7, 5, False, 2), (4, 5, False, 4), (7, 5, True, 7), (0, 9, False, 0)],
)
def test_a_smaller_counter_and_a_restart_count_from_zero(now, before, is_restarted, grown):
    assert rise(now, before, is_restarted=is_restarted) == grown


def test_only_what_grew_is_told():
    grown = rises({"OOM": 3, "ERR": 5, "NEW": 1}, {"OOM": 1, "ERR": 5}, is_restarted=False)

    assert grown == {"OOM": 2, "NEW": 1}


def test_a_first_visit_only_remembers():
    gone = Missing("first_visit", "first")
    found, memory = compare(gone, None, REDIS, EE, NOW_S)

    assert found == gone
    assert memory.counters["evicted_keys"] == 0
    assert memory.processed == {"submit/completed": 900, "notify/completed": 1800}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"evicted_keys": 12}, 12),
        ({"evicted_keys": 12, "run_id": "c" * 40}, 12),
        ({"evicted_keys": CLOSED}, CLOSED),
    ],
)
def test_the_second_visit_tells_a_rise(changed, expected):
    found, _ = looks(redis(), redis(**changed))

    assert found.evicted_keys_rise == expected


def test_a_new_run_id_counts_all_of_a_larger_counter():
    found, _ = looks(redis(evicted_keys=5), redis(evicted_keys=8, run_id="c" * 40))

    assert found.evicted_keys_rise == 8


def test_without_a_run_id_a_short_uptime_is_a_restart():
    hidden = {"run_id": CLOSED}
    found, _ = looks(redis(evicted_keys=5, **hidden), redis(evicted_keys=8, uptime_s=30, **hidden))

    assert found.evicted_keys_rise == 8
    assert found.is_failed_over == CLOSED


def test_a_counter_that_could_not_be_read_is_compared_with_the_last_that_could():
    found, _ = looks(redis(evicted_keys=5), redis(evicted_keys=CLOSED), redis(evicted_keys=9))

    assert found.evicted_keys_rise == 4


@pytest.mark.parametrize(("replid2", "is_failed_over"), [("b" * 40, True), ("d" * 40, False)])
def test_a_failover_is_a_new_run_id_that_remembers_the_old_replid(replid2, is_failed_over):
    found, _ = looks(
        redis(), redis(run_id="c" * 40, master_replid="e" * 40, master_replid2=replid2)
    )

    assert found.is_failed_over is is_failed_over


def test_slow_fsyncs_of_the_last_seven_looks():
    counts = (1, 2, 2, 2, 2, 2, 2, 3, 4)
    found, memory = looks(*(redis(aof_delayed_fsync=count) for count in counts))

    assert found.slow_fsync_looks == memory.slow_fsync_looks == (*[False] * 5, True, True)
    assert found.aof_delayed_fsync_rise == 1


# --- Windows


def test_refused_sign_ins_of_the_hour_against_the_day():
    memory = replace(looks(redis(errors={}))[1], began_s=int(NOW_S) - 2 * DAY)
    step = int(NOW_S) // HOUR
    memory = replace(memory, auth_errors=((step - 25, 24), (step - 2, 24), (step - 1, 3)))
    found, _ = looks(redis(errors={"NOAUTH": 2, "WRONGPASS": 1, "ERR": 9}), memory=memory)

    assert found.auth_errors_hour_count == 3 + 3
    assert found.auth_errors_day_mean_count == 2.0
    assert found.errors_rise == {"NOAUTH": 2, "WRONGPASS": 1}


@pytest.mark.parametrize(
    ("counted", "rises", "written"),
    [
        (0, (1, 1), False),  # our own knocks without a password
        (0, (1, 1, 1), True),
        (0, (3,), True),
        (80, (9,), False),  # an eighth of what the last hours had
        (80, (10,), True),
        (80, (5, 5), True),
    ],
)
def test_few_refused_sign_ins_are_counted_when_they_are_many(counted, rises, written):
    before = looks(redis(errors={"NOAUTH": 7, "OOM": 1}))[1]
    before = replace(before, auth_errors=((int(NOW_S) // HOUR, counted),) if counted else ())
    reads = [redis(errors={"NOAUTH": 7 + sum(rises[:n]), "OOM": 1}) for n in range(len(rises) + 1)]
    found, memory = looks(*reads, memory=before)

    assert (memory.auth_errors != before.auth_errors) is written
    assert found.auth_errors_hour_count == counted + (sum(rises) if written else 0)
    assert memory.errors == {"NOAUTH": 7 + (sum(rises) if written else 0), "OOM": 1}


def test_after_a_restart_refused_sign_ins_begin_anew():
    before = looks(redis(errors={"NOAUTH": 70}))[1]
    _found, memory = looks(redis(errors={"NOAUTH": 1}, run_id="c" * 40), memory=before)

    assert memory.errors == {"NOAUTH": 1}


def test_a_young_pair_has_no_usual_rate():
    found, _ = looks(redis(errors={}), redis(errors={"NOAUTH": 40}))

    assert found.auth_errors_hour_count == 40
    assert found.auth_errors_day_mean_count == YOUNG_DAY


def test_what_rose_over_a_gap_is_in_no_window_but_is_told():
    found, _ = looks(redis(errors={}), redis(errors={"NOAUTH": 40}), every_s=HOUR + 1.0)

    assert found.auth_errors_hour_count == 0
    assert found.errors_rise == {"NOAUTH": 40}


@pytest.mark.parametrize(("every_s", "over_s"), [(300.0, 300.0), (3600.0, 3600.0), (3600.1, GAP)])
def test_a_rate_wants_two_looks_close_to_each_other(every_s, over_s):
    found, _ = looks(engine(), engine(queues_processed={"submit/completed": 1100}), every_s=every_s)

    assert found.processed_rise == {"submit/completed": 200}
    assert found.processed_over_s == over_s


def test_an_emailengine_that_restarted_counts_since_its_start():
    later = datetime.fromtimestamp(NOW_S + 200, UTC)
    found, _ = looks(
        engine(),
        engine(queues_processed={"submit/completed": 950}, started_at=later, uptime_s=100.0),
        every_s=300.0,
    )

    assert (found.processed_rise, found.processed_over_s) == ({"submit/completed": 950}, 100.0)


def test_a_look_that_could_not_read_jobs_breaks_the_rate():
    closed = Missing("timeout", "late")
    found, _ = looks(engine(), engine(queues_processed=closed), engine(), every_s=300.0)

    assert found.processed_rise == FIRST


def test_a_day_of_events_in_hourly_steps():
    memory = replace(looks(engine())[1], stats_began_s=int(NOW_S) - DAY)
    old, new = int(NOW_S - DAY) // HOUR - 1, int(NOW_S) // HOUR
    memory = replace(memory, events_by_hour={"messageSent": ((old, 50), (new - 3, 60))})
    found, after = looks(
        engine(events={"messageSent": 1000, "messageFailed": 1, "messageBounce": 2}), memory=memory
    )

    assert found.events_day == {"messageSent": 160, "messageFailed": 0, "messageBounce": 0}
    assert after.events_by_hour == {"messageSent": ((new - 3, 60), (new, 100))}
    assert found.has_seen_bounce is True


def test_a_first_day_is_too_young():
    found, _ = looks(engine(), engine(), every_s=300.0)

    assert found.events_day == YOUNG_DAY


def test_visits_without_stats_leave_them_alone():
    health = dict.fromkeys(("queues", "events", "accounts", "queues_processed"), NOT_READ)
    _, memory = looks(engine())
    found, after = looks(engine(**health), memory=memory)

    assert found.processed_rise == NOT_READ
    assert (after.processed, after.accounts_count) == (memory.processed, 4)


# --- States


def test_how_long_looks_have_seen_a_queue_paused():
    paused = engine(queues=(Queue("submit", 3, 0, 0, is_paused=True),))
    found, memory = looks(paused, paused, paused, every_s=300.0)
    assert found.paused_s == {"submit": 600.0}

    found, memory = looks(engine(), memory=memory)
    assert (found.paused_s, memory.paused_since_s) == ({}, {})


def test_the_usual_share_of_accounts_in_error():
    memory = None
    for _look in range(5):
        bad = engine(accounts={"connected": 90, "connectError": 10})
        found, memory = looks(bad, memory=memory)
        memory = replace(
            memory, error_shares=tuple((step - 1, share) for step, share in memory.error_shares)
        )

    assert found.accounts_error_median_ratio == 0.1
    assert len(memory.error_shares) == 5


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ((1000, 960), 1000),  # drift is not written down
        ((1000, 940), 940),
        ((1000, 201), 201),
        ((1000, 200), 1000),  # a fall that may be a loss
        ((1000, 0, 10), 1000),
        ((1000, 5000), 5000),
    ],
)
def test_the_baseline_follows_the_keys_but_not_a_loss(counts, kept):
    _, memory = looks(*(redis(keys_by_database={"8": count}) for count in counts))

    assert memory.keys_count == kept


@pytest.mark.parametrize(("now", "kept"), [(11, 11), (6, 6), (5, 10), (0, 10)])
def test_the_baseline_follows_the_accounts_but_not_a_loss(now, kept):
    _, memory = looks(engine(accounts={"connected": 10}), engine(accounts={"connected": now}))

    assert memory.accounts_count == kept


def test_keys_are_not_counted_while_loading():
    _, memory = looks(redis(), redis(is_loading=True, keys_by_database={"8": 500}))

    assert memory.keys_count == 1200


def test_an_acknowledgement_takes_a_new_baseline_once():
    _, memory = looks(redis(), redis(keys_by_database={"8": 10}))
    flushed = replace(REDIS, keys_by_database={"8": 10})
    found, memory = compare(since(), memory, flushed, NOT_CONFIGURED, NOW_S + 200, NOW_S + 100)
    assert (found.baseline_keys_count, memory.keys_count) == (FIRST, 10)

    found, memory = compare(since(), memory, flushed, NOT_CONFIGURED, NOW_S + 260, NOW_S + 100)
    assert found.baseline_keys_count == 10


def test_what_config_told_of_maxclients_is_remembered():
    """It is read with each fifth visit, and judged with each."""
    found, memory = looks(redis(config_maxclients=60), redis(), redis())
    assert (found.config_maxclients, memory.config_maxclients) == (60, 60)

    found, memory = looks(redis(config_maxclients=90), redis(), memory=memory)
    assert (found.config_maxclients, memory.config_maxclients) == (90, 90)


def test_connections_once_seen_are_remembered():
    found, _ = looks(redis(), redis(bull_clients=()), redis(bull_clients=()))

    assert found.had_workers is True


def test_a_redis_that_does_not_answer_changes_nothing():
    gone = Missing("timeout", "no answer")
    _, memory = looks(redis())
    found, after = compare(since(), memory, gone, NOT_CONFIGURED, NOW_S + 60)

    assert (found.evicted_keys_rise, found.errors_rise) == (gone, gone)
    assert after == memory


# --- Rings and travel


def test_a_ring_sums_within_a_step_and_forgets():
    ring = add((), 100, 3, step_s=60, keep_s=120)
    ring = add(ring, 110, 4, step_s=60, keep_s=120)
    assert ring == ((1, 7),)
    ring = add(ring, 250, 0, step_s=60, keep_s=120)
    assert ring == ()
    assert total(((1, 7), (2, 5), (4, 1)), 2, 4) == 6


def test_a_memory_travels():
    _, memory = looks(engine(), engine(), every_s=300.0)

    assert decode(Memory, json.loads(json.dumps(encode(memory)))) == memory


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**6) | st.just(CLOSED),
            st.sampled_from(["a" * 40, "b" * 40]),
            st.integers(1, 10**5),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_whatever_comes_no_rise_is_below_zero(readings):
    memory, found = None, None
    for evicted, run_id, gone_s in readings:
        read = replace(REDIS, evicted_keys=evicted, run_id=run_id, errors={"NOAUTH": gone_s})
        found, memory = compare(since(float(gone_s)), memory, read, EE, NOW_S)
        grown = found.evicted_keys_rise
        assert isinstance(grown, Missing) or grown >= 0
        assert decode(Memory, encode(memory)) == memory
