"""The maintenance windows: under way, to come and over; cells of the table, and the page of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fleet.findings import maintenance
from fleet.findings.models import MaintenanceWindow
from fleet.people.models import User
from fleet.portal import addresses, figures, marks
from fleet.portal.row_list import RowList
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.registry.models import Target

Scope = MaintenanceWindow.Scope
LIVE, COMING, OVER = "live", "coming", "over"
VIEWS: Final = (
    (LIVE, gettext_lazy("Under way")),
    (COMING, gettext_lazy("To come")),
    (OVER, gettext_lazy("Over")),
)
SHOWN: Final = 100  # pairs of one window, by name


def views(now: datetime) -> dict[str, Q]:
    """Say which windows each view shows."""
    is_over = Q(ended_at__isnull=False) | Q(ends_at__lte=now)
    return {
        LIVE: ~is_over & Q(starts_at__lte=now),
        COMING: ~is_over & Q(starts_at__gt=now),
        OVER: is_over,
    }


def in_view(
    rows: QuerySet[MaintenanceWindow], view: str, now: datetime
) -> QuerySet[MaintenanceWindow]:
    """Keep one view's windows; a view that there is not shows none."""
    wanted = views(now).get(view or LIVE)
    return rows.filter(wanted) if wanted is not None else rows.none()


class WindowList(RowList):
    """One page of windows, with how many pairs each names in one more query."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page."""
        super().get_results(request)
        ids = [window.pk for window in self.result_list]
        named = rows_of(request).of(Target).filter(maintenance_windows__in=ids).order_by()
        counts = dict(named.values_list("maintenance_windows").annotate(count=Count("pk")))
        for window in self.result_list:
            window.pairs_count = counts.get(window.pk, 0)


def chips(request: HttpRequest) -> dict[str, Any]:
    """Give the three views with their counts. One query."""
    wanted = views(timezone.now())
    counts = (
        rows_of(request)
        .of(MaintenanceWindow)
        .aggregate(**{name: Count("pk", filter=condition) for name, condition in wanted.items()})
    )
    current = request.GET.get("view") or LIVE
    return {
        "views": [
            {
                "word": word,
                "count": counts[name],
                "url": addresses.maintenances(name),
                "is_current": name == current,
            }
            for name, word in VIEWS
        ]
    }


def state_of(window: MaintenanceWindow, now: datetime) -> SafeString:
    """Show whether it is under way, to come or over."""
    if window.ended_at and window.ended_at <= window.starts_at:
        return marks.mark("withdrawn", _("Called off"))
    if window.ended_at or window.ends_at <= now:
        return marks.mark("withdrawn", _("Ended early") if window.ended_at else _("Over"))
    if window.starts_at > now:
        return marks.mark("maintenance", _("To come"))
    return marks.silent(window.ends_at)


def scope_words(window: MaintenanceWindow, pairs_count: int) -> str:
    """Say whose mail waits: `3 pairs`, `All pairs`, `rack = 7`."""
    if window.scope == Scope.PAIRS:
        text = ngettext("%(count)s pair", "%(count)s pairs", pairs_count)
        return text % {"count": f"{pairs_count:,}"}
    if window.scope == Scope.LABEL:
        return f"{window.label_name} = {window.label_value}"
    return _("All pairs")


@admin.display(description=gettext_lazy("Holds for"), ordering="scope")
def scope_cell(window: MaintenanceWindow) -> SafeString:
    """Link whose mail waits; the tenant below."""
    return _lines(
        format_html(
            '<a class="pk-name" href="{}">{}</a>',
            addresses.maintenance(window.pk),
            scope_words(window, vars(window)["pairs_count"]),
        ),
        window.tenant or _("every tenant"),
    )


@admin.display(description=gettext_lazy("State"))
def state_cell(window: MaintenanceWindow) -> SafeString:
    """Show how it stands."""
    return state_of(window, vars(window)["now"])


@admin.display(description=gettext_lazy("When"), ordering="starts_at")
def times_cell(window: MaintenanceWindow) -> SafeString:
    """Show from when; until when below."""
    end = min(window.ends_at, window.ended_at or window.ends_at)
    start = figures.time_tag(window.starts_at)
    return _lines(start, format_html("{} {}", _("to"), figures.time_tag(end)))


@admin.display(description=gettext_lazy("Why"))
def why_cell(window: MaintenanceWindow) -> SafeString:
    """Show the reason; who made it below."""
    return _lines(window.reason or _("no reason given"), window.made_by)


def _lines(first: object, second: object) -> SafeString:
    return format_html(
        '<span class="pk-line1">{}</span><span class="pk-line2">{}</span>', first, second
    )


# --- The page of one


def show(request: HttpRequest, window_id: int) -> TemplateResponse:
    """Answer with the page."""
    rows, now = rows_of(request), timezone.now()
    window = rows.get(MaintenanceWindow, "tenant", "made_by", "ended_by", pk=window_id)
    targets = _named(rows, window)
    count = targets.count()
    title = _("Maintenance of %(scope)s") % {"scope": scope_words(window, count)}
    context = {
        "now": now,
        "heading": title,
        "window": window,
        "state": state_of(window, now),
        "targets": list(targets.select_related("tenant").order_by("name")[:SHOWN]),
        "targets_count": count,
        "may_end": rows.may_edit(MaintenanceWindow, window) and not is_over(window, now),
        "is_coming": window.starts_at > now,
        "opts": MaintenanceWindow._meta,
        "original": window,
        "show_back_button": True,
    }
    return page(request, "portal/maintenance/page.html", title, context)


def _named(rows: Rows, window: MaintenanceWindow) -> QuerySet[Target]:
    """Give the targets that it holds for, as far as this person sees them."""
    mine = rows.of(Target).exclude(state=Target.State.ARCHIVED)
    if window.scope == Scope.PAIRS:
        return mine.filter(maintenance_windows=window.pk)
    return of_scope(mine, window.tenant_id, window.label_name, window.label_value)


def of_scope(
    targets: QuerySet[Target], tenant_id: int | None, label_name: str, label_value: str
) -> QuerySet[Target]:
    """Keep the targets of a tenant (None: of any) that have the label, where one is named."""
    if tenant_id is not None:
        targets = targets.filter(tenant=tenant_id)
    return targets.filter(labels__contains={label_name: label_value}) if label_name else targets


def is_over(window: MaintenanceWindow, now: datetime) -> bool:
    """Tell whether it ended, early or by itself."""
    return window.ended_at is not None or window.ends_at <= now


@scoped_view
def end(request: HttpRequest, rows: Rows, window_id: int) -> HttpResponse:
    """End one window early, or call it off, by POST; back to its page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    window = rows.get(MaintenanceWindow, pk=window_id)
    person = request.user
    if not rows.may_edit(MaintenanceWindow, window) or not isinstance(person, User):
        raise PermissionDenied
    if maintenance.end(window.pk, person.pk, timezone.now()):
        messages.success(request, _("Ended: what is different from before is mailed now."))
    else:
        messages.info(request, _("It was over already."))
    return HttpResponseRedirect(addresses.maintenance(window.pk))


ORDER: Final = (F("starts_at").desc(), "-pk")
