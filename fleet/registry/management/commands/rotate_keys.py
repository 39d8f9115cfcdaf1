"""Seal every stored secret anew with the first key of FLEET_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fleet.registry.rotate import rotate


class Command(BaseCommand):
    help = (
        "Seal every secret with the newest key (the first of FLEET_KEYS). Safe to run twice and "
        "while the portal runs; when it ends without an error, the older keys may be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate()
        self.stdout.write(f"Sealed {done.sealed} secrets with the newest key.")
        if done.unreadable:
            pairs = ", ".join(done.unreadable)
            raise CommandError(f"None of the keys opens: {pairs}. Type these secrets again.")
