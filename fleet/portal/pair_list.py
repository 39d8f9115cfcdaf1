"""The pair list: a page of pairs with what is wrong on each, and its cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checks.facts import ENGINE_LABELS, Engine
from checks.render import GIB, THIN, milliseconds, percent, size
from fleet.findings.cover import COUNTED
from fleet.findings.maintenance import over
from fleet.findings.models import Finding
from fleet.inspections.models import PairState
from fleet.inspections.unverified import OUT_OF_SIGHT
from fleet.portal import addresses, facets, figures, marks
from fleet.portal.reasons import in_words
from fleet.portal.row_list import RowList
from fleet.portal.scoped_admin import rows_of
from fleet.portal.sorting import Age, Known
from fleet.registry.models import Pair, Target

RTT, MEMORY, SNAPSHOT, BACKUP = (
    "pair.rtt",
    "redis.memory-headroom",
    "redis.rdb-fresh",
    "backup.age",
)
STATE = "target__pair_state__"
# As is_silent tells it of one pair: what it read before is shown as not read.
ANSWERED = Q(target__pair_state__answered_at__gte=F("target__pair_state__checked_at"))
WORST = (Finding.Severity.INFO, Finding.Severity.WARNING, Finding.Severity.CRITICAL)


class PairList(RowList):
    """One page of pairs, with the rules that fail on each, and whose mail waits: two more queries."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page; the total of all pairs comes from the cached facets."""
        super().get_results(request)
        self.full_result_count = facets.pair_facets(rows_of(request)).total
        ids = [pair.pk for pair in self.result_list]
        fails = failing(rows_of(request).of(Finding), ids)
        silent = over(ids, timezone.now())
        for pair in self.result_list:
            pair.fails, pair.silent = fails[pair.pk], silent.get(pair.pk)


def failing(findings: QuerySet[Finding], target_ids: list[int]) -> Mapping[int, dict[str, str]]:
    """Give the open findings of these targets that are not waived: {target: {rule: severity}}."""
    fails: defaultdict[int, dict[str, str]] = defaultdict(dict)
    open_ones = findings.filter(COUNTED, target__in=target_ids)
    for target_id, rule_id, severity in open_ones.values_list("target_id", "rule_id", "severity"):
        fails[target_id][rule_id] = severity
    return fails


def state_of(target: Target) -> PairState | None:
    """Give the pair's state; None before its first reading."""
    return getattr(target, "pair_state", None)


def is_silent(state: PairState) -> bool:
    """Tell whether Redis left the last visit without an answer."""
    if state.checked_at is None:
        return True
    return state.answered_at is None or state.answered_at < state.checked_at


def engine_words(state: PairState | None) -> str:
    """Write make and version: `Valkey 8.0.1`."""
    if state is None or not state.engine:
        return ""
    return f"{ENGINE_LABELS[Engine(state.engine)]} {state.version}".strip()


def ceiling(value: int) -> str:
    """Write a memory ceiling for a narrow column: `4 GiB`, `512 MiB`."""
    whole, rest = divmod(value, GIB)
    return f"{whole:,}{THIN}GiB" if whole and not rest else size(value)


# --- Cells: a first line, and a quiet second one


def _lines(first: object, second: object = "") -> SafeString:
    if not second:
        return format_html('<span class="pk-line1">{}</span>', first)
    return format_html(
        '<span class="pk-line1">{}</span><span class="pk-line2">{}</span>', first, second
    )


def _judged(value: object, severity: str | None) -> SafeString | str:
    """Colour a value only where a rule fails on it."""
    if severity is None:
        return f"{value}" if isinstance(value, str) else format_html("{}", value)
    return format_html('<b class="pk-{}">{}</b>', marks.tone(severity), value)


def _not_read() -> SafeString:
    return format_html('<span class="pk-quiet">{}</span>', _("not read"))


@admin.display(description=gettext_lazy("State"), ordering="target__pair_state__rank")
def lamps_cell(pair: Pair) -> SafeString:
    """Compliance above, health below; a healthy pair's is dimmed."""
    state = state_of(pair.target)
    compliance = state.compliance if state else PairState.Compliance.UNVERIFIED.value
    health = state.health if state else PairState.Health.UNKNOWN.value
    is_calm = health == PairState.Health.HEALTHY
    return _lines(marks.mark(compliance), marks.mark(health, is_dim=is_calm))


@admin.display(description=gettext_lazy("Pair"), ordering="target__name")
def name_cell(pair: Pair) -> SafeString:
    """Link the name; tenant and environment below, and until when its mail waits."""
    target = pair.target
    words = [target.tenant.name, target.environment]
    if target.state != Target.State.ACTIVE:
        words.append(f"{target.get_state_display()}")
    url = addresses.pair(pair.pk)
    link = format_html('<a class="pk-name" href="{}">{}</a>', url, target.name)
    lines = _lines(link, " · ".join(words))
    if silent := vars(pair).get("silent"):
        lines += format_html('<span class="pk-line2">{}</span>', marks.silent(silent.until))
    return lines


@admin.display(description=gettext_lazy("Open findings"))
def findings_cell(pair: Pair) -> SafeString:
    """Show the worst message and how many there are, or why a core rule is not verified."""
    state = state_of(pair.target)
    if state is None:
        return _lines(_("Not read yet"), _("first reading is due"))
    if state.worst_short:
        short = format_html('<span title="{0}">{0}</span>', state.worst_short)
        return _lines(short, counts_words(state))
    return _lines(
        format_html('<span class="pk-quiet">{}</span>', _("None open")), not_verified_words(state)
    )


def counts_words(state: PairState) -> str:
    """Write `1 critical · 2 warning · 1 waived`, leaving out what there is none of."""
    parts = (
        (state.critical_count, _("critical")),
        (state.warning_count, _("warning")),
        (state.waived_count, _("waived")),
        (state.pending_count, _("pending")),
    )
    return " · ".join(f"{count} {word}" for count, word in parts if count)


def not_verified_words(state: PairState) -> str:
    """Write the first core rule that could not be verified, and why."""
    if not state.core_unknown:
        return counts_words(state)
    if why := unseen_because(state):
        return _("Not verified: %(reason)s") % {"reason": why}
    rule_id, reason = min(state.core_unknown.items())
    kind, _dot, name = rule_id.partition(".")
    subject = (f"{kind} {name}" if kind == "backup" else name).replace("-", " ")
    words = _("Not verified: %(subject)s, %(reason)s") % {
        "subject": subject,
        "reason": in_words(reason),
    }
    more = len(state.core_unknown) - 1
    return words + (ngettext(" and %d more", " and %d more", more) % more if more else "")


def unseen_because(state: PairState) -> str:
    """Say why nobody looks at the pair at all: one reason, of no rule in particular; "": somebody does."""
    reasons = OUT_OF_SIGHT.intersection(state.core_unknown.values())
    return f"{in_words(min(reasons))}" if reasons else ""


@admin.display(description=gettext_lazy("Engine"), ordering=Known(f"{STATE}engine"))
def engine_cell(pair: Pair) -> SafeString:
    """Make and version; the probe zone."""
    words = engine_words(state_of(pair.target))
    return _lines(words or _not_read(), pair.target.zone.slug)


@admin.display(description=gettext_lazy("RTT"), ordering=Known(f"{STATE}rtt_us", ANSWERED))
def rtt_cell(pair: Pair) -> SafeString:
    """Show the round trip, and from where it was measured."""
    state = state_of(pair.target)
    if state is None or state.checked_at is None:
        return _lines(_not_read())
    if is_silent(state):
        return _lines(_not_read(), _("no answer"))
    if state.rtt_us is None:
        return _lines(_not_read())
    value = _judged(milliseconds(state.rtt_us), pair.fails.get(RTT))  # type: ignore[attr-defined]
    if state.rtt_vantage:
        return _lines(value, state.rtt_vantage)
    unjudged = format_html('<span class="pk-doubt">{}</span>', _("not judged"))
    return _lines(format_html('<span class="pk-quiet">{}</span>', value), unjudged)


@admin.display(description=gettext_lazy("Memory"), ordering=Known(f"{STATE}used_ratio", ANSWERED))
def memory_cell(pair: Pair) -> SafeString:
    """Show the share of the ceiling, and the ceiling."""
    state = state_of(pair.target)
    if state is None or is_silent(state) or state.used_ratio is None:
        return _lines(_not_read())
    value = _judged(percent(state.used_ratio), pair.fails.get(MEMORY))  # type: ignore[attr-defined]
    base = _("of %(size)s") % {"size": ceiling(state.ceiling_bytes)} if state.ceiling_bytes else ""
    return _lines(value, base)


@admin.display(description=gettext_lazy("Snapshot"), ordering=Age(f"{STATE}last_save_at", ANSWERED))
def snapshot_cell(pair: Pair) -> SafeString:
    """Show the age of the last RDB snapshot."""
    state = state_of(pair.target)
    at = None if state is None or is_silent(state) else state.last_save_at
    return _age_cell(pair, at, SNAPSHOT)


@admin.display(description=gettext_lazy("Backup"), ordering=Age(f"{STATE}last_backup_at"))
def backup_cell(pair: Pair) -> SafeString:
    """Show the age of the last good backup."""
    state = state_of(pair.target)
    return _age_cell(pair, state.last_backup_at if state else None, BACKUP)


@admin.display(description=gettext_lazy("Checked"), ordering=Age(f"{STATE}checked_at"))
def checked_cell(pair: Pair) -> SafeString:
    """Show the age of the last visit."""
    state = state_of(pair.target)
    return _age_cell(pair, state.checked_at if state else None, "")


def _age_cell(pair: Pair, at: datetime | None, rule_id: str) -> SafeString:
    if at is None:
        return _lines(_not_read())
    age = figures.age(at, pair.now)  # type: ignore[attr-defined]
    return _lines(_judged(age, pair.fails.get(rule_id)))  # type: ignore[attr-defined]


# --- Chips above the table


def chips(request: HttpRequest) -> list[dict[str, Any]]:
    """Give a chip for all pairs and one for each state worth a look, with counts."""
    found = facets.pair_facets(rows_of(request))
    asked = {name: value for name, value in request.GET.items() if name in addresses.PAIR_FILTERS}
    groups = [("compliance", name, found.compliance[name]) for name in marks.COMPLIANCE_ORDER]
    groups += [("health", name, found.health[name]) for name in marks.HEALTH_ORDER[:3]]
    everything = {"url": reverse("admin:registry_pair_changelist"), "count": found.total}
    return [
        {**everything, "state": "", "is_current": not asked},
        *(
            {
                "url": addresses.pairs(**{lamp: name}),
                "count": count,
                "state": name,
                "is_first_health": name == marks.HEALTH_ORDER[0],
                "is_current": asked == {lamp: name},
            }
            for lamp, name, count in groups
        ),
    ]
