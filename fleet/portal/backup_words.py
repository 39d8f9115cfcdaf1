"""A pair's backups in words: the one sentence, the state of each copy, and of each source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks.attest import Value
from checks.render import duration
from fleet.backups.models import Artefact, BackupJob, BackupSource, Drill
from fleet.portal.figures import long_age, short_age

State = Artefact.State
MOST_DATABASES: Final = 6  # named in a cell
GOOD: Final = (State.INTACT, State.UNCHECKED, State.REPORTED)
# The tone of a state: a key of marks.MARKS.
TONES: Final = {
    State.SEEN: "pending",
    State.INTACT: "pass",
    State.UNCHECKED: "warning",
    State.TRUNCATED: "critical",
    State.CORRUPT: "critical",
    State.EMPTY: "critical",
    State.UNREADABLE: "unknown",
    State.REPORTED: "info",
}
BAD: Final = (State.TRUNCATED, State.CORRUPT, State.EMPTY)
OUTCOMES: Final = {
    Drill.Outcome.PASSED: "pass",
    Drill.Outcome.FAILED: "critical",
    Drill.Outcome.NOT_DONE: "unknown",
}
DOING: Final = {
    BackupJob.Kind.VERIFY: gettext_lazy("Verifying"),
    BackupJob.Kind.PULL: gettext_lazy("Pulling"),
    BackupJob.Kind.DRILL: gettext_lazy("Restoring"),
}


def sentence(
    newest: Artefact | None, drill: Drill | None, hours: Value | None, now: datetime
) -> tuple[str, str]:
    """Say what a loss would cost, and how it is known: a key of MARKS and the words.

    `hours` lie between the provider's snapshots, as attested; None where nothing is.
    """
    if newest is None and not hours:
        return "critical", _(
            "If this Redis died now you would lose everything: no good copy is known."
        )
    if newest is None:
        words = _(
            "If this Redis died now you would lose up to %(age)s by what is attested; no copy "
            "can be read here to prove it."
        )
        return "unknown", words % {"age": long_age(int(hours or 0) * 3600)}
    at = newest.content_at or newest.stored_at or newest.seen_at
    lost = long_age((now - at).total_seconds())
    if newest.state == State.REPORTED:
        lost = _("%(age)s, if its job is right") % {"age": lost}
    if drill is None or drill.outcome != Drill.Outcome.PASSED:
        words = _(
            "If this Redis died now you would lose up to %(age)s; no restore of a copy has been "
            "proven."
        )
        return "warning", words % {"age": lost}
    words = _(
        "If this Redis died now you would lose up to %(age)s; the last proven restore took "
        "%(took)s."
    )
    took = _("an unknown time") if drill.load_ms is None else duration(drill.load_ms / 1000)
    return "pass", words % {"age": lost, "took": took}


def of_source(
    source: BackupSource, newest_good: Artefact | None, bad: Artefact | None, now: datetime
) -> tuple[str, str]:
    """Say how a source stands: a key of MARKS and a few words. `bad` is its newest copy, if bad."""
    if source.is_on_trial:
        words = _("On trial: it failed") if source.last_reason else _("On trial: looked at first")
        return ("warning" if source.last_reason else "pending"), words
    if not source.is_enabled:
        return "disabled", _("Off")
    if bad is not None:
        words = _("Newest copy: %(state)s") % {"state": str(bad.get_state_display()).lower()}
        return "critical", words
    if newest_good is None:
        return "unknown", _("No good copy yet")
    at = newest_good.content_at or newest_good.stored_at or newest_good.seen_at
    age_s = (now - at).total_seconds()
    if age_s > source.interval_s + source.grace_s:
        return "warning", _("Late: %(age)s old") % {"age": short_age(age_s)}
    return ("warning", _("In trouble")) if source.last_reason else ("pass", _("In time"))


def by_database(keys: Mapping[str, int]) -> str:
    """Say how many keys each database holds; "" where there is only one to tell of."""
    if len(keys) < 2:
        return ""
    told = [f"db{number} {keys[number]:,}" for number in _in_order(keys)[:MOST_DATABASES]]
    return " · ".join([*told, *_and_more(keys)])


def compared(drill: Drill) -> list[str]:
    """Say of each database what came back, what its copy holds and what the live server has."""
    if not drill.keys:  # nothing came back to be compared
        return []
    counts = (drill.keys, drill.artefact_keys, drill.live_keys)
    numbers = _in_order({number for keys in counts for number in keys})
    words = _("db%(number)s: %(found)s restored, %(copy)s in the copy, %(live)s live")
    lines = []
    for number in numbers[:MOST_DATABASES]:
        found, copy, live = (_counted(keys, number) for keys in counts)
        lines.append(words % {"number": number, "found": found, "copy": copy, "live": live})
    return [*lines, *_and_more(numbers)]


def _in_order(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=int)


def _counted(keys: Mapping[str, int], number: str) -> str:
    """Give a database's keys; a server that could not be asked, or was not counted, has none to tell."""
    return f"{keys.get(number, 0):,}" if keys else _("not known")


def _and_more(numbers: Collection[str]) -> list[str]:
    over = len(numbers) - MOST_DATABASES
    return [_("and %(count)d more") % {"count": over}] if over > 0 else []


def progress(job: BackupJob) -> str:
    """Say how far a job is."""
    if job.state == BackupJob.State.WAITING:
        return _("Waiting for a worker of the zone")
    doing = str(DOING[BackupJob.Kind(job.kind)])
    if job.cancel_asked_at:
        return _("Stopping…")
    if not job.done_bytes:
        return _("%(doing)s…") % {"doing": doing}
    if job.total_bytes:
        share = min(100, job.done_bytes * 100 // job.total_bytes)
        return _("%(doing)s… %(share)d%%") % {"doing": doing, "share": share}
    return _("%(doing)s… %(done)s MiB") % {"doing": doing, "done": f"{job.done_bytes >> 20:,}"}
