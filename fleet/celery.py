"""The Celery application and the beat timetable."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.beat import PersistentScheduler
from celery.schedules import crontab
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.settings")


class Timetable(PersistentScheduler):
    """Celery's own timetable, which goes on where the clock was set back, instead of waiting for it.

    It remembers when each task was sent last: without this, and after a restart too, nothing would
    be sent for as long as the clock had been ahead.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send one task that is due, if any; returns the seconds until the next is."""
        now = self.app.now()
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at > now]
        for entry in ahead:
            entry.last_run_at = now
        if ahead:
            self._heap = None  # of instants by the former clock; it is made anew
        wait_s: float = super().tick(*args, **kwargs)
        return wait_s


app = Celery("pairkeeper")
app.conf.update(
    broker_url=settings.BROKER_URL,
    beat_scheduler=Timetable,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # a broker may be away for hours: wait for it
    broker_transport_options={
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "retry_on_timeout": True,
        "client_name": "pairkeeper",
    },
    task_ignore_result=True,
    task_default_queue="control",
    task_serializer="json",
    accept_content=["json"],
    enable_utc=True,
    timezone="UTC",
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    # Messages that nobody wants any more expire: beat does not pile up work while no worker runs.
    # Few, for each costs as much CPU as ten visits: what has work now and then is woken by another.
    beat_schedule={
        "dispatch": {
            "task": "fleet.inspections.tasks.dispatch",
            "schedule": 2.0,
            "options": {"expires": 4},
        },
        "watch-unverified": {
            "task": "fleet.inspections.tasks.watch_unverified",
            "schedule": 20.0,
            "options": {"expires": 20},
        },
        "watch-portal": {
            "task": "fleet.portal.tasks.watch_portal",
            "schedule": 30.0,
            "options": {"expires": 30},
        },
        # The last run before midnight is the day's.
        "watch-standing": {
            "task": "fleet.inspections.tasks.watch_standing",
            "schedule": crontab(minute="*/5"),
            "options": {"expires": 240},
        },
        "watch-findings": {
            "task": "fleet.inspections.tasks.watch_findings",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "tell": {
            "task": "fleet.alerts.tasks.tell",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        # "tell" asks for it as soon as a mail is due; this shows that somebody still would send.
        "send-mails": {
            "task": "fleet.alerts.tasks.send_mails",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "keep-reminding": {
            "task": "fleet.alerts.tasks.keep_reminding",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "trim-mails": {
            "task": "fleet.alerts.tasks.trim_mails",
            "schedule": crontab(minute="40"),
            "options": {"expires": 3000},
        },
        "keep-backups": {
            "task": "fleet.backups.tasks.keep_backups",
            "schedule": crontab(minute="40"),
            "options": {"expires": 3000},
        },
        # An hour settles for five minutes; the later runs make good what the first could not.
        "roll-hours": {
            "task": "fleet.history.tasks.roll_hours",
            "schedule": crontab(minute="6-59/10"),
            "options": {"expires": 540},
        },
        # Hourly, so that a machine that sleeps at night has its partitions too.
        "keep-history": {
            "task": "fleet.history.tasks.keep_history",
            "schedule": crontab(minute="20"),
            "options": {"expires": 3000},
        },
    },
)
# Celery closes the database's connections after every task unless told how many it may do.
app.conf.CELERY_DB_REUSE_MAX = 1_000_000_000
app.autodiscover_tasks()
