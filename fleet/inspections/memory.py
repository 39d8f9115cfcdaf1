"""What a pair's visits remember for the next: read with its claim, written when it changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from checks.codec import CodecError, decode, encode
from checks.look import Memory
from fleet.registry.arrays import rows_of, run

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was remembered before this visit, and when a loss of data was last accepted (Unix time)."""

    memory: Memory | None = None
    acknowledged_at_s: float = 0.0


NOTHING_KEPT: Final = Kept()

READ: Final = """
SELECT target_id, memory::text, extract(epoch FROM acknowledged_at)::float8
FROM inspections_pairmemory WHERE target_id = ANY(%b::int8[])
"""
WRITE: Final = """
INSERT INTO inspections_pairmemory (target_id, memory)
SELECT target_id, memory::jsonb FROM unnest(%b::int8[], %b::text[]) AS v(target_id, memory)
ON CONFLICT (target_id) DO UPDATE SET memory = excluded.memory
"""


def kept(target_ids: Sequence[int]) -> dict[int, Kept]:
    """Read what these pairs remember, in one query; a pair without a visit is not in it."""
    rows = rows_of(READ, [list(target_ids)])
    return {
        target_id: Kept(_memory(target_id, text), acknowledged_at_s or 0.0)
        for target_id, text, acknowledged_at_s in rows
    }


def keep(visits: Iterable[tuple[int, Kept, Memory]]) -> int:
    """Write the memories that changed, within the caller's transaction; returns how many did.

    Most visits change none: the write-ahead log is spared a row.
    """
    changed = {
        target_id: json.dumps(encode(memory))
        for target_id, before, memory in visits
        if memory is not before.memory and memory != before.memory
    }
    return run(WRITE, [list(changed), list(changed.values())]) if changed else 0


# By pair: the hash of the text last read, and what it says. Decoding it costs 25 µs, and most visits
# find what the one before found.
MOST_DECODED: Final = 20_000
_decoded: Final[dict[int, tuple[int, Memory]]] = {}


def _memory(target_id: int, text: str) -> Memory | None:
    """Read one memory; what a later version wrote and this one cannot read is begun anew."""
    if text == "{}":
        return None
    last = _decoded.get(target_id)
    if last and last[0] == hash(text):
        return last[1]
    try:
        memory = decode(Memory, json.loads(text))
    except CodecError as error:
        logger.warning("memory begun anew pair=%s: %s", target_id, error)
        return None
    if len(_decoded) >= MOST_DECODED:
        _decoded.clear()
    _decoded[target_id] = hash(text), memory
    return memory
