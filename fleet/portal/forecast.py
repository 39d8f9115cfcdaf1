"""When one pair's Redis reaches its threshold, and how many mailboxes fit until then. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from checks.facts import Growth, Missing
from checks.growth import Mailboxes
from checks.policy import Policy

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Beyond this a forecast says nothing; as checks/rules/forecast.py.
FAR_DAYS: Final = 3650
FORECAST, PROVISIONING = "redis.memory-forecast", "redis.memory-provisioning"


@dataclass(frozen=True)
class Forecast:
    """One pair's memory: its line, its ceiling, and what follows from them.

    `threshold_ratio` is the share of the ceiling that its policy watches (0 to 1). Days are counted
    from the line's last day; None: beyond ten years, or without a line that rises.
    """

    growth: Growth | None
    ceiling_bytes: int | None
    threshold_ratio: float
    lean_bytes: int  # what a mailbox is planned with: from …
    typical_bytes: int  # … to
    mailboxes: Mailboxes | None

    @property
    def threshold_bytes(self) -> float | None:
        """Give the bytes at which the rule fails."""
        return None if self.ceiling_bytes is None else self.threshold_ratio * self.ceiling_bytes

    @property
    def is_growing(self) -> bool:
        """Tell whether it grows at all, as far as its days show."""
        return self.growth is not None and self.growth.is_steady

    @property
    def is_over(self) -> bool:
        """Tell whether the line has reached the threshold."""
        return (
            self.growth is not None
            and self.threshold_bytes is not None
            and self.growth.level_bytes >= self.threshold_bytes
        )

    @property
    def likely_days(self) -> float | None:
        """Give the days until the threshold at the middle slope."""
        return self._days(self.growth.slope_bytes) if self.growth else None

    @property
    def likely_at(self) -> datetime | None:
        """Give the day on which the threshold is reached."""
        return self._at(self.likely_days)

    @property
    def soonest_at(self) -> datetime | None:
        """Give the first likely day."""
        return self._at(self._days(self.growth.high_bytes)) if self.growth else None

    @property
    def latest_at(self) -> datetime | None:
        """Give the last likely day; None: in over ten years."""
        return self._at(self._days(self.growth.low_bytes)) if self.growth else None

    @property
    def each_bytes(self) -> float | None:
        """Give the bytes per mailbox as measured; None: too few mailboxes, or not counted."""
        each = self.mailboxes.each_bytes if self.mailboxes else None
        return None if isinstance(each, Missing) else each

    @property
    def left_count(self) -> int | None:
        """Give how many more mailboxes fit until the threshold."""
        if self.mailboxes is None or self.threshold_bytes is None:
            return None
        left = self.mailboxes.left(self.threshold_bytes)
        return None if isinstance(left, Missing) else left

    @property
    def planned(self) -> str:
        """Compare a mailbox with what is planned for one: "below", "within" or "above"."""
        each = self.each_bytes
        if each is None:
            return ""
        if each < self.lean_bytes:
            return "below"
        return "within" if each <= self.typical_bytes else "above"

    def _days(self, slope_bytes: float) -> float | None:
        if self.growth is None or self.threshold_bytes is None or not self.is_growing:
            return None
        days = self.growth.days_until(self.threshold_bytes, slope_bytes)
        return days if days <= FAR_DAYS else None

    def _at(self, days: float | None) -> datetime | None:
        if days is None or self.growth is None:
            return None
        return EPOCH + timedelta(days=self.growth.last_day + int(days))


def forecast(
    growth: Growth | None,
    ceiling_bytes: int | None,
    policy: Policy,
    mailboxes: Mailboxes | None,
) -> Forecast:
    """Put together what a pair's policy says with what was measured."""
    watched: Any = policy[FORECAST].limits
    planned: Any = policy[PROVISIONING].limits
    return Forecast(
        growth,
        ceiling_bytes,
        watched.warn_used_ratio,
        planned.lean_mailbox_bytes,
        planned.typical_mailbox_bytes,
        mailboxes,
    )
