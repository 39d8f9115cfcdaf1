"""Addresses of one pair: its views, their parts, and what its buttons do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpResponseBase
from django.urls import URLPattern, path

from fleet.portal import (
    attestations,
    backup_acts,
    backup_download,
    backup_sizes,
    backup_tab,
    changes,
    check_now,
    evidence,
    forecasts,
    maintenance_form,
    pair_mail,
    pair_page,
    past_findings,
    trends,
)
from fleet.portal.pair_moves import change_state

# Below the pair's own address, the view, and the end of its name.
VIEWS: Final[tuple[tuple[str, Callable[..., HttpResponseBase], str], ...]] = (
    ("body/", pair_page.body, "body"),
    ("check/", check_now.start, "check"),
    ("check/progress/", check_now.progress, "progress"),
    ("trend/", trends.data, "trend"),
    ("trend/<slug:name>/", trends.table, "trend_table"),
    ("trend/<slug:name>/csv/", trends.export, "trend_csv"),
    ("forecast/", forecasts.of_pair, "forecast"),
    ("evidence/", evidence.show, "evidence"),
    ("findings/", past_findings.show, "past"),
    ("mail/", pair_mail.show, "mail"),
    ("attestations/", attestations.of_pair, "attestations"),
    ("backups/", backup_tab.show, "backups"),
    ("backups/body/", backup_tab.body, "backups_body"),
    ("backups/copies/<int:copy_id>/download/", backup_download.start, "backup_download"),
    ("backups/act/", backup_acts.act, "backup_act"),
    ("backups/sizes/", backup_sizes.data, "backup_sizes"),
    ("changes/", changes.show, "changes"),
    ("maintenance/", maintenance_form.start_now, "maintenance"),
    ("state/", change_state, "state"),
)


def of_one() -> list[URLPattern]:
    """Give the addresses; each view looks after who may see the pair."""
    return [
        path(f"<int:target_id>/{route}", view, name=f"registry_pair_{name}")
        for route, view, name in VIEWS
    ]
