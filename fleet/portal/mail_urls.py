"""Addresses that mails lead to without a sign-in; each carries its own signature."""

from __future__ import annotations

from django.urls import path

from fleet.portal import mail_pages

app_name = "mail"
urlpatterns = [
    path("verify/<str:token>/", mail_pages.verify, name="verify"),
    path("<str:token>/", mail_pages.channel, name="channel"),
    path("<str:token>/stop/", mail_pages.stop, name="stop"),
    path("<str:token>/resume/", mail_pages.resume, name="resume"),
]
