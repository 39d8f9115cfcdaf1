"""Create the first operator account and print its password once."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand

from fleet.people.models import User

NAME = "operator"


class Command(BaseCommand):
    help = "Create the operator account if nobody can sign in yet; prints the password once."

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(15)
        User.objects.create_superuser(NAME, password=password)
        self.stdout.write(f"Operator account: {NAME}  password: {password}  (shown once)")
