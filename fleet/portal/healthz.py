"""Is the portal well? One answer for a monitor that has no account: 200 or 503, and no detail."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Any, Final

import psycopg
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fleet.portal.lag import read_lag

# However many ask, the database is asked this often; each may take this long.
KEPT_S: Final = 5.0
PATIENCE_S: Final = 2
INTERVALS: Final = "SELECT intervals FROM registry_fleetsettings"


class _Answer:
    """The last answer and its age."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.complaints: list[str] = []
        self.read_at = float("-inf")


_answer: Final = _Answer()


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 "ok", or 503 with what is wrong in two words a line."""
    complaints = _complaints(timezone.now())
    status = 503 if complaints else 200
    return HttpResponse("\n".join(complaints or ["ok"]) + "\n", "text/plain", status)


def _complaints(now: datetime) -> list[str]:
    with _answer.lock:
        if time.monotonic() - _answer.read_at > KEPT_S:
            _answer.complaints = look(now)
            _answer.read_at = time.monotonic()
        return _answer.complaints


def look(now: datetime) -> list[str]:
    """Ask the database on a connection of our own: the pool's would wait for a lost server."""
    params: dict[str, Any] = dict(connection.get_connection_params())
    for name in ("cursor_factory", "context", "pool"):
        params.pop(name, None)
    params |= {
        "connect_timeout": PATIENCE_S,
        "options": f"-c statement_timeout={PATIENCE_S * 1000}",
    }
    try:
        with psycopg.connect(**params) as own, own.cursor() as cursor:
            cursor.execute(
                "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"
            )
            if cursor.fetchone() == (True,):
                return ["database not writable"]
            cursor.execute(INTERVALS)
            row = cursor.fetchone()
            return read_lag(cursor, row[0] if row else {}, now).complaints(now)
    except psycopg.Error:
        return ["database away"]
