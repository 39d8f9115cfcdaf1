"""The tenant list: each with its score and coverage, in one query."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, Count, F, FloatField, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from fleet.portal import addresses, figures
from fleet.portal.scoped_admin import Rows
from fleet.portal.scores import only_by_waiver, summed
from fleet.registry.models import Target, Tenant

LIVE = ~Q(targets__state=Target.State.ARCHIVED)


def scored(rows: Rows) -> QuerySet[Any]:
    """Annotate each tenant with its pairs, how many comply, and its rules' coverage."""
    compliant = LIVE & Q(targets__pair_state__compliance="compliant")
    state = "targets__pair_state"
    found = rows.of(Tenant).annotate(
        pairs_count=Count("targets", filter=LIVE),
        compliant_count=Count("targets", filter=compliant),
        raw_count=Count("targets", filter=compliant & ~Q(targets__in=only_by_waiver(rows))),
        non_compliant_count=Count(
            "targets", filter=LIVE & Q(**{f"{state}__compliance": "non_compliant"})
        ),
        conclusive=summed(f"{state}__conclusive_counts", LIVE),
        applicable=summed(f"{state}__applicable_counts", LIVE),
    )
    share = F("compliant_count") * 1.0 / F("pairs_count")
    return found.annotate(
        # A tenant without pairs has nothing to be worse than: it stands last.
        share=Case(When(pairs_count=0, then=Value(2.0)), default=share, output_field=FloatField())
    )


def pairs(tenant: Tenant) -> SafeString:
    """Show the number of pairs, as a link to them."""
    count: int = vars(tenant)["pairs_count"]  # annotated above
    url = addresses.pairs(tenant=tenant.pk)
    return format_html('<a class="pk-link" href="{}">{}</a>', url, f"{count:,}")


def compliant(tenant: Tenant) -> SafeString:
    """Show the compliant share, and how many pairs are non-compliant."""
    counts = vars(tenant)
    if not counts["pairs_count"]:
        return format_html('<span class="pk-quiet">{}</span>', _("no pairs"))
    share = figures.share(counts["compliant_count"], counts["pairs_count"])
    if counts["raw_count"] != counts["compliant_count"]:
        raw = figures.share(counts["raw_count"], counts["pairs_count"])
        share = _("%(share)s with waivers, %(raw)s without") % {"share": share, "raw": raw}
    if not counts["non_compliant_count"]:
        return format_html("<b>{}</b>", share)
    return format_html(
        '<b>{}</b> <a class="pk-quiet pk-small" href="{}">{} {}</a>',
        share,
        addresses.pairs(tenant=tenant.pk, compliance="non_compliant"),
        f"{counts['non_compliant_count']:,}",
        _("non-compliant"),
    )


def trends(tenant: Tenant) -> SafeString:
    """Lead to how the tenant stood over time."""
    url = f"{reverse('portal:over_time')}?tenant={tenant.pk}"
    return format_html('<a class="pk-link" href="{}">{}</a>', url, _("Over time"))


def coverage(tenant: Tenant) -> SafeString | str:
    """Show the share of rules that could be judged."""
    counts = vars(tenant)
    if not counts["pairs_count"]:
        return format_html('<span class="pk-quiet">{}</span>', _("no pairs"))
    if not counts["applicable"]:
        return format_html('<span class="pk-doubt">{}</span>', _("not read"))
    return figures.share(counts["conclusive"], counts["applicable"])
