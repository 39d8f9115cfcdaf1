"""Verify now, drill now, pull now, stop; and a heartbeat's tokens: what the backup tab's buttons do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from fleet.alerts.links import absolute
from fleet.backups import heartbeat, jobs
from fleet.backups.jobs import Wish
from fleet.backups.models import Artefact, BackupJob, BackupSource, HeartbeatToken
from fleet.people.models import User
from fleet.portal import backup_tab, pair_page
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Pair

Act = Callable[[HttpRequest, Rows, Pair], HttpResponseBase | None]


@scoped_view
def act(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponseBase:
    """Do what one button asks for, by POST; answer with the tab's body for htmx, or go to the tab."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    pair = pair_page.load(rows, target_id)
    if not rows.may_edit(Pair, pair):
        raise PermissionDenied
    done = ACTS.get(request.POST.get("act", ""))
    if done is None:
        raise Http404("there is no such act")
    answer = done(request, rows, pair)
    if answer is not None:
        return answer
    if "HX-Request" in request.headers:
        context = backup_tab.context(rows, pair, timezone.now())
        return render(request, "portal/backups/body.html", context)
    return _back(pair)


def _back(pair: Pair) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:registry_pair_backups", args=[pair.pk]))


def _number(request: HttpRequest, name: str) -> int:
    return row_number(request.POST.get(name, ""))


def _source(request: HttpRequest, rows: Rows, pair: Pair) -> BackupSource:
    return rows.get(BackupSource, target=pair.pk, pk=_number(request, "source"))


def _ask(request: HttpRequest, wish: Wish) -> None:
    person = request.user if isinstance(request.user, User) else None
    jobs.ask(wish, person.pk if person else None, timezone.now())


def _verify(request: HttpRequest, rows: Rows, pair: Pair) -> None:
    source = _source(request, rows, pair)
    if source.kind not in backup_tab.LISTED:
        raise Http404("nothing of this source can be looked at")
    _ask(request, Wish(BackupJob.Kind.VERIFY, pair.pk, source.pk))


def _verify_copy(request: HttpRequest, rows: Rows, pair: Pair) -> None:
    copy = rows.get(
        Artefact, "source", source__target=pair.pk, pk=_number(request, "copy"), gone_at=None
    )
    if copy.source.kind == BackupSource.Kind.HEARTBEAT:
        raise Http404("this copy cannot be looked at")
    _ask(request, Wish(BackupJob.Kind.VERIFY, pair.pk, copy.source_id, copy.pk))


def _pull(request: HttpRequest, rows: Rows, pair: Pair) -> None:
    source = _source(request, rows, pair)
    if source.kind != BackupSource.Kind.PULL or not source.is_enabled:
        raise Http404("this source pulls nothing, or is off")
    _ask(request, Wish(BackupJob.Kind.PULL, pair.pk, source.pk))


def _drill(request: HttpRequest, _rows: Rows, pair: Pair) -> None:
    _ask(request, Wish(BackupJob.Kind.DRILL, pair.pk))


def _stop(request: HttpRequest, rows: Rows, pair: Pair) -> None:
    job = rows.get(BackupJob, target=pair.pk, pk=_number(request, "job"))
    jobs.cancel(job.pk, timezone.now())


def _new_token(request: HttpRequest, rows: Rows, pair: Pair) -> HttpResponseBase:
    """Make a token and show it, this once."""
    source = _source(request, rows, pair)
    if source.kind != BackupSource.Kind.HEARTBEAT:
        raise Http404("only a heartbeat has tokens")
    person = request.user if isinstance(request.user, User) else None
    token = heartbeat.new_token(source, person.pk if person else None, timezone.now())
    url = absolute(reverse("beat", args=[token]))
    values = {
        **pair_page.shell(rows, pair, "backups"),
        "source": source,
        "url": url,
        "snippet": f"0 3 * * * backup-redis && curl -fsS -m 20 --retry 3 -o /dev/null -d '' {url}",
        "script": f"PAIRKEEPER_BEAT={url} PAIRKEEPER_FILE=/backups/dump.rdb "
        "pairkeeper-heartbeat.sh backup-redis",
    }
    answer = page(request, "portal/backups/token.html", pair.target.name, values)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _end_token(request: HttpRequest, rows: Rows, pair: Pair) -> None:
    token = rows.get(HeartbeatToken, source__target=pair.pk, pk=_number(request, "token"))
    if heartbeat.end_token(token.pk, token.source_id, timezone.now()):
        messages.success(request, _("Ended: whoever calls by it is turned away."))


ACTS: Final[Mapping[str, Act]] = {
    "verify": _verify,
    "verify_copy": _verify_copy,
    "pull": _pull,
    "drill": _drill,
    "stop": _stop,
    "new_token": _new_token,
    "end_token": _end_token,
}
