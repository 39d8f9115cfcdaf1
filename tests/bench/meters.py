"""How much memory processes hold: each one's own, and its share of what several hold together."""

import re
from pathlib import Path

from tests.bench.stage import children


def pss_mb(pid: int) -> float:
    """Sum the memory of a process and all below it, what they share counted once (MB)."""
    return own_pss_mb(pid) + sum(pss_mb(child) for child in children(pid))


def own_pss_mb(pid: int) -> float:
    """Read the proportional share of one process, in MB; one that has just ended has none."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
