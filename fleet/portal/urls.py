"""Addresses of the pages and endpoints that no admin class serves; every view is scoped."""

from __future__ import annotations

from django.urls import path

from fleet.portal import pages

app_name = "portal"
urlpatterns = [
    path("overview/", pages.overview_panel, name="overview"),
    path("zones/", pages.zones, name="zones"),
    path("zones/workers/<int:worker_id>/forget/", pages.forget_worker, name="forget_worker"),
    path("rules/", pages.catalogue, name="catalogue"),
    path("rules/<str:rule_id>/", pages.rule, name="rule"),
]
