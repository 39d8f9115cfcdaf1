"""A replica of the database, where a web process has one: charts are read from it, nothing else is."""

from __future__ import annotations

from typing import Any

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from fleet.history.models import Visit


class ChartsFromReplica:
    """Django's choice of a database, for settings.DATABASE_ROUTERS: history is read from the replica.

    It is some moments behind, which a chart can bear; lists and what a person just saved can not.
    """

    def db_for_read(self, model: type[Model], **_hints: Any) -> str:
        """Read history from the replica."""
        return "replica" if model._meta.app_label == Visit._meta.app_label else "default"

    def db_for_write(self, _model: type[Model], **_hints: Any) -> str:
        """Write where it may be written."""
        return "default"

    def allow_relation(self, _one: Model, _other: Model, **_hints: Any) -> bool:
        """Let rows refer to each other: both databases are the same one."""
        return True


def reader() -> BaseDatabaseWrapper:
    """Give the connection that history is read by."""
    return connections[router.db_for_read(Visit)]
