"""The sign-in form: Unfold's, with a refusal in our words that tells nothing of which part is wrong."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # Unfold has no types
    """Asks for name and password."""

    error_messages: ClassVar = {
        "invalid_login": _("Name or password is wrong, or the account is switched off."),
        "inactive": _("Name or password is wrong, or the account is switched off."),
    }
