"""python -m run.worker: Celery's own command, whose embedded timetable ends with it."""

from typing import Any

from celery.bin.celery import main as celery_main
from celery.signals import beat_embedded_init

from run.launch import die_with_parent


def tie_to_worker(**_signal: Any) -> None:
    """Let the process of the timetable (`-B`) end with the worker, which may be killed outright."""
    die_with_parent()


def main() -> None:
    """Run Celery on the words of the command line."""
    beat_embedded_init.connect(tie_to_worker)
    celery_main()


if __name__ == "__main__":
    main()
