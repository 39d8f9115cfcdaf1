"""Give back the memory that a process has freed: glibc's own settings, nothing elsewhere."""

import ctypes
import threading
import time

M_ARENA_MAX = -8  # malloc.h
TRIMMED_EVERY_S = 10.0
LIBC = ctypes.CDLL(None)


def give_memory_back() -> None:
    """Let threads share two of malloc's arenas, and return what is free in them every 10 s.

    With an arena for each thread, what one has freed is lost to the others; and what a burst of
    visits took, 100 MB of 400, would be held for good.
    """
    if hasattr(LIBC, "malloc_trim"):
        LIBC.mallopt(M_ARENA_MAX, 2)
        threading.Thread(target=_keep_trimming, name="trim", daemon=True).start()


def _keep_trimming() -> None:
    """Sleep and trim for as long as the process lives: it waits for no daemon thread when it ends."""
    while True:
        time.sleep(TRIMMED_EVERY_S)
        LIBC.malloc_trim(0)
