"""Hand a pulled copy out, unsealed, to who may change its pair: each time on record."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from checks.probes.rdb import BadPacking
from fleet.backups.models import Artefact, BackupSource
from fleet.backups.opening import plain_copy
from fleet.backups.places import Moving, Trouble
from fleet.backups.sealing import SealBroken
from fleet.people.models import User
from fleet.portal.scoped_admin import Rows, scoped_view
from fleet.registry.models import Pair
from fleet.registry.sealed import SecretError

logger = logging.getLogger(__name__)
MOST_REASON = 100  # characters, of the history's column


@scoped_view
def start(request: HttpRequest, rows: Rows, target_id: int, copy_id: int) -> HttpResponseBase:
    """Answer a POST with the copy as the RDB that a server loads; who took it stands in the changes."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    copy = rows.get(
        Artefact,
        "source__target__tenant",
        "source__target__pair",
        pk=copy_id,
        source__target=target_id,
        source__kind=BackupSource.Kind.PULL,
        gone_at=None,
    )
    if not rows.may_edit(Pair, copy.source.target.pair):
        raise PermissionDenied
    opened = ExitStack()
    try:
        pieces = opened.enter_context(plain_copy(copy, timezone.now()))
        first = next(pieces, b"")
    except (Trouble, Moving, SecretError, SealBroken, BadPacking) as error:
        opened.close()
        messages.error(request, _("It cannot be opened here: %(why)s") % {"why": error})
        return HttpResponseRedirect(reverse("admin:registry_pair_backups", args=[target_id]))
    _put_on_record(copy, request.user if isinstance(request.user, User) else None)
    logger.info("copy handed out artefact=%d person=%s", copy.pk, request.user.pk)
    answer = StreamingHttpResponse(
        _streamed(opened, first, pieces), content_type="application/octet-stream"
    )
    answer["Content-Disposition"] = f'attachment; filename="pair-{target_id}-copy-{copy.pk}.rdb"'
    answer["Cache-Control"] = "no-store"
    return answer


def _streamed(opened: ExitStack, first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    with opened:
        yield first
        yield from pieces


def _put_on_record(copy: Artefact, person: User | None) -> None:
    """Write into the source's history that its copy was handed out, and to whom."""
    BackupSource.history.bulk_history_create(
        [copy.source],
        update=True,
        default_user=person,
        default_change_reason=f"copy downloaded: {copy.key}"[:MOST_REASON],
        default_date=timezone.now(),
    )
