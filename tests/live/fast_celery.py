"""python -m tests.live.fast_celery BEGUN SPEED worker|beat …: Celery itself, on a clock that runs faster.

The timetable holds what tells people, as many times as often. Nothing else is another than in
earnest: fleet.celery, its tasks, its broker.
"""

import sys
import time
from datetime import UTC, datetime

from django.conf import settings
from django.utils import timezone

BEGUN, SPEED = float(sys.argv.pop(1)), float(sys.argv.pop(1))
TOLD_BY = ("tell", "send-mails", "keep-reminding")
# Well below a lease at that pace, as it is in earnest.
EMAIL_TIMEOUT_S = 1.0


def now() -> datetime:
    return datetime.fromtimestamp(BEGUN + (time.time() - BEGUN) * SPEED, UTC)


if __name__ == "__main__":
    timezone.now = now
    from fleet.celery import app

    settings.EMAIL_TIMEOUT = EMAIL_TIMEOUT_S
    kept = {name: app.conf.beat_schedule[name] for name in TOLD_BY}
    for entry in kept.values():
        entry["schedule"] /= SPEED
    app.conf.beat_schedule = kept
    app.start(sys.argv[1:])
