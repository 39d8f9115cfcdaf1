"""Counters that only grow, until they begin anew; and sums of them by steps of time. Pure."""

from __future__ import annotations

from collections.abc import Mapping

Ring = tuple[tuple[int, int], ...]  # (step number, sum in it), oldest first, without empty steps


def rise(now: int, before: int, *, is_restarted: bool) -> int:
    """Return by how much a counter grew: all of it after a restart, or where it was reset."""
    return now if is_restarted or now < before else now - before


def rises(
    now: Mapping[str, int], before: Mapping[str, int], *, is_restarted: bool
) -> dict[str, int]:
    """Return what grew, by name; a counter that was never counted before began at zero."""
    grown = {
        name: rise(count, before.get(name, 0), is_restarted=is_restarted)
        for name, count in now.items()
    }
    return {name: count for name, count in grown.items() if count}


def add(ring: Ring, at_s: float, count: int, *, step_s: int, keep_s: int) -> Ring:
    """Add a count to the step that at_s lies in, and drop the steps that ended keep_s ago."""
    step = int(at_s) // step_s
    kept = ring
    if ring and ring[0][0] * step_s + step_s <= at_s - keep_s:
        kept = tuple(one for one in ring if one[0] * step_s + step_s > at_s - keep_s)
    if not count:
        return kept
    if kept and kept[-1][0] == step:
        return (*kept[:-1], (step, kept[-1][1] + count))
    return (*kept, (step, count))


def total(ring: Ring, from_step: int, to_step: int) -> int:
    """Sum the steps of from_step <= step <= to_step."""
    return sum([count for step, count in ring if from_step <= step <= to_step])
