"""A page of a list: its rows' ids first, from narrow rows, and only then the rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils import timezone
from unfold.views import ChangeList

from fleet.portal.scoped_admin import ScopedAdmin


class RowList(ChangeList):  # type: ignore[misc]  # Unfold has no types
    """Sorts and cuts ids alone: ten thousand rows with all their joined columns take three times as long."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        """Read the page; `now` is one instant for all ages."""
        super().get_results(request)
        self.full_result_count = self.result_count
        ids = self._ids()
        found = self.apply_select_related(self.root_queryset.order_by())
        also = self.model_admin.list_prefetch_related
        rows = found.prefetch_related(*also).in_bulk(ids)
        now = timezone.now()
        for row in rows.values():
            row.now = now
        self.result_list = [rows[pk] for pk in ids if pk in rows]

    def _ids(self) -> list[Any]:
        if isinstance(self.paginator, SearchedPaginator):
            return self.paginator.ids(self.page_num)
        return list(self.result_list.values_list("pk", flat=True))


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts to 10,000 and no further: nobody turns 200 pages, and to count on takes longer than a page."""

    most: ClassVar[int] = 10_000

    @cached_property
    def count(self) -> int:
        """The rows there are, or 10,000 where there are more."""
        return min(self._counted, self.most)

    @property
    def is_cut(self) -> bool:
        """Tell whether there are rows beyond the last page."""
        return self._counted > self.most

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: self.most + 1].count())


class SearchedPaginator(CappedPaginator):
    """Reads the ids that it counts, in their order: a search looks at every row, so once and not twice."""

    def ids(self, number: int) -> list[Any]:
        """Give the ids of one page."""
        first = (number - 1) * self.per_page
        return self._found[first : min(first + self.per_page, self.most)]

    @cached_property
    def _found(self) -> list[Any]:
        rows: Any = self.object_list
        return list(rows.values_list("pk", flat=True)[: self.most + 1])

    @cached_property
    def _counted(self) -> int:
        return len(self._found)


class PastPaginator(SearchedPaginator):
    """Ends at 2,000: a word that many past rows have is looked for from the newest on, and not in all.

    Who wants an older one adds a word; then all are looked at, whatever their age.
    """

    most = 2000


class RowListAdmin(ScopedAdmin):
    """Base of the admin classes whose list is a RowList, with chips above it."""

    row_list: ClassVar[type[RowList]] = RowList
    list_title: Any
    list_prefetch_related: ClassVar[tuple[str, ...]] = ()
    none_yet: Any  # "No pair yet."
    none_matches: Any  # "No pair matches."
    change_list_template = "portal/pairs/list.html"
    list_fullwidth = True
    list_display_links: ClassVar[tuple[str, ...] | None] = None
    show_facets = admin.ShowFacets.NEVER  # the filters carry their counts already
    # The page of one row where that is no form, as staticmethod(show): (request, id) to an answer.
    row_page: Any = None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RowList]:
        """Use the list that sorts ids alone."""
        return self.row_list

    def nothing(self, cl: ChangeList) -> Any:
        """Say that there is no row at all; "" where something narrows the list."""
        return "" if cl.query or cl.has_active_filters else self.none_yet

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Give what stands above the list."""
        return {}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list under its own title."""
        values = {"title": self.list_title, **self.above(request), **(extra_context or {})}
        answer: HttpResponse = super().changelist_view(request, values)
        return answer

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the row's own page, or else its form."""
        answer: HttpResponse
        if self.row_page is None:
            answer = super().change_view(request, object_id, form_url, extra_context)
        elif request.method not in ("GET", "HEAD"):
            answer = HttpResponseNotAllowed(["GET", "HEAD"])
        else:
            answer = self.row_page(request, int(object_id) if object_id.isdecimal() else 0)
        return answer
