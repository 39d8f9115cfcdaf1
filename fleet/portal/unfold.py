"""How Unfold looks here: name, colours and menu. Imported by the settings, so it imports no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

# Petrol; step 500 is light enough for the active menu entry in dark.
PRIMARY = {
    "50": "oklch(97% .012 220)",
    "100": "oklch(94% .025 220)",
    "200": "oklch(88% .045 220)",
    "300": "oklch(80% .07 220)",
    "400": "oklch(74% .085 220)",
    "500": "oklch(68% .1 220)",
    "600": "oklch(50% .09 220)",
    "700": "oklch(42% .075 220)",
    "800": "oklch(36% .065 220)",
    "900": "oklch(30% .055 220)",
    "950": "oklch(22% .04 220)",
}


def _asset(path: str) -> Callable[[HttpRequest], str]:
    return lambda _request: static(path)


def _entry(title: Any, icon: str, route: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(route), **more}


def _is_zones(request: HttpRequest) -> bool:
    return request.path.startswith(("/admin/zones/", "/admin/registry/zone/"))


def _is_trends(request: HttpRequest) -> bool:
    return request.path.startswith("/admin/trends/")


# Unfold takes callables only as dotted names where they may import models.
MENU: list[dict[str, Any]] = [
    {
        "items": [
            _entry(_("Overview"), "monitoring", "admin:index"),
            _entry(_("Pairs"), "join", "admin:registry_pair_changelist"),
            _entry(
                _("Findings"),
                "flag_2",
                "admin:findings_finding_changelist",
                badge="fleet.portal.pages.open_criticals",
            ),
            _entry(_("Tenants"), "domain", "admin:registry_tenant_changelist"),
            _entry(_("Trends"), "timeline", "portal:over_time", active=_is_trends),
            _entry(_("Backups"), "backup", "portal:backups"),
            _entry(_("Waivers"), "approval", "admin:findings_waiver_changelist"),
            _entry(_("Maintenance"), "build", "admin:findings_maintenancewindow_changelist"),
        ]
    },
    {
        "title": _("Rules"),
        "separator": True,
        "items": [
            _entry(_("Catalogue"), "rule", "portal:catalogue"),
            _entry(
                _("Policies"),
                "tune",
                "portal:policies",
                permission="fleet.portal.pages.sees_fleet",
            ),
            _entry(_("Attestations"), "verified", "portal:attestations"),
        ],
    },
    {
        "title": _("Mail"),
        "separator": True,
        "items": [
            _entry(_("Channels"), "contact_mail", "admin:alerts_channel_changelist"),
            _entry(_("Deliveries"), "outgoing_mail", "admin:alerts_mail_changelist"),
        ],
    },
    {
        "title": _("Portal"),
        "separator": True,
        "items": [
            _entry(_("Zones and workers"), "hub", "portal:zones", active=_is_zones),
            _entry(
                _("People"),
                "group",
                "admin:people_user_changelist",
                permission="fleet.portal.pages.sees_fleet",
            ),
            _entry(
                _("Settings"),
                "settings",
                "admin:registry_fleetsettings_changelist",
                permission="fleet.portal.pages.sees_fleet",
            ),
        ],
    },
]
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Pairkeeper",
    "SITE_HEADER": "Pairkeeper",
    "SITE_SUBHEADER": _("EmailEngine + Redis fleet"),
    "SITE_SYMBOL": "join",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _asset("portal/favicon.svg")}
    ],
    "SHOW_BACK_BUTTON": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {"primary": PRIMARY},
    "STYLES": [_asset("portal/portal.css")],
    "SCRIPTS": [_asset("portal/portal.js")],
    "SIDEBAR": {"show_search": False, "navigation": MENU},
    "LOGIN": {"form": "fleet.portal.sign_in.SignInForm"},
    "DASHBOARD_CALLBACK": "fleet.portal.pages.dashboard",
}
