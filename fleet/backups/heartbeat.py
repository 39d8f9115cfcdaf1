"""A secret URL that a backup job calls: it began, it is done, it failed. Only the token's hash is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from django.db import transaction

from fleet.backups.models import Artefact, BackupSource, HeartbeatToken
from fleet.registry.arrays import rows_of

Signal = Literal["start", "done", "fail"]
TOKEN_BYTES: Final = 32
HINT: Final = 6
# A job that calls more often than this is turned away: ours.
MOST_A_MINUTE: Final = 12
MOST_COUNT: Final = 2**62
# A start that was so long ago belongs to a run whose end was never told.
LONGEST_RUN: Final = timedelta(days=2)
SAID_EMPTY: Final = "the job that made it reported a size of 0 bytes"
SHA256: Final = re.compile(r"[0-9a-f]{64}")

_COUNT: Final = """
UPDATE backups_heartbeattoken t SET last_used_at = %b,
    window_at = CASE WHEN t.window_at > %b - interval '1 min' THEN t.window_at ELSE %b END,
    window_count = CASE WHEN t.window_at > %b - interval '1 min' THEN t.window_count + 1 ELSE 1 END
FROM backups_backupsource s JOIN registry_target p ON p.id = s.target_id
WHERE t.digest = %b AND t.ended_at IS NULL AND s.id = t.source_id AND s.kind = 'heartbeat'
  AND s.is_enabled AND p.state <> 'archived'
RETURNING t.source_id, t.window_count
"""


class NoSuchToken(Exception):
    """Nobody may call by this token: never made, ended, or its source is off."""


class TooOften(Exception):
    """The job calls more than MOST_A_MINUTE times a minute."""


class BadTelling(ValueError):
    """What the job told is no number or no SHA-256; the text names the field and what is allowed."""


@dataclass(frozen=True)
class Told:
    """What a job may tell of its copy; None where it did not."""

    size_bytes: int | None = None
    keys_count: int | None = None
    duration_s: int | None = None
    sha256: str = ""
    exit_code: int | None = None


def new_token(source: BackupSource, by_id: int | None, now: datetime) -> str:
    """Make one more token of a heartbeat; what is returned is shown once, for it is kept nowhere."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    HeartbeatToken.objects.create(
        source=source, digest=_digest(token), hint=token[:HINT], made_at=now, made_by_id=by_id
    )
    return token


def end_token(token_id: int, source_id: int, now: datetime) -> bool:
    """End a token of this source: whoever calls by it is turned away from now on."""
    rows = HeartbeatToken.objects.filter(pk=token_id, source_id=source_id, ended_at=None)
    return bool(rows.update(ended_at=now))


def beat(token: str, signal: Signal, given: Mapping[str, str], now: datetime) -> None:
    """Take one call. Raises NoSuchToken, TooOften, and BadTelling for what is told beside it."""
    found = rows_of(_COUNT, [now, now, now, now, _digest(token)])
    if not found:
        raise NoSuchToken
    source_id, count = found[0]
    if count > MOST_A_MINUTE:
        raise TooOften
    told = read(given)
    with transaction.atomic():
        source = BackupSource.objects.select_for_update().get(pk=source_id)
        _RECORDS[signal](source, told, now)


def read(given: Mapping[str, str]) -> Told:
    """Read what a job told; names we do not know are passed over. BadTelling says what is wrong."""
    sha256 = given.get("sha256", "").strip().lower()
    if sha256 and not SHA256.fullmatch(sha256):
        raise BadTelling("sha256 must be 64 hexadecimal digits")
    return Told(
        size_bytes=_whole(given, "size"),
        keys_count=_whole(given, "keys"),
        duration_s=_whole(given, "duration"),
        sha256=sha256,
        exit_code=_whole(given, "exit"),
    )


def _whole(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MOST_COUNT):
        raise BadTelling(f"{name} must be a whole number, 0 or more")
    return int(text)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _began(source: BackupSource, _told: Told, now: datetime) -> None:
    _update(source, run_started_at=now)


def _failed(source: BackupSource, told: Told, now: datetime) -> None:
    ended = "" if told.exit_code is None else f" (exit status {told.exit_code})"
    _update(
        source,
        run_started_at=None,
        last_looked_at=now,
        last_reason="job_failed",
        last_text=f"the job reported that it failed{ended}",
    )


def _done(source: BackupSource, told: Told, now: datetime) -> None:
    """Keep a copy that was reported: its content is as old as the run's beginning."""
    began_at = _began_at(source, told, now)
    is_empty = told.size_bytes == 0
    _update(
        source,
        run_started_at=None,
        last_looked_at=now,
        last_ok_at=now,
        last_reason="",
        last_text="",
    )
    Artefact.objects.create(
        source=source,
        key=f"run of {now:%Y-%m-%d %H:%M:%S.%f} UTC",
        state=Artefact.State.EMPTY if is_empty else Artefact.State.REPORTED,
        text=SAID_EMPTY
        if is_empty
        else "reported by the job that made it; nobody else has seen it",
        seen_at=now,
        stored_at=now,
        content_at=began_at,
        stored_bytes=told.size_bytes,
        sha256=told.sha256,
        keys={} if told.keys_count is None else {"all": told.keys_count},
        duration_ms=(now - began_at) // timedelta(milliseconds=1) if began_at < now else None,
    )


def _began_at(source: BackupSource, told: Told, now: datetime) -> datetime:
    if told.duration_s is not None and told.duration_s <= LONGEST_RUN.total_seconds():
        return now - timedelta(seconds=told.duration_s)
    started = source.run_started_at
    return started if started and now - LONGEST_RUN <= started <= now else now


def _update(source: BackupSource, **columns: object) -> None:
    BackupSource.objects.filter(pk=source.pk).update(**columns)


_RECORDS: Final = {"start": _began, "done": _done, "fail": _failed}
