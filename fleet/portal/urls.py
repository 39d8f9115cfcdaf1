"""Addresses of the pages and endpoints that no admin class serves; every view is scoped."""

from __future__ import annotations

from django.urls import path

from fleet.portal import (
    acknowledge_many,
    attestations,
    backup_fleet,
    forecasts,
    mail_page,
    maintenance_form,
    over_time,
    pages,
    past_instant,
    policies,
    policy_many,
    policy_tries,
    spread,
    waiver_form,
)

app_name = "portal"
urlpatterns = [
    path("overview/", pages.overview_panel, name="overview"),
    path("backups/", backup_fleet.show, name="backups"),
    path("zones/", pages.zones, name="zones"),
    path("zones/workers/<int:worker_id>/forget/", pages.forget_worker, name="forget_worker"),
    path("trends/", over_time.show, name="over_time"),
    path("trends/forecasts/", forecasts.show, name="forecasts"),
    path("trends/instant/", past_instant.show, name="past_instant"),
    path("trends/spread/", spread.show, name="spread"),
    path("trends/data/", over_time.data, name="over_time_data"),
    path("trends/<slug:name>/table/", over_time.table, name="over_time_table"),
    path("trends/<slug:name>/csv/", over_time.export, name="over_time_csv"),
    path("rules/", pages.catalogue, name="catalogue"),
    path("rules/<str:rule_id>/", pages.rule, name="rule"),
    path("policies/", policies.listing, name="policies"),
    path("policies/edit/", policies.edit, name="policy_edit"),
    path("policies/pairs/", policy_many.many, name="policy_many"),
    path("policies/versions/", policies.versions, name="policy_versions"),
    path("policies/export/", policies.export, name="policy_export"),
    path("policies/tries/<int:run_id>/", policy_tries.show, name="policy_try"),
    path("policies/tries/<int:run_id>/result/", policy_tries.result, name="policy_try_result"),
    path("policies/tries/<int:run_id>/save/", policy_tries.save, name="policy_try_save"),
    path("findings/acknowledge/", acknowledge_many.answer, name="acknowledge_many"),
    path("waivers/preview/", waiver_form.preview, name="waiver_preview"),
    path("maintenance/preview/", maintenance_form.preview, name="maintenance_preview"),
    path("mails/preview/", mail_page.preview, name="mail_preview"),
    path("attestations/", attestations.listing, name="attestations"),
    path("attestations/attest/", attestations.attest, name="attest"),
    path("attestations/<int:attestation_id>/withdraw/", attestations.end, name="attestation_end"),
]
