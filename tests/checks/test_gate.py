"""Passes among those that exchange data."""

import asyncio
import time

import pytest

from checks.gate import Gate


def test_no_more_inside_than_the_limit():
    async def visits():
        gate, most = Gate(4), 0

        async def visit():
            nonlocal most
            token = await gate.enter()
            most = max(most, gate.inside_count)
            await asyncio.sleep(0)
            gate.leave(token)

        await asyncio.gather(*(visit() for _ in range(50)))
        return most, gate.inside_count

    assert asyncio.run(visits()) == (4, 0)


def test_a_stalled_pass_lapses_so_that_a_live_target_gets_in():
    async def visits():
        gate = Gate(2, patience_s=0.05)
        hung = [await gate.enter() for _ in range(2)]
        started_at = time.monotonic()
        live = await gate.enter()
        waited_s = time.monotonic() - started_at
        for token in (*hung, live):
            gate.leave(token)
        return waited_s, gate.inside_count

    waited_s, inside_count = asyncio.run(visits())

    assert 0.04 <= waited_s < 10  # a pass that never lapsed would be waited for for ever
    assert inside_count == 0


def test_a_pass_is_kept_while_nobody_waits():
    async def visit():
        gate = Gate(1, patience_s=0.01)
        await gate.enter()
        await asyncio.sleep(0.05)
        return gate.inside_count

    assert asyncio.run(visit()) == 1


def test_giving_up_the_wait_loses_no_pass():
    async def visits():
        gate = Gate(1, patience_s=60)
        token = await gate.enter()
        waiting = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        gate.leave(token)  # the pass is already on its way to the one that gives up
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(10):
            gate.leave(await gate.enter())
        return gate.inside_count

    assert asyncio.run(visits()) == 0
