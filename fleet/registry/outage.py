"""A database that is away: a task says so in one line, and its next turn does the work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import InterfaceError, OperationalError, close_old_connections

logger = logging.getLogger(__name__)
# Lost or never reached; a statement that the database refuses is a fault of ours, and raised.
AWAY: Final = (OperationalError, InterfaceError)


@contextmanager
def database_may_fail(what: str) -> Iterator[None]:
    """End quietly, with one line, when the database is away: nothing is lost, the next turn does it."""
    close_old_connections()
    try:
        yield
    except AWAY as error:
        line = str(error).strip().split("\n", 1)[0]
        logger.error("%s not done, database away: %s", what, line)  # noqa: TRY400  no traceback wanted
