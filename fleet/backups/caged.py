"""Start a program that ends with its parent, within limits, and is the first to go when memory is short.

Runs between fork and the program itself: `python caged.py PARENT MEMORY_BYTES CPU_S program …`.
A small program of its own, because code that runs after a fork in a process with threads can deadlock.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38
# It writes nothing but its log: no dump, no append-only file.
MOST_FILE_BYTES: Final = 1024 * 1024
NICENESS: Final = 10


def caged(argv: Sequence[str], memory_bytes: int, cpu_s: int) -> list[str]:
    """Give the command that runs argv as our child under these limits.

    The thread that starts it must outlive it: its end is what the kernel tells the program of.
    """
    words = [str(os.getpid()), str(memory_bytes), str(cpu_s)]
    return [sys.executable, "-I", "-S", __file__, *words, *argv]


def main(arguments: Sequence[str]) -> None:
    """Take the limits, tie ourselves to the parent, turn into the program."""
    parent_id, memory_bytes, cpu_s, *argv = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0):
        sys.exit("the kernel does not tell of a parent's end")
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != int(parent_id):
        sys.exit("the parent ended before its child began")
    limit(resource.RLIMIT_AS, int(memory_bytes))
    limit(resource.RLIMIT_CPU, int(cpu_s))
    limit(resource.RLIMIT_FSIZE, MOST_FILE_BYTES)
    limit(resource.RLIMIT_CORE, 0)
    Path("/proc/self/oom_score_adj").write_text("1000")
    os.nice(NICENESS)
    os.execv(argv[0], argv)


def limit(what: int, most: int) -> None:
    """Set a limit that cannot be raised again; a lower one that is there stays."""
    _soft, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    main(sys.argv[1:])
