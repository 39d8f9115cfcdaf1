"""The filters of the pair and the finding list: one select each, filled from the cached facets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from checks.catalog import BY_ID
from checks.facts import ENGINE_LABELS, REASONS, Engine
from checks.remedy import title as rule_title
from checks.rule import Kind
from fleet.alerts.models import Mail
from fleet.findings.cover import COUNTED, STALE, WAIVED, taken_on_by
from fleet.findings.models import Finding
from fleet.inspections.models import PairState
from fleet.portal import facets
from fleet.portal.moves import LATELY, THIS_WEEK, lately, this_week
from fleet.portal.reasons import in_words
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import rows_of
from fleet.registry.models import Target, Tenant

Choices = Iterable[tuple[str, Any]]


class SelectFilter(SimpleListFilter):
    """A select whose choices may depend on who asks; an unknown value finds nothing."""

    template = "portal/filter_select.html"
    parameter_name: str
    path: ClassVar[str] = ""

    def has_output(self) -> bool:
        """Show it even without choices: it says what it would narrow."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows whose `path` has the chosen value."""
        value = self.value()
        return queryset.filter(**{self.path: value}) if value else queryset

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Give the template its options."""
        chosen = self.value() or ""
        yield {"value": "", "label": self.all_words(), "is_chosen": not chosen}
        options = dict(self.lookup_choices)
        if chosen and chosen not in options:
            options[chosen] = chosen
        for value, label in options.items():
            yield {"value": value, "label": label, "is_chosen": value == chosen}

    def all_words(self) -> Any:
        """Name the choice that narrows nothing."""
        return _("All")


def counted(counts: dict[str, int], labels: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    """Write choices with their counts: `Valkey (12)`, in the order of the words."""
    named = [(value, f"{(labels or {}).get(value, value)}", n) for value, n in counts.items()]
    return [(value, f"{word} ({n:,})") for value, word, n in sorted(named, key=lambda one: one[1])]


def in_order(counts: dict[str, int], choices: Choices) -> list[tuple[str, str]]:
    """Write choices with their counts in the order given, zeros too."""
    return [(value, f"{label} ({counts.get(value, 0):,})") for value, label in choices]


class ComplianceFilter(SelectFilter):
    """The compliance lamp; a pair never read is unverified."""

    title = _("compliance")
    parameter_name = "compliance"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        counts = facets.pair_facets(rows_of(request)).compliance
        return in_order(counts, PairState.Compliance.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return _lamp(queryset, "compliance", self.value(), PairState.Compliance.UNVERIFIED)


class HealthFilter(SelectFilter):
    """The health lamp; of a pair never read it is unknown."""

    title = _("health")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        counts = facets.pair_facets(rows_of(request)).health
        return in_order(counts, PairState.Health.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return _lamp(queryset, "health", self.value(), PairState.Health.UNKNOWN)


def _lamp(queryset: QuerySet[Any], lamp: str, value: str | None, unread: str) -> QuerySet[Any]:
    if not value:
        return queryset
    chosen = Q(**{f"target__pair_state__{lamp}": value})
    if value == unread:
        chosen |= Q(target__pair_state=None)
    return queryset.filter(chosen)


class TenantFilter(SelectFilter):
    """One tenant: its name as typed, helped by the autocomplete endpoint, or its id from a link."""

    title = _("tenant")
    parameter_name = "tenant"
    template = "portal/filter_tenant.html"
    path = "target__tenant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        value = self.used_parameters.get(self.parameter_name) or ""
        if not value.isdecimal():
            return [(value, value)]
        found = rows_of(request).of(Tenant).filter(pk=value).values_list("pk", "name")
        return [(str(pk), name) for pk, name in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        chosen = Q(**{f"{self.path}__name__iexact": value})
        if value.isdecimal():
            chosen |= Q(**{self.path: value})
        return queryset.filter(chosen)

    def typed(self) -> str:
        """Give the name to show in the field."""
        return str(dict(self.lookup_choices).get(self.value() or "", self.value() or ""))


class EnvironmentFilter(SelectFilter):
    """The target's environment."""

    title = _("environment")
    parameter_name = "environment"
    path = "target__environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return counted(facets.pair_facets(rows_of(request)).environments)


class ZoneFilter(SelectFilter):
    """The zone that the pair is probed from."""

    title = _("probe zone")
    parameter_name = "zone"
    path = "target__zone__slug"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return counted(facets.pair_facets(rows_of(request)).zones)


class EngineFilter(SelectFilter):
    """The engine as detected."""

    title = _("engine")
    parameter_name = "engine"
    path = "target__pair_state__engine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        labels = {engine.value: ENGINE_LABELS[engine] for engine in Engine}
        return counted(facets.pair_facets(rows_of(request)).engines, labels)


class VersionFilter(SelectFilter):
    """The engine's version as detected."""

    title = _("version")
    parameter_name = "version"
    path = "target__pair_state__version"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return counted(facets.pair_facets(rows_of(request)).versions)


class RedisOnlyFilter(SelectFilter):
    """Pairs without an EmailEngine, or with one."""

    title = _("EmailEngine")
    parameter_name = "redis_only"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        found = facets.pair_facets(rows_of(request))
        counts = {"1": found.redis_only, "0": found.total - found.redis_only}
        return in_order(counts, [("1", _("Redis only")), ("0", _("With EmailEngine"))])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == "1":
            return queryset.filter(target__pair_state__is_redis_only=True)
        return queryset.exclude(target__pair_state__is_redis_only=True) if value else queryset


class StateFilter(SelectFilter):
    """Active and paused pairs, unless another state is chosen."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        found = facets.pair_facets(rows_of(request))
        counts = {
            Target.State.ACTIVE.value: found.total - found.paused,
            Target.State.PAUSED.value: found.paused,
            Target.State.ARCHIVED.value: found.archived,
        }
        return in_order(counts, Target.State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value:
            return queryset.filter(target__state=value)
        return queryset.exclude(target__state=Target.State.ARCHIVED)

    def all_words(self) -> Any:
        return _("Active and paused")


class ReasonFilter(SelectFilter):
    """Why a core rule could not be verified."""

    title = _("not verified, because")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(reason, in_words(reason)) for reason in sorted(REASONS)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        reason = self.value()
        if not reason:
            return queryset
        if reason not in REASONS:
            return queryset.none()
        has_reason = Func(
            F("target__pair_state__core_unknown"),
            Value(f'$.* ? (@ == "{reason}")'),
            function="jsonb_path_exists",
            template="%(function)s(%(expressions)s::jsonpath)",
            output_field=BooleanField(),
        )
        return queryset.filter(has_reason)


class SeverityFilter(SelectFilter):
    """The finding's severity, counted within the view that is open."""

    title = _("severity")
    parameter_name = "severity"
    path = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return reversed(Finding.Severity.choices)


class RuleFilter(SelectFilter):
    """One rule of the catalogue."""

    title = _("rule")
    parameter_name = "rule"
    path = "rule_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        failed = facets.finding_facets(rows_of(request)).rules
        titles = {rule_id: rule_title(BY_ID[rule_id]) for rule_id in failed if rule_id in BY_ID}
        return counted(failed, titles)


class KindFilter(SelectFilter):
    """Requirements (compliance) or operations (health)."""

    title = _("kind")
    parameter_name = "kind"
    path = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            (Kind.REQUIREMENT.value, _("Requirement (compliance)")),
            (Kind.OPERATION.value, _("Operation (health)")),
        ]


class FindingStateFilter(SelectFilter):
    """Open findings that are not waived, unless another view is chosen; of a mail all it told of."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        views = [(facets.WAIVED, _("Waived")), (facets.STALE, _("Stale")), (facets.MINE, _("Mine"))]
        return [*Finding.State.choices, *views]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value and request.GET.get(MailFilter.parameter_name):
            return queryset
        views = {
            Finding.State.OPEN.value: COUNTED,
            facets.WAIVED: WAIVED,
            facets.STALE: STALE,
            facets.MINE: taken_on_by(request.user.pk, timezone.now()),
        }
        return queryset.filter(views.get(value or Finding.State.OPEN, Q(state=value)))


class NumberFilter(SelectFilter):
    """What belongs to one thing that nobody knows by number: a link leads here."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        value = self.used_parameters.get(self.parameter_name)
        return [(value, f"#{value}")] if value else []

    def has_output(self) -> bool:
        """Show it only where a link narrowed to one."""
        return bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        number = row_number(value)
        return self.of(request, queryset, number) if number else queryset.none()

    def of(self, request: HttpRequest, queryset: QuerySet[Any], number: int) -> QuerySet[Any]:
        """Keep what belongs to it."""
        return queryset.filter(**{self.path: number})


class WaiverFilter(NumberFilter):
    """What one waiver covers, or covered when it was resolved."""

    title = _("waiver")
    parameter_name = "waiver"
    path = "waiver"


class MailFilter(NumberFilter):
    """What one mail told of, for those who may see that mail."""

    title = _("mail")
    parameter_name = "mail"

    def of(self, request: HttpRequest, queryset: QuerySet[Any], number: int) -> QuerySet[Any]:
        mail = rows_of(request).of(Mail).filter(pk=number).only("finding_ids").first()
        return queryset.filter(pk__in=(mail.finding_ids if mail else None) or [])


class SinceFilter(SelectFilter):
    """What opened or was resolved in the last 24 hours, as the overview counts it, or in a week."""

    title = _("since")
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(LATELY, _("Last 24 hours, without info")), (THIS_WEEK, _("Last 7 days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        state = request.GET.get("state") or Finding.State.OPEN.value
        keeps = {LATELY: lately, THIS_WEEK: this_week}.get(value)
        if keeps is None or state not in Finding.State.values:
            return queryset.none()
        return keeps(queryset, state, timezone.now())
