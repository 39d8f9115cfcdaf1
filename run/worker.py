"""python -m run.worker: Celery's worker and timetable in one process that gives back freed memory."""

import argparse
import ctypes
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial

from celery import beat
from celery.app.utils import find_app
from celery.bin.base import CLIContext
from celery.bin.beat import beat as beat_command
from celery.bin.worker import worker as worker_command

M_ARENA_MAX = -8  # malloc.h
TRIMMED_EVERY_S = 30.0
LIBC = ctypes.CDLL(None)
# All of Celery's commands would take 12 MB more, for a shell that none of these two has.
COMMANDS = {"worker": worker_command, "beat": beat_command}


def main(arguments: Sequence[str]) -> None:
    """Run one of Celery's commands: `-A APPLICATION COMMAND`, and then its own words.

    Its embedded timetable (`-B`) is a thread: as a process of its own, Celery's default, it would
    hold the whole program a second time, 74 MB.
    """
    options = parse(arguments)
    beat.EmbeddedService = partial(beat.EmbeddedService, thread=True)
    if hasattr(LIBC, "malloc_trim"):
        give_memory_back()
    context = CLIContext(app=find_app(options.app), no_color=None, workdir=None)
    COMMANDS[options.command].main(options.words, f"celery {options.command}", obj=context)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line up to the command's own words."""
    parser = argparse.ArgumentParser(prog="python -m run.worker", description=__doc__)
    parser.add_argument("-A", "--app", required=True, help="the application: fleet.celery")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="see `worker --help`")
    return parser.parse_args(arguments)


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
    main(sys.argv[1:])
