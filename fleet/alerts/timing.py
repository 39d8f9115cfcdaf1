"""How long mail waits, how often it comes, and how much of it: every figure with its origin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

# Grouping. Source: design §6.
FIRST_WINDOW: Final = timedelta(seconds=30)  # what else happens is in the first mail too
UPDATE_WINDOW: Final = timedelta(minutes=5)  # between two mails about one tenant

# A storm. Source: design §6; the floor is ours: 20 % of a zone of five pairs is one pair.
STORM_PAIRS: Final = 25
STORM_ZONE_RATIO: Final = 0.20
STORM_ZONE_FLOOR: Final = 10
# Ours. What joins a storm this long after its fleet mail belongs to it: a health interval, its
# confirmation and a fast re-probe fit in twice.
STORM_TAIL: Final = timedelta(minutes=5)
# Ours. Tenants get one mail about their part: once nothing has come for CALM, or after PATIENCE.
STORM_CALM: Final = timedelta(seconds=30)
STORM_PATIENCE: Final = timedelta(seconds=120)

# So many mails about one target to one channel, whatever rules move; what comes later waits, and
# only the difference is told. Source: issue "Findings through time", flapping: 3 in half an hour.
TELL_AT_MOST: Final = 3
TELL_WITHIN: Final = timedelta(minutes=30)
# Ours. What was told of already may wait longer than what is new.
TELL_AGAIN_WITHIN: Final = timedelta(hours=1)

# Mails about findings to one address; the last of them collects what is left. Ours: one mail in
# three minutes is the most that somebody can follow.
CAP: Final = 20
CAP_WITHIN: Final = timedelta(hours=1)

# Reminders. Source: design §6: critical 4 h × 3 then daily, warning daily.
CRITICAL_REMINDER: Final = timedelta(hours=4)
CRITICAL_REMINDERS: Final = 3
DAILY_REMINDER: Final = timedelta(hours=24)
# Ours. What is due so soon comes along, so that reminders of one tenant meet in one mail.
REMINDER_SLACK: Final = timedelta(minutes=30)

# Sending. Source: design §6: 1 min → 1 h, for 24 h.
FIRST_RETRY: Final = timedelta(minutes=1)
LAST_RETRY: Final = timedelta(hours=1)
GIVE_UP: Final = timedelta(hours=24)
# Ours. Longer than all steps of an SMTP dialogue at EMAIL_TIMEOUT each, so that a sender that is
# merely slow keeps its mail.
LEASE: Final = timedelta(seconds=120)
# Ours. A mail server that hangs may hold so many of a worker's eight threads.
SENDERS: Final = 3

# Ours: an alarm that is over within this was not worth a mail.
ALARM_GRACE: Final = timedelta(seconds=60)
# Weekly reports come on Mondays, at the digest hour. Ours.
WEEKLY_DAY: Final = 0


def backoff(attempts: int) -> timedelta:
    """Give how long to wait after this many attempts: 1, 2, 4 … minutes, an hour at most."""
    return min(FIRST_RETRY * (1 << min(attempts - 1, 10)), LAST_RETRY)


def next_reminder(severity: str, reminders_count: int, now: datetime) -> datetime:
    """Give when to remind of a finding that was told, or last reminded of, now."""
    is_soon = severity == "critical" and reminders_count < CRITICAL_REMINDERS
    return now + (CRITICAL_REMINDER if is_soon else DAILY_REMINDER)
