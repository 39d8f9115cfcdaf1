"""What stands in the digest of a day, the report of a week, and the warning before waivers end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Q, QuerySet
from django.utils.translation import gettext as _

from checks.rule import Severity
from fleet.alerts.items import COUNTED, CRITICAL, WARNING, Wanted, items_of, standing
from fleet.alerts.letter import (
    Body,
    Digest,
    Doubt,
    EndingWaiver,
    Forecast,
    Item,
    Move,
    Report,
    RuleCount,
    Standing,
    Waivers,
)
from fleet.alerts.models import Channel, Mail
from fleet.alerts.revalidate import Still
from fleet.alerts.timing import WEEKLY_DAY
from fleet.findings.models import Finding, Transition, Waiver
from fleet.history.models import ScoreDay

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
# Waivers that end within this are told of. Source: issue "Findings through time", waivers.
ENDING: Final = timedelta(days=14)
FORECAST: Final = "redis.memory-forecast"
WORST_PAIRS: Final = 10


def digest(mail: Mail, _still: Still, now: datetime) -> Body | None:
    """Tell of the day before a mail was made; nothing where nothing is open, ended or ends soon."""
    channel, tenant = mail.channel, mail.tenant
    since = _digest_since(mail)
    mine = _chosen(Finding.objects.all(), channel)
    is_open = mine.filter(COUNTED)
    over = mine.filter(
        state=Finding.State.RESOLVED,
        resolved_at__gt=since,
        waiver=None,
        transitions__cause=Transition.Cause.RESOLVED,
        transitions__at__gt=since,
    ).distinct()
    ending = ending_waivers(mail.tenant_id, now)
    found = Digest(
        tenant=tenant.name if tenant else "",
        tenant_id=mail.tenant_id,
        standing=_with_score(standing(mail.tenant_id), mail.tenant_id, now),
        since=since,
        opened=_items(is_open.filter(opened_at__gt=since), Move.OPENED, channel),
        still_open=_items(is_open.filter(opened_at__lte=since), Move.STILL, channel),
        resolved=_items(over, Move.RESOLVED, channel),
        waivers=ending,
        doubts=_doubts(mail.tenant_id, now),
        forecasts=_forecasts(is_open),
    )
    is_any = found.opened or found.still_open or found.resolved or ending
    return found if is_any else None


def _digest_since(mail: Mail) -> datetime:
    """Give when the digest before was made; a day ago where there was none within a week."""
    before = Mail.objects.filter(
        channel=mail.channel,
        kind=Mail.Kind.DIGEST,
        state=Mail.State.SENT,
        made_at__lt=mail.made_at,
        made_at__gt=mail.made_at - WEEK,
    )
    last = before.order_by("-made_at").values_list("made_at", flat=True).first()
    return last or mail.made_at - DAY


def _chosen(findings: QuerySet[Finding], channel: Channel) -> QuerySet[Finding]:
    """Keep what the channel wants to hear of; notes too, unless it wants criticals only."""
    if channel.tenant_id is not None:
        findings = findings.filter(target__tenant=channel.tenant_id)
    if channel.environments:
        findings = findings.filter(target__environment__in=channel.environments)
    if channel.subjects:
        of = Q()
        for subject in channel.subjects:
            of |= Q(rule_id__startswith=f"{subject}.")
        findings = findings.filter(of)
    if channel.min_severity == Channel.Severity.CRITICAL:
        findings = findings.filter(CRITICAL)
    return findings


def _items(findings: QuerySet[Finding], move: Move, channel: Channel) -> tuple[Item, ...]:
    """Read them for two lines each, the worst and oldest first."""
    ids = findings.order_by("severity", "opened_at").values_list("pk", flat=True)
    wanted = {pk: Wanted(move) for pk in ids}
    return items_of(wanted, with_tenants=channel.tenant_id is None, with_evidence=False)


def _doubts(tenant_id: int | None, now: datetime) -> tuple[Doubt, ...]:
    """Count the pairs that could not be verified, by what is known of the reason."""
    score = _score(tenant_id, now)
    stale = Finding.objects.filter(COUNTED, stale_since__isnull=False)
    if tenant_id is not None:
        stale = stale.filter(target__tenant=tenant_id)
    counts = (
        (_("A core rule could not be verified"), score.unverified_count if score else 0),
        (
            _("A finding has had no conclusive reading for long"),
            stale.values("target").distinct().count(),
        ),
    )
    return tuple(Doubt(why=why, pairs_count=count) for why, count in counts if count)


def _forecasts(is_open: QuerySet[Finding]) -> tuple[Forecast, ...]:
    rows = is_open.filter(rule_id=FORECAST).order_by("severity", "opened_at")
    found = rows.values_list("target__name", "message")
    return tuple(Forecast(pair=name, text=message) for name, message in found)


def _score(tenant_id: int | None, now: datetime) -> ScoreDay | None:
    """Give today's score, or yesterday's where the day has none yet."""
    whose = Q(tenant=None) if tenant_id is None else Q(tenant=tenant_id)
    rows = ScoreDay.objects.filter(whose, day__gte=(now - DAY).date())
    return rows.order_by("-day").first()


def _with_score(now_is: Standing, tenant_id: int | None, now: datetime) -> Standing:
    score = _score(tenant_id, now)
    if score is None:
        return now_is
    return replace(
        now_is,
        compliant_ratio=_ratio(score.compliant_count, score.pairs_count),
        coverage_ratio=_ratio(score.conclusive_count, score.applicable_count),
    )


def _ratio(count: int, of: int) -> float | None:
    return count / of if of else None


def weekly(mail: Mail, _still: Still, now: datetime) -> Body | None:
    """Tell a tenant of the week (days in UTC) before the Monday on which the report was due."""
    tenant = mail.tenant
    if tenant is None:
        return None
    made_on = mail.made_at.astimezone(ZoneInfo(mail.channel.time_zone)).date()
    last_day = made_on - timedelta(days=(made_on.weekday() - WEEKLY_DAY) % 7 + 1)
    first_day = last_day - timedelta(days=6)
    mine = _chosen(Finding.objects.filter(target__tenant=tenant), mail.channel)
    is_open = mine.filter(COUNTED, CRITICAL | WARNING)
    moves = Transition.objects.filter(
        finding__in=mine.filter(CRITICAL | WARNING),
        is_quiet=False,
        at__date__gte=first_day,
        at__date__lte=last_day,
    )
    return Report(
        tenant=tenant.name,
        tenant_id=tenant.pk,
        standing=_with_score(standing(tenant.pk), tenant.pk, now),
        first_day=first_day,
        last_day=last_day,
        days=tuple(_days(tenant.pk, first_day, last_day)),
        opened_count=moves.filter(cause=Transition.Cause.OPENED).count(),
        resolved_count=moves.filter(cause=Transition.Cause.RESOLVED).count(),
        open_count=is_open.count(),
        median_open_s=_median_open_s(moves),
        rules=_worst_rules(is_open),
        worst_pairs=_worst_pairs(is_open),
        waivers=ending_waivers(tenant.pk, now),
    )


def _days(tenant_id: int, first_day: date, last_day: date) -> Iterator[tuple[date, float | None]]:
    """Give the share of compliant pairs at the end of each day; None where it was not recorded."""
    rows = ScoreDay.objects.filter(tenant=tenant_id, day__gte=first_day, day__lte=last_day)
    scores = {row.day: _ratio(row.compliant_count, row.pairs_count) for row in rows}
    for number in range((last_day - first_day).days + 1):
        day = first_day + timedelta(days=number)
        yield day, scores.get(day)


def _median_open_s(moves: QuerySet[Transition]) -> float | None:
    """Give how long half of what was resolved had been open, in seconds."""
    ended = moves.filter(cause=Transition.Cause.RESOLVED, finding__resolved_at=F("at"))
    spans = [
        (at - opened_at).total_seconds()
        for at, opened_at in ended.values_list("at", "finding__opened_at")
        if opened_at
    ]
    return median(spans) if spans else None


def _worst_rules(is_open: QuerySet[Finding]) -> tuple[RuleCount, ...]:
    rows = is_open.order_by().values("rule_id", "severity")
    counted = rows.annotate(pairs_count=Count("target", distinct=True))
    found = [
        RuleCount(
            rule_id=row["rule_id"],
            severity=Severity(row["severity"]),
            pairs_count=row["pairs_count"],
        )
        for row in counted
    ]
    return tuple(sorted(found, key=lambda one: (-one.severity.rank, -one.pairs_count)))


def _worst_pairs(is_open: QuerySet[Finding]) -> tuple[tuple[str, int], ...]:
    rows = is_open.order_by().values_list("target__name").annotate(open_count=Count("pk"))
    return tuple(rows.order_by("-open_count", "target__name")[:WORST_PAIRS])


def waivers(mail: Mail, _still: Still, now: datetime) -> Body | None:
    """Tell of one tenant's waivers that end soon, each once per step."""
    if mail.tenant is None:
        return None
    found = ending_waivers(mail.tenant_id, now)
    if not found:
        return None
    return Waivers(tenant=mail.tenant.name, tenant_id=mail.tenant.pk, waivers=found)


def ending_waivers(tenant_id: int | None, now: datetime) -> tuple[EndingWaiver, ...]:
    """Give the live waivers that end within 14 days, the next one first. One query."""
    rows = Waiver.objects.filter(
        approved_at__isnull=False,
        ended_at=None,
        expires_at__gt=now,
        expires_at__lte=now + ENDING,
    )
    if tenant_id is not None:
        rows = rows.filter(tenant=tenant_id)
    rows = rows.select_related("target", "tenant", "requested_by").order_by("expires_at", "pk")
    open_ = Count("findings", filter=Q(findings__state=Finding.State.OPEN))
    return tuple(_ending(one) for one in rows.annotate(findings_count=open_))


def _ending(waiver: Waiver) -> EndingWaiver:
    scope = waiver.target.name if waiver.target else waiver.tenant.name
    return EndingWaiver(
        waiver_id=waiver.pk,
        rule_id=waiver.rule_id,
        scope=scope,
        reason=waiver.reason,
        expires_at=waiver.expires_at,
        findings_count=waiver.findings_count,  # type: ignore[attr-defined]  # annotated
        requested_by=waiver.requested_by.get_full_name() or waiver.requested_by.username,
    )
