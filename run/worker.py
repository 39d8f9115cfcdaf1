"""python -m run.worker: Celery's own command, whose embedded timetable ends with it."""

import os
from functools import partial

from celery.bin.celery import main as celery_main

from run.launch import die_with_parent


def tie_to(worker_id: int) -> None:
    """Let this process, just forked, end with the worker, which may be killed outright.

    A worker that was killed before the tie is noticed by its number.
    """
    die_with_parent()
    if os.getppid() != worker_id:
        os._exit(1)


def main() -> None:
    """Run Celery on the words of the command line; its timetable (`-B`) is its one fork."""
    os.register_at_fork(after_in_child=partial(tie_to, os.getpid()))
    celery_main()


if __name__ == "__main__":
    main()
