"""Write rollups, compliance days, scores and the fleet's hours again, of a period."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, date, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from fleet.history.again import draw_again, roll_again
from fleet.history.rollup import SETTLES
from fleet.inspections.again import figure_again, stand_again
from fleet.registry.models import Target

PARTS: Final = ("rollups", "standing", "hours")


def day(text: str) -> date:
    """Read a day; raises ArgumentTypeError with what was given."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day, such as 2026-11-20") from None


class Command(BaseCommand):
    help = (
        "Write history again from what it is made of, day by day (UTC): rollups from raw visits (or "
        "days from hours), compliance days and scores from the record, the fleet's hours from raw "
        "visits. A day is one transaction a part: it may be stopped anywhere and run again, while "
        "the portal runs. What can no longer be made is left as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="since", type=day, required=True, help="the first day")
        parser.add_argument(
            "--to", dest="until", type=day, help="the last day; else the last one closed"
        )
        parser.add_argument(
            "--pair",
            dest="pairs",
            type=int,
            action="append",
            default=[],
            help="only this pair's id; may be given often. Scores and hours are of all pairs: they stay",
        )
        parser.add_argument("--only", choices=PARTS, action="append", help="only this part")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        closed = (now - SETTLES).astimezone(UTC).date() - timedelta(days=1)
        since, until = options["since"], options["until"] or closed
        if until > closed:
            raise CommandError(f"{until} is not over yet: the last day that is closed is {closed}")
        if since > until:
            raise CommandError(f"--from {since} is after --to {until}")
        pairs, parts = self._pairs(options["pairs"]), options["only"] or PARTS
        for n in range((until - since).days + 1):
            self._day(since + timedelta(days=n), pairs, parts)
        if "rollups" in parts:
            self.stdout.write(f"Drew {draw_again()} lines of memory anew.")

    def _pairs(self, wanted: list[int]) -> list[int]:
        known = set(Target.objects.filter(pk__in=wanted).values_list("pk", flat=True))
        if strange := sorted(set(wanted) - known):
            raise CommandError(f"there is no pair {strange[0]}")
        return sorted(known)

    def _day(self, of: date, pairs: list[int], parts: Any) -> None:
        told = []
        if "rollups" in parts:
            source = roll_again(of, timezone.now(), pairs)
            told.append(f"rollups from {source}" if source else "no visits: rollups stay")
        if "standing" in parts:
            told.append("standing" if stand_again(of, pairs) else "nobody visited: no standing")
        if "hours" in parts and not pairs:
            told.append(f"{figure_again(of)} hours")
        self.stdout.write(f"{of}: {', '.join(told)}")
