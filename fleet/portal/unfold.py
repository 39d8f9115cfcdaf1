"""How Unfold looks here: name, colours and menu. Imported by the settings, so it imports no model."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Pairkeeper",
    "SITE_HEADER": "Pairkeeper",
    "SITE_SUBHEADER": "EmailEngine + Redis fleet",
}
