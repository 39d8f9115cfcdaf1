"""The life of a finding word by word, slowly: whole logs, no bits, no columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks.policy import Settings
from checks.rule import Confirm, Outcome, Severity, Verdict

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Entry = tuple[datetime, str, Severity, bool]  # at, cause, severity, is_quiet


@dataclass
class Episode:
    """One finding: everything that ever happened to it."""

    log: list[Entry] = field(default_factory=list)
    closed_at: datetime | None = None
    severity: Severity | None = None
    acknowledged: list[tuple[datetime, Severity]] = field(default_factory=list)

    def said(self, *causes: str) -> list[datetime]:
        return [at for at, cause, _severity, _quiet in self.log if cause in causes]

    @property
    def openings(self) -> list[datetime]:
        return self.said("opened")

    @property
    def is_open(self) -> bool:
        ends = {"opened": True, "resolved": False, "withdrawn": False, "accepted": False}
        states = [ends[cause] for _at, cause, _severity, _quiet in self.log if cause in ends]
        return states[-1]

    @property
    def flapping_since(self) -> datetime | None:
        told = [entry for entry in self.log if entry[1] in ("flapping", "calm")]
        return told[-1][0] if told and told[-1][1] == "flapping" else None

    @property
    def stale_since(self) -> datetime | None:
        """It is stale until anything conclusive happens to it."""
        for at, cause, _severity, _quiet in reversed(self.log):
            if cause == "stale":
                return at
            if cause in ("fresh", "severity", "resolved", "withdrawn", "accepted", "opened"):
                return None
        return None

    @property
    def acknowledged_until(self) -> datetime | None:
        return self.acknowledged[-1][0] if self.acknowledged else None

    def note(self, at: datetime, cause: str, severity: Severity) -> None:
        """Write a confirmed move down, and whether it makes the finding flap."""
        was_flapping = self.flapping_since is not None
        calm_at = max(self.said("calm"), default=None)
        moves = [
            when
            for when in self.said("opened", "severity", "resolved", "withdrawn")
            if (calm_at is None or when > calm_at) and at - when <= HOUR
        ]
        begins = not was_flapping and len(moves) + 1 >= 4
        self.log.append((at, cause, severity, was_flapping or begins))
        if begins:
            self.log.append((at, "flapping", severity, False))

    def aside(self, at: datetime, cause: str, *, is_quiet: bool) -> None:
        assert self.severity is not None
        self.log.append((at, cause, self.severity, is_quiet))


class Reference:
    """One rule on one target; `episodes` are its findings, oldest first."""

    def __init__(self, settings: Settings, interval: timedelta) -> None:
        self.settings, self.interval = settings, interval
        self.episodes: list[Episode] = []
        self.results: list[bool] = []  # since it last opened or closed: what counts is True
        self.event_at: datetime | None = None
        self.conclusive_at: datetime | None = None

    @property
    def open(self) -> Episode | None:
        return self.episodes[-1] if self.episodes and self.episodes[-1].is_open else None

    @property
    def is_pending(self) -> bool:
        """Fewer further fails than a fresh start needs would open it."""
        if self.open:
            return False
        opens = self.settings.opens
        return any(confirmed([*self.results, *[True] * more], opens) for more in range(opens.times))

    def take(self, verdict: Verdict, at: datetime, *, is_held: bool = False) -> None:
        if verdict.outcome is Outcome.UNKNOWN:
            return
        if verdict.outcome in (Outcome.NOT_APPLICABLE, Outcome.DISABLED):
            self.close("withdrawn", at)
            self.results = []
            return
        before = len(self.open.log) if self.open else 0
        was_stale = self.open is not None and self.open.stale_since is not None
        found = self.open
        if found is None:
            self.towards_opening(verdict, at, is_held=is_held)
        elif self.event_at or self.settings.rule.tells_of_event(verdict.cause):
            self.while_event(found, verdict, at)
        else:
            self.while_open(found, verdict, at)
        self.conclusive_at = at
        if was_stale and found and len(found.log) == before:
            found.aside(at, "fresh", is_quiet=found.flapping_since is not None)

    def towards_opening(self, verdict: Verdict, at: datetime, *, is_held: bool) -> None:
        is_fail = verdict.outcome is Outcome.FAIL
        self.results.append(is_fail)
        is_event = is_fail and self.settings.rule.tells_of_event(verdict.cause)
        if not is_fail or is_held:
            return
        if is_event or confirmed(self.results, self.settings.opens):
            assert verdict.severity is not None
            self.results, self.event_at = [], at if is_event else None
            self.begin(verdict.severity, at)

    def begin(self, severity: Severity, at: datetime) -> None:
        last = self.episodes[-1] if self.episodes else None
        if last is None or at - (last.closed_at or at) > 7 * DAY:
            self.episodes.append(Episode())
        elif last.acknowledged_until and (
            last.acknowledged_until <= at
            or (last.severity is not None and severity.rank > last.severity.rank)
        ):
            last.acknowledged.clear()
        now = self.episodes[-1]
        now.severity, now.closed_at = severity, None
        now.note(at, "opened", severity)

    def while_open(self, found: Episode, verdict: Verdict, at: datetime) -> None:
        claims = self.claims(found, verdict)
        self.results.append(not claims)
        if confirmed(self.results, self.settings.resolves):
            self.close("resolved", at)
        elif claims:
            self.grade(found, max(claims, key=lambda one: one.rank), at)

    def while_event(self, found: Episode, verdict: Verdict, at: datetime) -> None:
        claims = self.claims(found, verdict)
        if verdict.outcome is Outcome.FAIL:
            if self.settings.rule.tells_of_event(verdict.cause):
                self.event_at = at
            self.grade(found, max(claims, key=lambda one: one.rank), at)
        elif not claims and (self.event_at is None or at - self.event_at >= DAY):
            self.close("resolved", at)

    def claims(self, found: Episode, verdict: Verdict) -> list[Severity]:
        """List the severities that this verdict gives an open finding."""
        claims = []
        if verdict.outcome is Outcome.FAIL and verdict.severity:
            claims.append(verdict.severity)
        if verdict.keeps and found.severity:
            claims.append(min(verdict.keeps, found.severity, key=lambda one: one.rank))
        return claims

    def grade(self, found: Episode, severity: Severity, at: datetime) -> None:
        if found.severity is None or severity is found.severity:
            return
        if severity.rank > found.severity.rank:
            found.acknowledged.clear()
        found.severity = severity
        found.note(at, "severity", severity)

    def close(self, cause: str, at: datetime) -> None:
        found = self.open
        if found and found.severity:
            found.note(at, cause, found.severity)
            found.closed_at = at
            self.results, self.event_at = [], None

    def acknowledge(self, until: datetime, at: datetime) -> None:
        found = self.open
        if found and found.severity:
            found.acknowledged.append((until, found.severity))
            found.aside(at, "acknowledged", is_quiet=False)

    def tick(self, at: datetime) -> None:
        for one in self.episodes:
            is_late = self.conclusive_at and at - self.conclusive_at >= 3 * self.interval
            if one is self.open and is_late and one.stale_since is None:
                one.aside(at, "stale", is_quiet=one.flapping_since is not None)
            last = max(one.said("opened", "severity", "resolved", "withdrawn"))
            if one.flapping_since and at - last >= HOUR / 2:
                one.aside(at, "calm", is_quiet=False)


def confirmed(results: list[bool], confirm: Confirm) -> bool:
    return sum(results[-confirm.of :]) >= confirm.times
