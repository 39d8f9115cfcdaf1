"""What a person sees where a page is not there, not theirs, or broken: what happened, and where to go."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from fleet.people.models import User
from fleet.portal.scoped_admin import page


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001  Django's
    """Answer 404; it says the same of what is somebody else's."""
    words = _("There is nothing at this address, or it is not yours to see.")
    return _answer(request, HTTPStatus.NOT_FOUND, _("Page not found"), words)


def refused(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001  Django's
    """Answer 403."""
    words = _("Your role does not allow it. An operator can change your memberships under People.")
    if isinstance(user := getattr(request, "user", None), User) and user.is_superuser:
        words = _(
            "Nobody may do this, whatever their role: a record or a rule of the portal forbids it."
        )
    return _answer(request, HTTPStatus.FORBIDDEN, _("Not allowed"), words)


def too_old(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  Django's
    """Answer a form whose token does not fit: most often the sign-in page stood open too long."""
    words = _(
        "This form stood open too long, or cookies are off. Go back, reload, and send it again."
    )
    return _answer(request, HTTPStatus.FORBIDDEN, _("The form has expired"), words)


def _answer(request: HttpRequest, status: HTTPStatus, title: str, words: str) -> HttpResponse:
    """Show it in the portal's shell to who has signed in, else on a page of its own."""
    values: dict[str, Any] = {"words": words, "code": status.value}
    if isinstance(getattr(request, "user", None), User):
        answer: TemplateResponse = page(request, "portal/error.html", title, values)
    else:
        answer = TemplateResponse(request, "error.html", {**values, "title": title})
    answer.status_code = status
    return answer.render()
