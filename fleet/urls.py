"""Every address of the portal."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from fleet.portal import heartbeat
from fleet.portal.healthz import healthz

handler403 = "fleet.portal.errors.refused"
handler404 = "fleet.portal.errors.not_found"

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    # What mails lead to: short, and the same wherever the page moves.
    path(
        "f/<int:finding_id>/",
        RedirectView.as_view(url="/admin/findings/finding/%(finding_id)s/change/"),
        name="finding",
    ),
    # Where backup jobs call; the token is the right.
    path("beat/<str:token>", heartbeat.take, name="beat"),
    path("beat/<str:token>/start", heartbeat.take, {"signal": "start"}, name="beat_start"),
    path("beat/<str:token>/fail", heartbeat.take, {"signal": "fail"}, name="beat_fail"),
    path("mail/", include("fleet.portal.mail_urls")),
    path("admin/", include("fleet.portal.urls")),
    path("admin/", admin.site.urls),
]
