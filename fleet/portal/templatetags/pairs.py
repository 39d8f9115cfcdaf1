"""Template tags of the pair and the finding pages: words for states, effects and test steps."""

from __future__ import annotations

from typing import Final

from django import template
from django.utils.translation import gettext_lazy as _

from checks.render import THIN, duration
from checks.rule import Effect
from fleet.portal import figures, ladder_page, marks
from fleet.portal.reasons import Text

register = template.Library()

EFFECTS: Final[dict[Effect, Text]] = {
    Effect.NO_RESTART: _("No restart"),
    Effect.RESTART: _("Restart needed"),
    Effect.CONSOLE: _("In the provider’s console"),
    Effect.NONE: _("Nothing to change on the server"),
}
STEPS: Final[dict[str, Text]] = {
    "name": _("Name"),
    "connection": _("Connection"),
    "tls": _("TLS"),
    "sign_in": _("Sign-in"),
    "rights": _("Rights"),
    "emailengine": _("EmailEngine"),
}


@register.simple_tag
def word(state: str) -> Text:
    """Give the word of a state without its symbol."""
    return marks.MARKS[state].word


@register.filter
def effect(value: Effect) -> Text:
    """Say what a remediation does to the server."""
    return EFFECTS[value]


@register.filter
def step(name: str) -> Text:
    """Name a rung of the connection test."""
    return STEPS.get(name, name)


@register.filter
def lasted(seconds: float) -> str:
    """Write how long something lasted: `3 h 12 min`."""
    return figures.long_age(seconds)


@register.filter
def lasted_ms(value_ms: float) -> str:
    """Write how long something took that was measured in ms: `41 s`, `0.4 s`."""
    return duration(value_ms / 1000)


@register.filter
def rung_mark(state: str) -> str:
    """Name the mark of a rung's state."""
    return ladder_page.MARKS[state]


@register.filter
def rung_ms(value: float) -> str:
    """Write how long a rung took: `3 ms`, and `< 1 ms` below one."""
    return f"{value:,.0f}{THIN}ms" if value >= 1 else f"<{THIN}1{THIN}ms"
