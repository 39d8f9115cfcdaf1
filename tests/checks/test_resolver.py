"""Names to addresses: caching, sharing, and dead names that delay no live one."""

import asyncio
import threading
import time

from checks.resolver import SLOW_THREADS, Answer, Lane, Resolver


def test_an_answer_is_kept_30_s_and_a_failure_5():
    clock, asked = [0.0], []

    def lookup(name):
        asked.append(name)
        if name == "dead.example":
            raise OSError(-2, "Name or service not known")
        return ("10.0.0.1",)

    async def ask():
        names = Resolver(lookup, clock=lambda: clock[0])
        for clock[0] in (0.0, 4.9, 5.0, 29.9, 30.0):
            await names.resolve("live.example")
            dead = await names.resolve("dead.example")
        return dead

    dead = asyncio.run(ask())

    assert dead.error == "the name dead.example was not resolved: Name or service not known"
    assert asked.count("live.example") == 2
    assert asked.count("dead.example") == 3


def test_one_lookup_serves_all_who_wait():
    asked = []

    def lookup(name):
        asked.append(name)
        time.sleep(0.05)
        return ("10.0.0.1",)

    async def ask():
        names = Resolver(lookup)
        spellings = ("redis.example", "Redis.Example", "redis.example.")
        return await asyncio.gather(*(names.resolve(name) for name in spellings * 20))

    assert set(asyncio.run(ask())) == {Answer(("10.0.0.1",))}
    assert asked == ["redis.example"]


def test_two_hundred_dead_names_delay_no_live_one():
    release = threading.Event()

    def lookup(name):
        if name.startswith("dead"):
            release.wait(30)
        return ("10.0.0.1",)

    async def ask():
        names = Resolver(lookup)
        dead = [asyncio.ensure_future(names.resolve(f"dead{n}.example", 0.5)) for n in range(200)]
        await asyncio.sleep(0.05)
        # While the dead hold their lanes, for 30 s: behind them, these would not be answered at all.
        live = [await names.resolve(f"live{n}.example", 20) for n in range(5)]
        return await asyncio.gather(*dead), live

    dead, live = asyncio.run(ask())
    release.set()

    assert dead[0] == Answer(error="the name dead0.example was not resolved within 0.5 s")
    assert live == [Answer(("10.0.0.1",))] * 5


def test_a_name_known_to_be_dead_fails_at_once_and_a_proven_one_has_its_own_lane():
    release, clock = threading.Event(), [0.0]

    def lookup(name):
        if name != "live.example":
            release.wait(30)
        return ("10.0.0.1",)

    async def ask():
        names = Resolver(lookup, clock=lambda: clock[0])
        await names.resolve("live.example")
        await asyncio.gather(*(names.resolve(f"dead{n}.example", 0.05) for n in range(300)))
        clock[0] = 31.0
        started_at = time.monotonic()
        dead = await names.resolve("dead0.example", 20)
        live = await names.resolve("live.example", 20)
        return dead, live, time.monotonic() - started_at

    dead, live, elapsed_s = asyncio.run(ask())
    release.set()

    assert dead.error == "the name dead0.example was not resolved within 20 s"
    assert live == Answer(("10.0.0.1",))
    assert elapsed_s < 10


def test_a_name_that_cannot_be_one_is_an_answer():
    answer = asyncio.run(Resolver().resolve("a" * 64 + ".example"))

    assert answer.addresses == ()
    assert "was not resolved" in answer.error


def test_a_lookup_outlives_its_loop_in_silence():
    release = threading.Event()
    done = threading.Event()

    def lookup(_name):
        release.wait(30)
        return ("10.0.0.1",)

    names = Resolver(lookup)
    asyncio.run(names.resolve("late.example", 0.01))
    release.set()
    Lane(1).submit(done.set)

    assert done.wait(30)
    assert asyncio.run(names.resolve("late.example", 20)) == Answer(("10.0.0.1",))


def test_a_name_whose_turn_did_not_come_is_not_called_dead():
    """Hundreds of names that nobody answers for hold every thread: that is our want, not its own."""
    release = threading.Event()

    def lookup(name):
        if name.startswith("dead"):
            release.wait(30)
        return ("10.0.0.1",)

    async def ask():
        names = Resolver(lookup)
        dead = [asyncio.ensure_future(names.resolve(f"dead{n}.example", 0.3)) for n in range(256)]
        await asyncio.sleep(0.1)
        first = await names.resolve("live.example", 0.1)
        again = await names.resolve("live.example", 0.1)
        answers = await asyncio.gather(*dead)
        release.set()
        return first, again, answers[0], await names.resolve("live.example", 20)

    first, again, dead, at_last = asyncio.run(ask())

    unasked = Answer(error="this worker has too many names to look up", is_unasked=True)
    assert (first, again) == (unasked, unasked)
    assert dead == Answer(error="the name dead0.example was not resolved within 0.3 s")
    assert at_last == Answer(("10.0.0.1",))


def test_a_name_that_failed_before_has_failed_until_its_turn_comes():
    clock, release = [0.0], threading.Event()

    def lookup(_name):
        if clock[0] < 10:
            clock[0] += 1.5  # a lookup that takes long
            raise OSError(-3, "Temporary failure in name resolution")
        release.wait(30)
        return ("10.0.0.1",)

    async def ask():
        names = Resolver(lookup, clock=lambda: clock[0])
        first = await names.resolve("dead.example")
        others = [f"slow{n}.example" for n in range(SLOW_THREADS)]
        for name in others:
            clock[0] = 0.0
            await names.resolve(name)
        clock[0] = 20.0
        held = [asyncio.ensure_future(names.resolve(name, 0.3)) for name in others]
        await asyncio.sleep(0.1)
        again = await names.resolve("dead.example", 0.1)
        release.set()
        await asyncio.gather(*held)
        return first, again

    first, again = asyncio.run(ask())

    assert first.error == (
        "the name dead.example was not resolved: Temporary failure in name resolution"
    )
    assert again == first


def test_each_name_is_looked_up_in_its_turn():
    """The newest first, and the same few of many dead names would be asked over and over."""
    begun, is_held = [], threading.Event()

    def job(number):
        is_held.wait(60)
        begun.append(number)

    lane = Lane(1)
    for number in range(4):
        lane.submit(lambda number=number: job(number))
    is_held.set()
    deadline = time.monotonic() + 60
    while len(begun) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)

    assert begun == [0, 1, 2, 3]
