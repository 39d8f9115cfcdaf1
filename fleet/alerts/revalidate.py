"""What does a mail still have to tell? Looked up right before each attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from fleet.alerts import settle
from fleet.alerts.decide import Fate, News, decide
from fleet.alerts.gather import GROUPED, Say
from fleet.alerts.letter import Move
from fleet.alerts.models import Mail
from fleet.alerts.news import in_mail
from fleet.alerts.reminders import Due, of_mail
from fleet.findings.maintenance import silenced

# Reasons that say nothing about what the reader may have been told before.
UNTOLD = ("stopped", "archived")


@dataclass(frozen=True)
class Still:
    """What is left to tell: news, or what to remind of; other kinds of mails have neither."""

    is_any: bool
    says: tuple[Say, ...] = ()
    reminds: tuple[Due, ...] = ()

    @property
    def finding_ids(self) -> list[int] | None:
        """Give the findings told of; None where the mail is about none."""
        ids = [say.news.finding_id for say in self.says]
        return [*ids, *(one.finding_id for one in self.reminds)] or None


def still_to_tell(mail: Mail, now: datetime) -> Still:
    """Look at a mail's news once more, and settle what fell away before the attempt is made.

    What is left in the mail is then exactly what this attempt says.
    """
    if not mail.channel.is_told:
        return Still(is_any=False)
    if mail.kind == Mail.Kind.REMINDER:
        reminds = tuple(of_mail(mail, now))
        return Still(is_any=bool(reminds), reminds=reminds)
    if mail.kind not in GROUPED:
        return Still(is_any=True)
    news = in_mail(mail.pk)
    quiet = silenced({one.target_id for one in news}, now)
    fates = [(one, _fate(mail, one, now, is_silenced=one.target_id in quiet)) for one in news]
    says = tuple(Say(one, fate.move) for one, fate in fates if fate.kind == "tell" and fate.move)
    _settle(mail, fates, now)
    return Still(is_any=bool(says), says=says)


def count_as_told(mail_id: int, now: datetime) -> None:
    """Take it that a mail was read which is given up in doubt: the end of what it told is told too."""
    openings = [one for one in in_mail(mail_id) if not one.is_told_open]
    settle.tell(mail_id, [(one, Move.OPENED) for one in openings], now)


def _fate(mail: Mail, news: News, now: datetime, *, is_silenced: bool) -> Fate:
    fate = decide(news, now, is_silenced=is_silenced)
    if mail.is_doubtful and fate.reason == "told":
        # An earlier attempt may have told its reader of the end, and it is open again.
        return Fate("tell", move=Move.OPENED)
    return fate


@transaction.atomic
def _settle(mail: Mail, fates: Sequence[tuple[News, Fate]], now: datetime) -> None:
    dropped = [(one, fate) for one, fate in fates if fate.kind == "drop"]
    settle.put_back(one for one, fate in fates if fate.kind == "hold")
    settle.drop(dropped)
    if mail.is_doubtful:
        # An earlier attempt may have told its reader: then the end must be told as well.
        maybe = [one for one, fate in dropped if fate.reason not in UNTOLD and not _is_settled(one)]
        settle.tell(mail.pk, [(one, Move.OPENED) for one in maybe], now)


def _is_settled(news: News) -> bool:
    """Tell whether this opening counts as told already, and maybe as over since."""
    return news.is_told_open or (news.told is not None and news.told.opened_at == news.opened_at)
