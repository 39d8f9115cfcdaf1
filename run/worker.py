"""python -m run.worker: Celery's own command, in one process that gives back the memory it has freed."""

import ctypes
import threading
import time
from functools import partial

from celery import beat
from celery.bin.celery import main as celery_main

M_ARENA_MAX = -8  # malloc.h
TRIMMED_EVERY_S = 30.0
LIBC = ctypes.CDLL(None)


def main() -> None:
    """Run Celery on the words of the command line.

    Its embedded timetable (`-B`) is a thread: as a process of its own, Celery's default, it would
    hold the whole program a second time, 74 MB.
    """
    beat.EmbeddedService = partial(beat.EmbeddedService, thread=True)
    if hasattr(LIBC, "malloc_trim"):
        give_memory_back()
    celery_main()


def give_memory_back() -> None:
    """Let threads share two of malloc's arenas, and return what is free in them every 30 s.

    With an arena for each thread, what one has freed is lost to the others; and what a burst of
    visits took, 100 MB of 400, would be held for good.
    """
    LIBC.mallopt(M_ARENA_MAX, 2)
    threading.Thread(target=_keep_trimming, name="trim", daemon=True).start()


def _keep_trimming() -> None:
    while True:
        time.sleep(TRIMMED_EVERY_S)
        LIBC.malloc_trim(0)


if __name__ == "__main__":
    main()
