"""The Celery application and the beat timetable."""

from __future__ import annotations

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.settings")

app = Celery("pairkeeper")
app.conf.update(
    broker_url=settings.BROKER_URL,
    task_ignore_result=True,
    task_default_queue="control",
    task_serializer="json",
    accept_content=["json"],
    enable_utc=True,
    timezone="UTC",
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    beat_schedule={},
)
app.autodiscover_tasks()
