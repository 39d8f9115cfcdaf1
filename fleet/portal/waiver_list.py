"""The waivers: four views, and the cells of the table."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fleet.findings.cover import WAIVED
from fleet.findings.models import Finding, Waiver
from fleet.findings.waivers import live
from fleet.portal import addresses, facets, figures, marks
from fleet.portal.fails import title_of
from fleet.portal.row_list import RowList
from fleet.portal.scoped_admin import rows_of
from fleet.portal.waivers_ending import SOON

LIVE, WAITING, ENDING, ENDED = "live", "waiting", "ending", "ended"
VIEWS: Final = (
    (LIVE, gettext_lazy("In force")),
    (ENDING, gettext_lazy("Ending within 7 days")),
    (WAITING, gettext_lazy("Waiting for approval")),
    (ENDED, gettext_lazy("Ended")),
)


def views(now: datetime) -> dict[str, Q]:
    """Say which waivers each view shows."""
    waiting = Q(approved_at=None, ended_at=None, expires_at__gt=now)
    return {
        LIVE: live(now),
        ENDING: live(now) & Q(expires_at__lte=now + SOON),
        WAITING: waiting,
        ENDED: ~live(now) & ~waiting,
    }


def in_view(rows: QuerySet[Waiver], view: str, now: datetime) -> QuerySet[Waiver]:
    """Keep one view's waivers; a view that there is not shows none."""
    wanted = views(now).get(view or LIVE)
    return rows.filter(wanted) if wanted is not None else rows.none()


class WaiverList(RowList):
    """One page of waivers, with what each covers now in one more query."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page."""
        super().get_results(request)
        ids = [waiver.pk for waiver in self.result_list]
        counts = covered(rows_of(request).of(Finding), ids)
        for waiver in self.result_list:
            waiver.covered_count = counts.get(waiver.pk, 0)


def covered(findings: QuerySet[Finding], waiver_ids: list[int]) -> dict[int, int]:
    """Count the open findings that each of these waivers covers."""
    found = findings.filter(WAIVED, waiver__in=waiver_ids).order_by().values_list("waiver")
    return dict(found.annotate(count=Count("pk")))


def chips(request: HttpRequest) -> dict[str, Any]:
    """Give the four views with their counts. One query."""
    wanted = views(timezone.now())
    counts = (
        rows_of(request)
        .of(Waiver)
        .aggregate(**{name: Count("pk", filter=condition) for name, condition in wanted.items()})
    )
    current = request.GET.get("view") or LIVE
    return {
        "views": [
            {
                "word": word,
                "count": counts[name],
                "url": addresses.waivers(name),
                "is_current": name == current,
            }
            for name, word in VIEWS
        ]
    }


def _lines(first: object, second: object = "") -> SafeString:
    return format_html(
        '<span class="pk-line1">{}</span><span class="pk-line2">{}</span>', first, second
    )


def state_of(waiver: Waiver, now: datetime) -> SafeString:
    """Show how a waiver stands: in force until, waiting, or how it ended."""
    if waiver.ended_at:
        return marks.mark("withdrawn", waiver.get_end_display())
    if waiver.expires_at <= now:
        return marks.mark("withdrawn", _("Expired"))
    if waiver.approved_at is None:
        return marks.mark("pending", _("Waits for approval"))
    return marks.waived(waiver.severity, waiver.expires_at)


@admin.display(description=gettext_lazy("Waived"), ordering="rule_id")
def rule_cell(waiver: Waiver) -> SafeString:
    """Link the rule's title to the waiver; its id below."""
    link = format_html(
        '<a class="pk-name" href="{}">{}</a>',
        addresses.waiver(waiver.pk),
        title_of(waiver.rule_id),
    )
    return _lines(link, format_html('<span class="pk-mono">{}</span>', waiver.rule_id))


@admin.display(description=gettext_lazy("Holds for"), ordering="tenant__name")
def scope_cell(waiver: Waiver) -> SafeString:
    """Say whose findings it covers."""
    if waiver.target is None:
        url = addresses.pairs(tenant=waiver.tenant_id)
        return _lines(format_html('<a href="{}">{}</a>', url, waiver.tenant), _("all its pairs"))
    link = format_html('<a href="{}">{}</a>', addresses.pair(waiver.target.pk), waiver.target)
    return _lines(link, waiver.tenant)


@admin.display(description=gettext_lazy("Covers"))
def covers_cell(waiver: Waiver) -> SafeString:
    """Count the findings that it covers now; how far it reaches below."""
    return _lines(covers_now(waiver, vars(waiver)["covered_count"]), reach(waiver))


def covers_now(waiver: Waiver, count: int) -> SafeString | str:
    """Count the findings that it covers now, as a link to them."""
    if not count:
        return _("nothing now")
    text = ngettext("%(count)s finding", "%(count)s findings", count) % {"count": f"{count:,}"}
    url = addresses.findings(state=facets.WAIVED, waiver=waiver.pk)
    return format_html('<a href="{}">{}</a>', url, text)


def reach(waiver: Waiver) -> str:
    """Say how bad a finding may be."""
    is_critical = waiver.severity == Finding.Severity.CRITICAL
    return _("criticals too") if is_critical else _("warnings only")


@admin.display(description=gettext_lazy("Why"), ordering="kind")
def why_cell(waiver: Waiver) -> SafeString:
    """Show the kind; the reason below."""
    reason = format_html('<span title="{0}">{0}</span>', waiver.reason)
    return _lines(waiver.get_kind_display(), reason)


@admin.display(description=gettext_lazy("Asked by"), ordering="requested_by")
def who_cell(waiver: Waiver) -> SafeString:
    """Say who asked and who approved."""
    if waiver.approved_by is None:
        return _lines(waiver.requested_by, _("not approved"))
    if waiver.approved_by_id == waiver.requested_by_id:
        return _lines(waiver.requested_by, _("needed nobody else"))
    return _lines(waiver.requested_by, _("approved by %s") % waiver.approved_by)


@admin.display(description=gettext_lazy("Until"), ordering="expires_at")
def until_cell(waiver: Waiver) -> SafeString:
    """Show how it stands; the instant it ends or ended below."""
    state = state_of(waiver, vars(waiver)["now"])
    at = waiver.ended_at or waiver.expires_at
    return _lines(state, figures.time_tag(at))
