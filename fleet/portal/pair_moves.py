"""Check, pause, resume and archive pairs: one on its page, many from the list."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fleet.inspections.schedule import check_now
from fleet.portal import addresses, maintenance_form
from fleet.portal.scoped_admin import Rows, rows_of, scoped_view
from fleet.registry.models import Pair, Target
from fleet.registry.register import set_state

STATE_WORDS = {
    Target.State.ACTIVE.value: gettext_lazy("Resumed: it is checked again."),
    Target.State.PAUSED.value: gettext_lazy("Paused: it is not checked until you resume it."),
    Target.State.ARCHIVED.value: gettext_lazy("Archived: it is kept, and off the lists."),
}


class PairMoves:
    """The list's actions on the pairs that are ticked."""

    @admin.action(description=gettext_lazy("Check now"))
    def check_chosen(self, request: HttpRequest, pairs: QuerySet[Pair]) -> None:
        """Ask for a visit of each."""
        asked = check_now(list(pairs.values_list("pk", flat=True)), timezone.now())
        text = ngettext(
            "%(count)s pair is being checked.", "%(count)s pairs are being checked.", asked
        )
        messages.success(request, text % {"count": f"{asked:,}"})

    @admin.action(description=gettext_lazy("Maintenance …"), permissions=["change"])
    def silence_chosen(
        self, request: HttpRequest, pairs: QuerySet[Pair]
    ) -> HttpResponseRedirect | None:
        """Lead to the form of a maintenance window for them."""
        ids = list(pairs.values_list("pk", flat=True)[: maintenance_form.MOST_PAIRS + 1])
        if len(ids) > maintenance_form.MOST_PAIRS:
            text = _("At most %(most)d pairs at once: make a window of their tenant or a label.")
            messages.error(request, text % {"most": maintenance_form.MOST_PAIRS})
            return None
        return HttpResponseRedirect(maintenance_form.address(ids))

    @admin.action(description=gettext_lazy("Pause"), permissions=["change"])
    def pause_chosen(self, request: HttpRequest, pairs: QuerySet[Pair]) -> None:
        """Check them no more until they are resumed."""
        self._move(request, pairs, Target.State.PAUSED)

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume_chosen(self, request: HttpRequest, pairs: QuerySet[Pair]) -> None:
        """Check them again, beginning now."""
        self._move(request, pairs, Target.State.ACTIVE)

    @admin.action(description=gettext_lazy("Archive"), permissions=["change"])
    def archive_chosen(self, request: HttpRequest, pairs: QuerySet[Pair]) -> None:
        """Take them off the lists; nothing is deleted."""
        self._move(request, pairs, Target.State.ARCHIVED)

    def _move(self, request: HttpRequest, pairs: QuerySet[Pair], state: Target.State) -> None:
        ids = list(pairs.values_list("pk", flat=True))
        moved = move(rows_of(request), ids, state)
        text = ngettext("%(count)s pair: %(state)s.", "%(count)s pairs: %(state)s.", moved)
        messages.success(request, text % {"count": f"{moved:,}", "state": state.label})


def move(rows: Rows, target_ids: list[int], state: Target.State) -> int:
    """Move the pairs this person may change to a state; resumed ones are due at once."""
    moved = set_state(rows.editable(Target).filter(pk__in=target_ids), state)
    if state == Target.State.ACTIVE:
        check_now(moved, timezone.now())
    return len(moved)


@scoped_view
def change_state(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Pause, resume or archive one pair, by POST of its new state."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    pair = rows.get(Pair, "target", pk=target_id)
    wanted = request.POST.get("state", "")
    if wanted not in Target.State.values or not rows.may_edit(Pair, pair):
        raise PermissionDenied
    move(rows, [pair.pk], Target.State(wanted))
    messages.success(request, STATE_WORDS[wanted])
    return HttpResponseRedirect(addresses.pair(pair.pk))
