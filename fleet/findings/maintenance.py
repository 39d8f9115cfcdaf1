"""Times in which mail waits: which targets are silent now, which came out of silence, start and end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleet.findings.models import MaintenanceWindow
from fleet.registry.arrays import rows_of
from fleet.registry.current import fleet_settings
from fleet.registry.instants import instant

Scope = MaintenanceWindow.Scope
# One writer at a time, so that of two windows of one scope the second sees the first.
WRITER_LOCK: Final = 7_214_002


class Refused(ValueError):
    """A window that is refused: the field at fault, the text, and the window in its way, if any."""

    def __init__(self, name: str, text: str, in_the_way: MaintenanceWindow | None = None) -> None:
        super().__init__(text)
        self.field = name
        self.in_the_way = in_the_way


@dataclass(frozen=True)
class Plan:
    """A window as somebody wants it: of these targets, of a tenant, or of a label."""

    starts_at: datetime
    ends_at: datetime
    target_ids: frozenset[int] = frozenset()
    tenant_id: int | None = None  # None: of a label, on whoever's pairs
    label: tuple[str, str] | None = None
    reason: str = ""
    scope: str = field(init=False)

    def __post_init__(self) -> None:
        scope = Scope.LABEL if self.label else Scope.PAIRS if self.target_ids else Scope.TENANT
        object.__setattr__(self, "scope", scope.value)


class Over(NamedTuple):
    """A window under way."""

    window_id: int
    until: datetime


class Silence(NamedTuple):
    """One target's time of silence, which has ended: windows that met count as one."""

    target_id: int
    began_at: datetime
    ended_at: datetime


# Whether window w holds for target t.
HOLDS: Final = """
(w.tenant_id IS NULL OR w.scope = 'pairs' OR w.tenant_id = t.tenant_id)
AND CASE w.scope
    WHEN 'label' THEN t.labels ->> w.label_name = w.label_value
    WHEN 'pairs' THEN EXISTS (
        SELECT FROM findings_maintenancewindow_targets m
        WHERE m.maintenancewindow_id = w.id AND m.target_id = t.id)
    ELSE true
END
"""
SILENCED: Final = f"""
SELECT DISTINCT ON (t.id) t.id, w.id, w.ends_at
FROM findings_maintenancewindow w JOIN registry_target t ON {HOLDS}
WHERE w.starts_at <= %b AND w.ends_at > %b AND (w.ended_at IS NULL OR w.ended_at > %b)
  AND t.id = ANY(%b::int8[])
ORDER BY t.id, w.ends_at DESC, w.id
"""  # noqa: S608  our own condition
# Windows that ended lately, and those that met or overlapped them, target by target.
ENDED: Final = f"""
WITH past AS (
    SELECT t.id AS target_id, w.starts_at AS began_at,
        least(w.ends_at, coalesce(w.ended_at, w.ends_at)) AS ended_at
    FROM findings_maintenancewindow w JOIN registry_target t ON {HOLDS}
    WHERE w.starts_at <= %b AND coalesce(w.ended_at, w.ends_at) > w.starts_at
      AND w.ends_at > %b::timestamptz - interval '62 days'
), silences AS (
    SELECT target_id, unnest(range_agg(tstzrange(began_at, ended_at))) AS silence
    FROM past GROUP BY target_id
)
SELECT target_id, lower(silence), upper(silence) FROM silences
WHERE upper(silence) > %b AND upper(silence) <= %b
ORDER BY target_id
"""  # noqa: S608  our own condition


def silenced(target_ids: Collection[int], now: datetime) -> set[int]:
    """Give those of these targets about which mail waits now. One query."""
    return set(over(target_ids, now))


def over(target_ids: Collection[int], now: datetime) -> dict[int, Over]:
    """Give the window over each silent target: of overlapping ones the last to end. One query."""
    if not target_ids:
        return {}
    found = rows_of(SILENCED, [now, now, now, list(target_ids)])
    return {target_id: Over(window_id, until) for target_id, window_id, until in found}


def ended_since(since: datetime, now: datetime) -> list[Silence]:
    """Give the silences that ended after `since`, up to and with `now`. One query.

    What moved between `began_at` and `ended_at` was not mailed: only what is different from
    before is to be told. A target that is silent again by another window is not among them.
    """
    return [Silence._make(row) for row in rows_of(ENDED, [now, since, since, now])]


def start(plan: Plan, by_id: int, now: datetime) -> MaintenanceWindow:
    """Put a window in force, from its start on. Raises Refused with the field at fault."""
    if now - timedelta(minutes=1) < plan.starts_at < now:
        plan = replace(plan, starts_at=now)  # forms know no seconds
    _refuse_times(plan, now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITER_LOCK])
        _refuse_conflict(plan, now)
        name, value = plan.label or ("", "")
        window = MaintenanceWindow.objects.create(
            scope=plan.scope,
            tenant_id=plan.tenant_id,
            label_name=name,
            label_value=value,
            reason=plan.reason,
            starts_at=plan.starts_at,
            ends_at=plan.ends_at,
            made_at=now,
            made_by_id=by_id,
        )
        window.targets.set(plan.target_ids)
    return window


def end(window_id: int, by_id: int, now: datetime) -> bool:
    """End a window early, or call off one to come; False where it was over already."""
    live = MaintenanceWindow.objects.filter(pk=window_id, ended_at=None, ends_at__gt=now)
    return bool(live.update(ended_at=now, ended_by_id=by_id))


def _refuse_times(plan: Plan, now: datetime) -> None:
    if plan.starts_at < now:
        raise Refused(
            "starts_at",
            _("%(at)s has passed: it is %(now)s. Leave it empty to start now.")
            % {"at": instant(plan.starts_at), "now": instant(now)},
        )
    if plan.ends_at <= plan.starts_at:
        raise Refused(
            "ends_at",
            _("It must end after it starts, %(at)s.") % {"at": instant(plan.starts_at)},
        )
    hours = fleet_settings().maintenance_hours
    latest = plan.starts_at + timedelta(hours=hours)
    if plan.ends_at > latest:
        raise Refused(
            "ends_at",
            ngettext(
                "At most %(hours)d hour, as the settings say: until %(at)s at the latest.",
                "At most %(hours)d hours, as the settings say: until %(at)s at the latest.",
                hours,
            )
            % {"hours": hours, "at": instant(latest)},
        )


def _refuse_conflict(plan: Plan, now: datetime) -> None:
    other = _same_scope(plan).filter(ended_at=None, ends_at__gt=max(plan.starts_at, now))
    in_the_way = other.filter(starts_at__lt=plan.ends_at).order_by("starts_at").first()
    if in_the_way:
        times = {"start": instant(in_the_way.starts_at), "end": instant(in_the_way.ends_at)}
        text = _("There is maintenance already, from %(start)s to %(end)s.") % times
        raise Refused("starts_at", text, in_the_way)


def _same_scope(plan: Plan) -> QuerySet[MaintenanceWindow]:
    """Give the windows of the same tenant or label, or of one of the same pairs."""
    name, value = plan.label or ("", "")
    of_scope = Q(scope=plan.scope, label_name=name, label_value=value)
    if plan.target_ids:
        return MaintenanceWindow.objects.filter(of_scope, targets__in=plan.target_ids).distinct()
    whose = Q(tenant=None) if plan.tenant_id is None else Q(tenant=plan.tenant_id)
    return MaintenanceWindow.objects.filter(of_scope & whose)
