"""Gunicorn's settings, for `make run` and for production alike."""

import gc
import os
from pathlib import Path
from typing import Any

from run.launch import die_with_parent
from run.memory import give_memory_back

wsgi_app = "fleet.wsgi:application"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
# Loading before the fork shares the memory of the loaded code between several workers. Beside one
# alone the master would hold a copy that nobody uses: counting references writes to what is shared.
preload_app = workers > 1
worker_class = "gthread"
threads = 8  # as many database connections: WEB_POOL in fleet/settings.py
timeout = 30
graceful_timeout = 10
# The heartbeat file is touched every second: in memory where that exists, so a slow disk kills no worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
control_socket_disable = True
proc_name = "pairkeeper-web"
chdir = str(Path(__file__).resolve().parent.parent)


def when_ready(_server: Any) -> None:
    """Leave alone what is loaded by now: a full collection in a worker writes to all of it.

    Each worker then has a copy of its own: 20 MB more, some minutes or hours after the start.
    """
    gc.collect()
    gc.freeze()


def post_fork(_server: Any, _worker: Any) -> None:
    """Let a worker end with its master, however that ended."""
    die_with_parent()
    give_memory_back()


def post_worker_init(_worker: Any) -> None:
    """Look for garbage only among what comes from now on: going over all that is loaded takes 50 ms."""
    gc.freeze()
