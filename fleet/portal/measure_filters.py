"""The pair list narrowed to one bar of a distribution: a link from the page Spread leads here."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fleet.portal import measures
from fleet.portal.filters import Choices, SelectFilter


class MeasureFilter(SelectFilter):
    """Pairs whose measure lies from one edge to below the next, `1-2`; anything else finds nothing."""

    measure: ClassVar[measures.Measure]

    def has_output(self) -> bool:
        """Show it only where a link narrowed to one."""
        return bool(self.value())

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        """Name the one that is chosen."""
        value = self.used_parameters.get(self.parameter_name)
        if not value:
            return []
        try:
            return [(value, measures.bucket_words(self.measure, *measures.parsed(value)))]
        except ValueError:
            return [(value, value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the pairs of the bucket."""
        value = self.value()
        if not value:
            return queryset
        try:
            low, high = measures.parsed(value)
        except ValueError:
            return queryset.none()
        number = measures.number(self.measure, timezone.now(), "target__pair_state__")
        found: QuerySet[Any] = queryset.annotate(measured=number)
        return found.filter(measures.within("measured", low, high))


class RttFilter(MeasureFilter):
    """RTT in ms, of pairs whose RTT is judged."""

    title = _("RTT")
    parameter_name = "rtt"
    measure = measures.BY_NAME["rtt"]


class MemoryFilter(MeasureFilter):
    """Used memory in percent of the ceiling."""

    title = _("memory")
    parameter_name = "memory"
    measure = measures.BY_NAME["memory"]


class SnapshotFilter(MeasureFilter):
    """Age of the last snapshot in seconds."""

    title = _("age of the last snapshot")
    parameter_name = "snapshot"
    measure = measures.BY_NAME["snapshot"]
