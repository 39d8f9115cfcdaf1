"""What a column is sorted by: as it is shown, and what is not known last, whichever way."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, F, Q, When
from django.db.models.expressions import OrderBy


class Known(Case):
    """A column's values where a condition holds, least first; the others are not known."""

    def __init__(self, column: str, where: Q | None = None) -> None:
        super().__init__(When(where or Q((f"{column}__isnull", False)), then=F(column)))

    def asc(self, **_options: Any) -> OrderBy:
        """Begin with the least."""
        return super().asc(nulls_last=True)

    def desc(self, **_options: Any) -> OrderBy:
        """Begin with the largest."""
        return super().desc(nulls_last=True)


class Age(Known):
    """Instants that are shown as ages: the youngest is the least."""

    def asc(self, **_options: Any) -> OrderBy:
        """Begin with the youngest."""
        return super().desc()

    def desc(self, **_options: Any) -> OrderBy:
        """Begin with the oldest."""
        return super().asc()
