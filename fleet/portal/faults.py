"""What is wrong with the portal itself: each fault with its cure, worked out from what is there."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils.translation import gettext, ngettext

from checks.render import percent, size
from fleet.history import partitions
from fleet.inspections.blind import AGAIN
from fleet.portal.figures import instant, long_age
from fleet.portal.lag import OUTBOX, WATCHED_WITHIN, Lag, ZoneLag
from fleet.portal.manning import ZoneSeen
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Pair, Worker, Zone
from fleet.registry.sealed import PREFIX, SecretError, reveal

# Below either of these a database that grows fills its disk before somebody looks.
LEAST_FREE_RATIO: Final = 0.05
LEAST_FREE_BYTES: Final = 1024**3
# A ring without a key fits none of the values it sealed: a few from both ends of time show it.
SAMPLE: Final = 20
SECRETS: Final = ("redis_password", "metrics_token", "api_token")


@dataclass(frozen=True)
class Fault:
    """One fault: `key` names it and its place for good, `text` says it now, `cure` what to do."""

    key: str
    text: str
    cure: str


def unmanned(zones: Iterable[ZoneSeen], now: datetime) -> Iterator[Fault]:
    """Name the zones whose pairs nobody can check."""
    for zone in zones:
        if zone.pairs_count and not zone.is_manned(now):
            cure = gettext(
                "Start a worker with ZONE=%(zone)s, or read the log of the one that ran."
            )
            yield Fault(
                f"zone.{zone.slug}.no-worker", _unmanned(zone, now), cure % {"zone": zone.slug}
            )


def _unmanned(zone: ZoneSeen, now: datetime) -> str:
    values = {"zone": zone.slug, "count": f"{zone.pairs_count:,}"}
    waiting = ngettext(
        "%(count)s pair cannot be checked.", "%(count)s pairs cannot be checked.", zone.pairs_count
    )
    if zone.seen_at is None:
        return f"{gettext('No worker was ever seen in zone %(zone)s:')} {waiting}" % values
    values["age"] = long_age((now - zone.seen_at).total_seconds())
    return f"{gettext('No worker seen in zone %(zone)s for %(age)s:')} {waiting}" % values


def blind(zones: Iterable[Zone]) -> Iterator[Fault]:
    """Name the zones whose own network is cut off: nobody's pairs are down for that."""
    for zone in zones:
        if zone.blind_since:
            text = gettext(
                "Zone %(zone)s is blind since %(since)s: %(why)s. Its pairs are unverified; their "
                "tenants are not told."
            )
            values = {
                "zone": zone.slug,
                "since": instant(zone.blind_since),
                "why": zone.self_check_failure,
            }
            cure = gettext(
                "Mend the network of the workers of zone %(zone)s; they check themselves every "
                "%(again)d s, and go on by themselves. If all its pairs are really down at once, set a "
                "reference address in the settings, which tells the two apart."
            )
            mend = {"zone": zone.slug, "again": AGAIN.total_seconds()}
            yield Fault(f"zone.{zone.slug}.blind", text % values, cure % mend)


def blind_workers(workers: Iterable[Worker]) -> Iterator[Fault]:
    """Name the workers whose own network is cut off while others of their zone see."""
    for worker in workers:
        if worker.blind_since and not worker.zone.blind_since:
            text = gettext(
                "Worker %(worker)s of zone %(zone)s is blind since %(since)s: %(why)s. The zone's other "
                "workers have its pairs."
            )
            values = {
                "worker": worker.name,
                "zone": worker.zone.slug,
                "since": instant(worker.blind_since),
                "why": worker.self_check_failure,
            }
            cure = gettext("Mend that worker's network, or stop it; it goes on by itself.")
            yield Fault(f"worker.{worker.name}.blind", text % values, cure)


def unwatched(watched_at: datetime | None, now: datetime) -> Iterator[Fault]:
    """Tell that the portal does not look at itself: no other alarm here can be trusted then."""
    if watched_at is not None and now - watched_at > WATCHED_WITHIN:
        text = gettext("The portal has not looked at itself for %(age)s: no mail may go out.")
        yield Fault(
            "portal.unwatched",
            text % {"age": long_age((now - watched_at).total_seconds())},
            gettext("See that beat, the broker and a worker of the control queue run."),
        )


def late(zones: Iterable[ZoneLag], manned: Collection[str]) -> Iterator[Fault]:
    """Name the zones with a worker whose checks come too late."""
    for zone in zones:
        if zone.is_late and zone.slug in manned:
            text = gettext("Checks in zone %(zone)s are %(lag)s late (allowed: %(allowed)s).")
            values = {
                "zone": zone.slug,
                "lag": long_age(zone.lag.total_seconds()),
                "allowed": long_age(zone.allowed.total_seconds()),
            }
            yield Fault(
                f"zone.{zone.slug}.late",
                text % values,
                gettext("Start more workers there, or raise the intervals in the settings."),
            )


def outbox(lag: Lag, now: datetime) -> Iterator[Fault]:
    """Tell that what happened is not mailed in time."""
    if lag.outbox_age(now) > OUTBOX:
        text = gettext("What happened %(age)s ago is not mailed yet (allowed: %(allowed)s).")
        values = {
            "age": long_age(lag.outbox_age(now).total_seconds()),
            "allowed": long_age(OUTBOX.total_seconds()),
        }
        yield Fault(
            "outbox.late",
            text % values,
            gettext("Read the last error in the log of deliveries, and the workers' logs."),
        )
    if lag.is_untold(now) and lag.told_at is not None:
        text = gettext("Nobody has routed or sent mail for %(age)s.")
        yield Fault(
            "outbox.untended",
            text % {"age": long_age((now - lag.told_at).total_seconds())},
            gettext("Restart the workers of the control queue; their logs say what they hang in."),
        )


def without_partitions(now: datetime) -> Iterator[Fault]:
    """Tell that today's or tomorrow's history has no place to go."""
    today = now.astimezone(UTC).date()
    there = set(partitions.attached_days(partitions.VISITS))
    missing = [day for day in (today, today + timedelta(days=1)) if day not in there]
    if missing:
        text = gettext("The history table has no partition for %(days)s.")
        yield Fault(
            "history.partitions",
            text % {"days": ", ".join(day.isoformat() for day in missing)},
            gettext(
                "See that the task keep_history runs each hour, and that it may create tables."
            ),
        )


def disk_of(folder: str) -> Iterator[Fault]:
    """Tell that the database's disk is nearly full, or cannot be looked at; without a folder nothing."""
    if not folder:
        return
    try:
        disk = shutil.disk_usage(folder)
    except OSError as error:
        text = gettext("How full the database's disk is cannot be read: %(error)s.")
        cure = gettext("Set DATA_FOLDER to a folder on that disk which the workers may read.")
        yield Fault("disk.unseen", text % {"error": error.strerror}, cure)
        return
    yield from little_disk(disk.total, disk.free)


def little_disk(total_bytes: int, free_bytes: int) -> Iterator[Fault]:
    """Tell that a disk is nearly full, by its share or by its amount."""
    ratio = free_bytes / total_bytes
    if ratio < LEAST_FREE_RATIO or free_bytes < LEAST_FREE_BYTES:
        text = gettext("The disk of the database has %(free)s left, %(share)s of it.")
        cure = gettext(
            "Free some, or keep raw history for fewer days; at least %(ratio)s and %(size)s should "
            "be free."
        )
        yield Fault(
            "disk.low",
            text % {"free": size(free_bytes), "share": percent(ratio)},
            cure % {"ratio": percent(LEAST_FREE_RATIO), "size": size(LEAST_FREE_BYTES)},
        )


def unreadable_secrets(rows: Rows) -> Iterator[Fault]:
    """Tell that the key ring lacks a key: sealed values of the oldest and the newest pairs fit none."""
    ends = (rows.of(Pair).order_by(order)[:SAMPLE] for order in ("pk", "-pk"))
    pairs = {pair.pk: pair for some in ends for pair in some}
    bad = sum(
        any(_is_unreadable(getattr(pair, name)) for name in SECRETS) for pair in pairs.values()
    )
    if bad:
        text = ngettext(
            "The secrets of at least %(count)s pair fit no key in FLEET_KEYS.",
            "The secrets of at least %(count)s pairs fit no key in FLEET_KEYS.",
            bad,
        )
        yield Fault(
            "keys.mismatch",
            text % {"count": bad},
            gettext("Give every process the ring that sealed them, newest key first."),
        )


def _is_unreadable(stored: str) -> bool:
    """Say whether a sealed value fits no key; a reference is another matter, and the pair's own."""
    if not stored.startswith(PREFIX):
        return False
    try:
        reveal(stored)
    except SecretError:
        return True
    return False


def no_switch(url: str) -> Iterator[Fault]:
    """Tell that nobody outside notices when the portal falls silent."""
    if not url:
        yield Fault(
            "deadman.unset",
            gettext("No dead-man's switch is set: nobody notices when this portal falls silent."),
            gettext("Set DEADMAN_URL to an address that alarms when it is no longer called."),
        )
