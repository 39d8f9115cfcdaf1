"""What waits in EmailEngine's queues? Their keys in Redis, of BullMQ 5 and 6, read in three steps.

Nothing of a job but its times is kept: its other fields hold mail.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import hiredis

from checks.facts import Deliveries, Missing, Queue
from checks.probes.redis_info import MOST
from checks.probes.replies import Reply, classify, encode, safe_text
from checks.probes.wire import Wire

QUEUES: Final = ("notify", "submit", "documents")
SUBMIT: Final = "submit"
# A job leaves about nine events; each is some 120 bytes.
MOST_EVENTS: Final = 1000
WINDOW_MS: Final = 3_600_000
# A marker that BullMQ 5 and older put into the list of waiting jobs.
MARKER: Final = b"0:"
RIGHTS: Final = ("select", "llen", "lindex", "zcard", "hget", "hmget", "xrevrange")
# Twenty commands every five minutes are 170,000 a month.
BILLED: Final = Missing(
    "not_applicable", "Upstash bills each command: the keys of EmailEngine's queues are not read"
)
NO_CLOCK: Final = Missing("undetermined", "the server's clock is not known: no job's age is told")

Answers = dict[str, Any]  # fields of RedisFacts by name


@dataclass(frozen=True, slots=True)
class _Lists:
    """What the second step tells of one queue; `oldest` is the job that is worked on next."""

    name: str
    waiting_count: int
    active_count: int
    delayed_count: int
    is_paused: bool
    oldest: bytes


async def read_queues(
    wire: Wire, database: int, key_prefix: str, now_s: float | Missing
) -> Answers:
    """Read the three queues and the submit queue's events; returns `queues` and `deliveries`.

    Sends SELECT and one LLEN first, and no more where the account may not; then 19 commands that
    cost about 0.3 ms, one of them XREVRANGE of 1,000 entries at most (about 120 kB); then an HMGET
    for the oldest job of each queue that has one. now_s is the server's own clock.
    """
    bull = f"{key_prefix.rstrip(':')}:bull" if key_prefix.rstrip(":") else "bull"
    selecting = [encode("SELECT", database)] if database else []
    said = await wire.pipeline([*selecting, encode("LLEN", f"{bull}:{SUBMIT}:wait")])
    refusal = next((one for one in said if isinstance(one, hiredis.ReplyError)), None)
    if refusal is not None:
        closed = _closed(str(refusal), bull)
        return {"queues": closed, "deliveries": closed}
    batches = [list(_asked(f"{bull}:{name}")) for name in QUEUES]
    events = encode("XREVRANGE", f"{bull}:{SUBMIT}:events", "+", "-", "COUNT", MOST_EVENTS)
    replies = await wire.pipeline([*(one for batch in batches for one in batch), events])
    size = len(batches[0])
    lists = [
        read_lists(name, replies[number * size : (number + 1) * size])
        for number, name in enumerate(QUEUES)
    ]
    return {
        "queues": await _with_ages(wire, bull, lists, now_s),
        "deliveries": _deliveries(replies[-1], now_s, bull),
    }


def _closed(said: str, bull: str) -> Missing:
    """Say why the queues' keys are closed, and what opens them."""
    reason = classify(said) or "undetermined"
    if reason == "no_permission":
        rights = " ".join(f"+{right}" for right in RIGHTS)
        return Missing(
            reason,
            f"EmailEngine's queues are closed to us; grant {rights} and read access to {bull}:* "
            f"(%R~{bull}:*, before 7.0 ~{bull}:*)",
        )
    return Missing(reason, f"EmailEngine's queues could not be read: {safe_text(said)}")


def _asked(queue: str) -> Iterator[bytes]:
    for key in ("wait", "paused", "active"):
        yield encode("LLEN", f"{queue}:{key}")
    yield encode("ZCARD", f"{queue}:delayed")
    yield encode("HGET", f"{queue}:meta", "paused")
    # BullMQ 5 moves the jobs of a paused queue into a list of their own.
    yield from (encode("LINDEX", f"{queue}:{key}", place) for key, place in _ENDS)


_ENDS: Final = (("paused", -1), ("wait", -1), ("wait", -2))


def read_lists(name: str, replies: Sequence[Reply]) -> _Lists | Missing:
    """Read one queue's answers, in the order they were asked for."""
    refusal = next((one for one in replies if isinstance(one, hiredis.ReplyError)), None)
    if refusal is not None:
        text = f"the queue {name} could not be read: {safe_text(str(refusal))}"
        return Missing(classify(str(refusal)) or "undetermined", text)
    counts = [_count(one) for one in replies[:4]]
    if None in counts or len(replies) < 5 + len(_ENDS):
        return Missing("protocol", f"the queue {name} is no queue of BullMQ")
    waiting, paused, active, delayed = (count or 0 for count in counts)
    ends = [one if isinstance(one, bytes) else b"" for one in replies[5 : 5 + len(_ENDS)]]
    markers = sum(one.startswith(MARKER) for one in ends)
    oldest = next((one for one in ends if one and not one.startswith(MARKER)), b"")
    is_paused = replies[4] == b"1" or paused > 0
    return _Lists(name, max(0, waiting + paused - markers), active, delayed, is_paused, oldest)


async def _with_ages(
    wire: Wire, bull: str, lists: Sequence[_Lists | Missing], now_s: float | Missing
) -> tuple[Queue, ...] | Missing:
    found = [one for one in lists if not isinstance(one, Missing)]
    if len(found) < len(lists):
        return next(one for one in lists if isinstance(one, Missing))
    asked = [
        encode("HMGET", f"{bull}:{one.name}:".encode() + one.oldest, *JOB)
        for one in found
        if one.oldest
    ]
    replies = iter(await wire.pipeline(asked) if asked else [])
    return tuple(
        Queue(
            one.name,
            one.waiting_count,
            one.active_count,
            one.delayed_count,
            one.is_paused,
            _age_s(next(replies), now_s, bull) if one.oldest else 0.0,
        )
        for one in found
    )


def _age_s(job: Reply, now_s: float | Missing, bull: str) -> float | Missing:
    if isinstance(job, hiredis.ReplyError):
        return _closed(str(job), bull)
    return age_s(job, now_s)


JOB: Final = ("timestamp", "opts", "processedOn")


def age_s(job: Reply, now_s: float | Missing) -> float | Missing:
    """Return for how long a job has waited: since it was due, or since its last attempt began (s).

    Scheduled mail is due its delay after it was added. A job may be gone by now: Missing.
    """
    if isinstance(now_s, Missing):
        return NO_CLOCK
    fields = job if isinstance(job, list) and len(job) == len(JOB) else [None] * len(JOB)
    added_ms = _milliseconds(fields[0])
    if added_ms is None:
        return Missing("undetermined", "the oldest job was taken up while we looked")
    tried_ms = _milliseconds(fields[2]) or 0
    return max(0.0, now_s - max(added_ms + _delay_ms(fields[1]), tried_ms) / 1000)


def _delay_ms(options: object) -> int:
    """Read for how long the job was put off when it was added."""
    if not isinstance(options, bytes):
        return 0
    try:
        read = json.loads(options)
    except (ValueError, RecursionError):
        return 0
    delay = read.get("delay") if isinstance(read, dict) else None
    is_delay = isinstance(delay, int) and not isinstance(delay, bool) and 0 < delay < MOST
    return delay if isinstance(delay, int) and is_delay else 0


def _deliveries(reply: Reply, now_s: float | Missing, bull: str) -> Deliveries | Missing:
    if isinstance(reply, hiredis.ReplyError):
        return _closed(str(reply), bull)
    if isinstance(now_s, Missing):
        return NO_CLOCK
    return read_events(reply, int(now_s * 1000))


def read_events(reply: Reply, now_ms: int) -> Deliveries | Missing:
    """Follow each job through the events, oldest last: when it was due, begun and done.

    A job that began before the events reach back took at least as long as they do.
    """
    if not isinstance(reply, list):
        return Missing("protocol", "the events of the submit queue are no stream")
    events = [event for event in map(_event, reversed(reply)) if event is not None]
    first_ms = events[0].at_ms if events else now_ms
    jobs: dict[bytes, _Job] = {}
    finished: list[float] = []
    for event in events:
        job = jobs.setdefault(event.job_id, _Job(first_ms))
        if event.kind == b"completed":
            del jobs[event.job_id]
            if not job.is_retried and event.at_ms > now_ms - WINDOW_MS:
                finished.append(max(0, event.at_ms - job.due_ms) / 1000)
        elif event.kind == b"failed":
            del jobs[event.job_id]
        else:
            job.follow(event)
    live = jobs.values()
    return Deliveries(
        tuple(finished),
        tuple((now_ms - one.due_ms) / 1000 for one in live if one.waits),
        retried_count=sum(one.is_retried for one in live),
        covered_s=max(0, now_ms - first_ms) / 1000,
    )


@dataclass(frozen=True, slots=True)
class _Event:
    at_ms: int
    kind: bytes
    job_id: bytes


@dataclass(slots=True)
class _Job:
    """Where one job stands after the events so far."""

    due_ms: int
    waits: bool = False
    has_begun: bool = False
    is_retried: bool = False

    def follow(self, event: _Event) -> None:
        if event.kind == b"active":
            self.waits, self.has_begun = False, True
            return
        # Back in the queue after an attempt: a retry, whose delay is the mail server's.
        self.is_retried |= self.has_begun
        self.waits = event.kind == b"waiting" and not self.is_retried
        self.due_ms = event.at_ms


_KINDS: Final = frozenset({b"waiting", b"delayed", b"active", b"completed", b"failed"})


def _event(entry: object) -> _Event | None:
    """Read one entry: [id, [name, value, …]]; None for what is of no use, or strange."""
    if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[1], list):
        return None
    fields = dict(zip(entry[1][::2], entry[1][1::2], strict=False)) if _is_flat(entry[1]) else {}
    kind, job_id = fields.get(b"event"), fields.get(b"jobId")
    at_ms = _milliseconds(entry[0].partition(b"-")[0]) if isinstance(entry[0], bytes) else None
    if kind not in _KINDS or not isinstance(job_id, bytes) or at_ms is None:
        return None
    return _Event(at_ms, kind, job_id)


def _is_flat(values: list[Any]) -> bool:
    return all(isinstance(value, bytes) for value in values)


def _milliseconds(value: object) -> int | None:
    if not isinstance(value, bytes) or not value.isdigit() or len(value) > 15:
        return None
    return int(value)


def _count(reply: Reply) -> int | None:
    return reply if isinstance(reply, int) and not isinstance(reply, bool) else None
