"""Do visits begin in bursts, and do the stuck hold up nobody?"""

import asyncio

from fleet.inspections.pump import TAIL, Pump


async def settled() -> None:
    """Let all go on that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_jobs_begin_in_order_and_in_bursts():
    begun: list[int] = []
    most = 0

    async def run() -> None:
        nonlocal most
        gate = asyncio.Event()

        async def job(number: int) -> None:
            begun.append(number)
            await gate.wait()

        pump = Pump(job, 10, 60.0)
        pump.add(range(25))
        await settled()
        most = len(begun)
        gate.set()
        await settled()

    asyncio.run(run())

    assert most == 10
    assert begun == list(range(25))


def test_the_next_burst_waits_for_all_but_the_tail():
    async def run() -> list[int]:
        gates = [asyncio.Event() for _ in range(20)]
        begun: list[int] = []

        async def job(number: int) -> None:
            begun.append(number)
            await gates[number].wait()

        pump = Pump(job, 10, 60.0)
        pump.add(range(20))
        counts = []
        for number in range(10 - TAIL):
            await settled()
            counts.append(len(begun))
            gates[number].set()
        await settled()
        counts.append(len(begun))
        await pump.stop()
        return counts

    assert asyncio.run(run()) == [*[10] * (10 - TAIL), 10 + 10 - TAIL]


def test_the_stuck_hold_up_the_next_burst_for_a_moment_only():
    async def run() -> tuple[bool, float]:
        clock = asyncio.get_running_loop()
        done = asyncio.Event()

        async def job(number: int) -> None:
            if number < 10:
                await asyncio.sleep(60)
            done.set()

        pump = Pump(job, 10, 0.05)
        started = clock.time()
        pump.add(range(11))
        await asyncio.wait_for(done.wait(), 30)
        took = clock.time() - started
        await pump.stop()
        return done.is_set(), took

    is_done, took_s = asyncio.run(run())
    assert is_done
    assert 0.04 <= took_s < 10  # they would hold it up for 60


def test_stop_ends_what_is_under_way_and_drops_the_rest():
    begun: list[int] = []

    async def run() -> None:
        async def job(number: int) -> None:
            begun.append(number)
            await asyncio.sleep(60)

        pump = Pump(job, 2, 60.0)
        pump.add(range(5))
        await settled()
        await pump.stop()

    asyncio.run(run())

    assert begun == [0, 1]
