"""What EmailEngine's queue keys mean: both layouts of BullMQ, job ages, the event stream."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.facts import Deliveries, Missing
from checks.probes.redis_queues import NO_CLOCK, age_s, read_events, read_lists

NOW_MS = 1_795_300_000_000
NOW_S = NOW_MS / 1000


def answers(waiting=0, in_paused=0, active=0, delayed=0, paused=None, ends=(None, None, None)):
    return [waiting, in_paused, active, delayed, paused, *ends]


@pytest.mark.parametrize(
    ("replies", "counts"),
    [
        (answers(), (0, 0, 0, False, b"")),
        (answers(12, delayed=1, paused=b"1", ends=(None, b"j1", b"j2")), (12, 0, 1, True, b"j1")),
        # BullMQ 5: the jobs of a paused queue move, and a marker may stand among them
        (answers(0, in_paused=7, ends=(b"j9", None, None)), (7, 0, 0, True, b"j9")),
        (answers(3, active=1, ends=(None, b"0:1795", b"j4")), (2, 1, 0, False, b"j4")),
        (answers(1, ends=(None, b"0:0", None)), (0, 0, 0, False, b"")),
    ],
)
def test_a_queue_of_either_layout(replies, counts):
    found = read_lists("submit", replies)

    assert counts == (
        found.waiting_count,
        found.active_count,
        found.delayed_count,
        found.is_paused,
        found.oldest,
    )


def test_a_queue_that_is_refused_or_none():
    refused = [hiredis.ReplyError("NOPERM no access to key"), *answers()[1:]]

    assert read_lists("submit", refused).reason == "no_permission"
    assert read_lists("submit", [b"x", *answers()[1:]]).reason == "protocol"
    assert read_lists("submit", []).reason == "protocol"


@pytest.mark.parametrize(
    ("job", "age"),
    [
        ([b"1795299990000", b"{}", None], 10.0),
        ([b"1795299990000", b'{"delay":4000}', None], 6.0),  # scheduled mail is due later
        ([b"1795299990000", b"{}", b"1795299997000"], 3.0),  # tried before
        ([b"1795299990000", b"not json", None], 10.0),
        ([b"1795299990000", b'{"delay":true}', None], 10.0),
        ([b"1795300009000", None, None], 0.0),  # clocks differ
    ],
)
def test_how_long_a_job_has_waited(job, age):
    assert age_s(job, NOW_S) == age


def test_a_job_that_is_gone_and_a_clock_that_is_not_known():
    assert age_s([None, None, None], NOW_S).reason == "undetermined"
    assert age_s(b"?", NOW_S).reason == "undetermined"
    assert age_s([b"1795299990000", None, None], Missing("undetermined", "no clock")) == NO_CLOCK


def stream(*events):
    """Build an XREVRANGE reply from (seconds before now, event, job), oldest first."""
    return [
        [b"%d-0" % (NOW_MS - int(ago * 1000)), [b"event", kind.encode(), b"jobId", job.encode()]]
        for ago, kind, job in reversed(events)
    ]


def test_deliveries_from_the_events():
    found = read_events(
        stream(
            (3000, "completed", "cut-off"),  # began before the stream reaches back
            (2000, "waiting", "a"),
            (1999, "progress", "a"),
            (1990, "active", "a"),
            (1980, "completed", "a"),
            (900, "delayed", "scheduled"),
            (300, "waiting", "scheduled"),
            (299, "active", "scheduled"),
            (290, "completed", "scheduled"),
            (200, "waiting", "retried"),
            (190, "active", "retried"),
            (180, "delayed", "retried"),
            (120, "waiting", "retried"),
            (110, "active", "retried"),
            (100, "completed", "retried"),
            (90, "waiting", "b"),
            (80, "waiting", "put-off"),
            (70, "active", "put-off"),
            (60, "delayed", "put-off"),
            (50, "waiting", "under-way"),
            (40, "active", "under-way"),
            (30, "waiting", "lost"),
            (20, "failed", "lost"),
        ),
        NOW_MS,
    )

    assert found == Deliveries((0.0, 20.0, 10.0), (90.0,), retried_count=1, covered_s=3000.0)


def test_only_the_last_hour_counts_and_a_cut_job_took_at_least_as_long_as_is_seen():
    events = [(7200, "waiting", "x"), (3700, "completed", "y"), (600, "completed", "z")]
    found = read_events(stream(*events), NOW_MS)

    assert found.finished_s == (6600.0,)
    assert found.waiting_s == (7200.0,)


def test_an_empty_stream():
    assert read_events([], NOW_MS) == Deliveries((), (), retried_count=0, covered_s=0.0)


word = st.binary(max_size=12) | st.sampled_from(
    [b"event", b"jobId", b"waiting", b"1-1", b"completed"]
)
nested = st.recursive(
    st.none() | st.integers() | word, lambda inner: st.lists(inner, max_size=4), max_leaves=20
)


@given(nested)
def test_any_reply_is_read_without_an_error(reply):
    found = read_events(reply, NOW_MS)
    assert isinstance(found, Deliveries | Missing)
    age_s(reply, NOW_S)
    if isinstance(reply, list):
        read_lists("submit", reply)
