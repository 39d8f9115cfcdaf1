"""Querysets by the tenants one may see: the only place that narrows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Scope:
    """The tenants of one person; None = every tenant (operators, auditors, commands)."""

    tenant_ids: frozenset[int] | None

    def narrow(self, rows: QuerySet[M], path: str) -> QuerySet[M]:
        """Keep the rows whose tenant, reached by `path` ("tenant", "target__tenant", "pk"), is in scope."""
        if self.tenant_ids is None:
            return rows
        return rows.filter(**{f"{path}__in": self.tenant_ids})


EVERYTHING = Scope(None)
