"""Secrets at rest: a sealed value, or a reference to where the secret is; never the secret itself.

A stored secret is one of `sealed:<Fernet token>`, `env:NAME` and `file:/path`. Only `reveal`
turns it into the secret, and only where a connection is made.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

PREFIX = "sealed:"
ENV_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,200}")


class SecretError(Exception):
    """A secret cannot be sealed or revealed; the text names the place, never the value."""


def key_ring() -> MultiFernet:
    """Read the keys of FLEET_KEYS, newest first."""
    if not settings.FLEET_KEYS:
        raise SecretError("FLEET_KEYS is empty: secrets can be neither sealed nor read")
    try:
        return MultiFernet([Fernet(key) for key in settings.FLEET_KEYS])
    except ValueError as error:
        raise SecretError("FLEET_KEYS holds a key that is no Fernet key") from error


def ring_keys() -> list[bytes]:
    """Give the 32 bytes of each key of the ring, newest first, for what is no token; as key_ring()."""
    key_ring()
    return [base64.urlsafe_b64decode(key) for key in settings.FLEET_KEYS]


def seal(secret: str) -> str:
    """Turn what a person typed into what is stored: references stay, everything else is encrypted."""
    if secret.startswith(("env:", "file:")):
        check_reference(secret)
        return secret
    return PREFIX + key_ring().encrypt(secret.encode()).decode()


def check_reference(reference: str) -> None:
    """Refuse a reference outside what the operator opened: SecretError says what is allowed."""
    kind, _sep, where = reference.partition(":")
    if kind == "env":
        prefix = settings.SECRET_ENV_PREFIX
        if not where.startswith(prefix) or not ENV_NAME.fullmatch(where):
            raise SecretError(f"env:{where} is not allowed: the name must begin with {prefix}")
        return
    _secret_file(where)


def _secret_file(where: str) -> Path:
    root = settings.SECRET_FILES_ROOT
    if not root:
        raise SecretError("file: references are switched off: SECRET_FILES_ROOT is not set")
    path = Path(where).resolve()
    if not path.is_relative_to(Path(root).resolve()):
        raise SecretError(f"file:{where} is not allowed: it must lie below {root}")
    return path


def reveal(stored: str) -> str:
    """Return the secret behind a stored value; "" stays "". SecretError where it cannot be read."""
    if not stored:
        return ""
    if stored.startswith(PREFIX):
        try:
            return key_ring().decrypt(stored.removeprefix(PREFIX).encode()).decode()
        except InvalidToken:
            raise SecretError("a sealed value fits none of the keys in FLEET_KEYS") from None
    check_reference(stored)
    return _resolve(stored)


def _resolve(reference: str) -> str:
    kind, _sep, where = reference.partition(":")
    if kind == "env":
        value = os.environ.get(where)
        if value is None:
            raise SecretError(f"env:{where} is not set for this process")
        return value
    try:
        return _secret_file(where).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"file:{where} cannot be read: {type(error).__name__}") from None


def is_stored_form(value: str) -> bool:
    """Say whether this is a sealed value or a reference, and not a secret in clear."""
    return not value or value.startswith((PREFIX, "env:", "file:"))


if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField


class SealedField(_TextField):
    """A column that takes only sealed values and references: a clear secret raises before the database."""

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, str) and not is_stored_form(value):
            raise SecretError(f"{self.name} was about to be stored in clear; seal it first")
        return super().get_prep_value(value)

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        if isinstance(value, str) and not is_stored_form(value):
            raise ValidationError(_("Seal the secret first."))
        super().validate(value, model_instance)
