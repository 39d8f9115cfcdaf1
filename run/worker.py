"""python -m run.worker: Celery's worker and timetable in one process that gives back freed memory."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

from celery import beat
from celery.app.utils import find_app
from celery.bin.base import CLIContext
from celery.bin.beat import beat as beat_command
from celery.bin.worker import worker as worker_command

from run.memory import give_memory_back

# All of Celery's commands would take 12 MB more, for a shell that none of these two has.
COMMANDS = {"worker": worker_command, "beat": beat_command}
# A visit waits 2 s for a name; libc would hold a thread for 10 s over one that nobody answers for,
# and thousands of these would keep the others from their turn. See resolv.conf(5).
RESOLVING = "timeout:1 attempts:2"


def main(arguments: Sequence[str]) -> None:
    """Run one of Celery's commands: `-A APPLICATION COMMAND`, and then its own words.

    Its embedded timetable (`-B`) is a thread: as a process of its own, Celery's default, it would
    hold the whole program a second time, 74 MB.
    """
    options = parse(arguments)
    beat.EmbeddedService = partial(beat.EmbeddedService, thread=True)
    give_memory_back()
    os.environ.setdefault("RES_OPTIONS", RESOLVING)
    context = CLIContext(app=find_app(options.app), no_color=None, workdir=None)
    COMMANDS[options.command].main(options.words, f"celery {options.command}", obj=context)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line up to the command's own words."""
    parser = argparse.ArgumentParser(prog="python -m run.worker", description=__doc__)
    parser.add_argument("-A", "--app", required=True, help="the application: fleet.celery")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="see `worker --help`")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
