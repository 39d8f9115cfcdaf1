"""Register the demo fleet from its manifest, or remove it with all it left."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from fleet.inspections.demo import register, remove


class Command(BaseCommand):
    help = (
        "demo register MANIFEST: register the demo fleet; demo remove: remove it and its history."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("register").add_argument("manifest", type=Path)
        actions.add_parser("remove")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            if options["action"] == "remove":
                self.stdout.write(f"Removed {remove()} demo pairs and what belonged to them.")
                return
            entries = json.loads(options["manifest"].read_text())
            self.stdout.write(f"Registered {register(entries, timezone.now())} demo pairs.")
