"""python -m run.worker: Celery's worker and timetable in one process that gives back freed memory."""

import ctypes
import threading
import time
from functools import partial

import click
from celery import beat
from celery.app.utils import find_app
from celery.bin.base import CLIContext
from celery.bin.beat import beat as beat_command
from celery.bin.worker import worker as worker_command

M_ARENA_MAX = -8  # malloc.h
TRIMMED_EVERY_S = 30.0
LIBC = ctypes.CDLL(None)


@click.group()
@click.option("-A", "--app", required=True, help="Where the Celery application is: fleet.celery.")
@click.pass_context
def celery(context: click.Context, app: str) -> None:
    """Run Celery's own commands, the two that we need: all of them would take 12 MB more, for a shell."""
    context.obj = CLIContext(app=find_app(app), no_color=None, workdir=None)


celery.add_command(worker_command)
celery.add_command(beat_command)


def main() -> None:
    """Run Celery on the words of the command line.

    Its embedded timetable (`-B`) is a thread: as a process of its own, Celery's default, it would
    hold the whole program a second time, 74 MB.
    """
    beat.EmbeddedService = partial(beat.EmbeddedService, thread=True)
    if hasattr(LIBC, "malloc_trim"):
        give_memory_back()
    celery()


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
