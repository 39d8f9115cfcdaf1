"""One change of many pairs' own policy: pairs chosen in the list, tried first, then put in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checks.policy import PolicyError
from fleet.inspections.dryrun import homes_of
from fleet.inspections.models import DryRun
from fleet.inspections.terms import forget
from fleet.people.models import User
from fleet.portal.policies import FLEET_WORD, guard
from fleet.portal.policy_form import LayerForm, build, from_yaml, typed_of
from fleet.portal.row_numbers import row_number, row_numbers
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.registry.models import Pair, PolicyVersion, Target
from fleet.registry.policies import (
    FLEET,
    Home,
    Level,
    Outdated,
    PairPolicyError,
    Policies,
    Subject,
    changed_pairs,
    newest_id,
    read_policies,
    save_pairs,
)

NAMED: Final = 5  # of the chosen pairs, those that are named
# Any pair: what is typed is checked with the fleet's layer alone, each pair's own when it is tried.
A_PAIR: Final = Subject(Level.PAIR.value, tenant_id=0, target_id=0)


@dataclass(frozen=True)
class Many:
    """Chosen pairs as the pages of a policy name them."""

    targets: tuple[Target, ...]

    @property
    def name(self) -> str:
        """How many they are."""
        count = len(self.targets)
        text = ngettext("%(count)s pair", "%(count)s pairs", count)
        return text % {"count": f"{count:,}"}

    @property
    def ids(self) -> str:
        """Their ids, as the form keeps them."""
        return ",".join(str(target.pk) for target in self.targets)

    @property
    def homes(self) -> list[Home]:
        """What each one's policy is laid from."""
        return [(one.environment, one.tenant_id, one.pk) for one in self.targets]

    @property
    def named(self) -> str:
        """The first few by name."""
        names = ", ".join(target.name for target in self.targets[:NAMED])
        return f"{names} …" if len(self.targets) > NAMED else names

    @property
    def edit_url(self) -> str:
        """Where the change is edited; a dry run is named behind it."""
        return f"{reverse('portal:policy_many')}?level=pairs"


def many_of(rows: Rows, ids: Iterable[int]) -> Many:
    """Find the chosen pairs among those this person sees; archived ones have no policy. One query."""
    found = rows.of(Target).filter(pk__in=list(ids), kind=Target.Kind.PAIR)
    return Many(tuple(found.exclude(state=Target.State.ARCHIVED).order_by("name", "pk")))


class PolicyAction:
    """The pair list's action: changes the own policy of each pair that is ticked."""

    @admin.action(description=gettext_lazy("Set policy …"), permissions=["policy"])
    def set_policy(self, request: HttpRequest, pairs: QuerySet[Pair]) -> HttpResponse:
        """Show the empty form for these pairs."""
        rows = rows_of(request)
        return _form_page(request, rows, many_of(rows, pairs.values_list("pk", flat=True)), {})

    def has_policy_permission(self, request: HttpRequest) -> bool:
        """Policies are set by who may change the whole fleet."""
        return rows_of(request).may_edit(PolicyVersion)


@scoped_view
def many(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show the form as a dry run was made from it; import into it, or try it, by POST."""
    guard(rows)
    if request.method == "POST":
        if not rows.may_edit(PolicyVersion):
            raise PermissionDenied
        return _posted(request, rows)
    run_id = row_number(request.GET.get("try", ""))
    if not run_id:
        return redirect("admin:registry_pair_changelist")
    run = rows.get(DryRun, pk=run_id, target_ids__isnull=False)
    chosen = many_of(rows, run.target_ids or ())
    typed = typed_of(run.overrides)
    return _form_page(
        request, rows, chosen, typed, note=request.GET.get("why", ""), replaces=run.replaces
    )


def _posted(request: HttpRequest, rows: Rows) -> HttpResponse:
    chosen = many_of(rows, row_numbers(request.POST.get("pairs", "").split(",")))
    if not chosen.targets:
        messages.error(request, _("Tick the pairs whose policy is to change."))
        return redirect("admin:registry_pair_changelist")
    typed = {name: str(text) for name, text in request.POST.items() if ":" in name}
    more: dict[str, Any] = {
        "note": request.POST.get("note", "").strip()[:200],
        "replaces": request.POST.get("replaces") == "yes",
    }
    if "_import" in request.POST:
        return _imported(request, rows, chosen, more)
    policies = read_policies()
    form = _form(policies, typed)
    if form.overrides is None or not more["note"]:
        return _form_page(request, rows, chosen, typed, is_posted=True, **more)
    if not form.overrides and not more["replaces"]:
        failure = _("Nothing is set in the form, so there is nothing to add.")
        return _form_page(request, rows, chosen, typed, failure=failure, **more)
    refusal = _refusal(policies, chosen, form.overrides, replaces=more["replaces"])
    if refusal:
        return _form_page(request, rows, chosen, typed, failure=refusal, **more)
    return _tried(request, chosen, form.overrides, more)


def _imported(
    request: HttpRequest, rows: Rows, chosen: Many, more: Mapping[str, Any]
) -> HttpResponse:
    text = request.POST.get("yaml", "")
    try:
        typed = from_yaml(text)
    except PolicyError as error:
        failure = _("Nothing was imported: %(error)s.") % {"error": error}
        return _form_page(request, rows, chosen, {}, failure=failure, yaml_text=text, **more)
    messages.info(request, _("Imported into the form. Nothing is saved yet."))
    return _form_page(request, rows, chosen, typed, **more)


def _refusal(policies: Policies, chosen: Many, change: dict[str, Any], *, replaces: bool) -> str:
    """Say on which pair the change crosses what its other layers say; "" where on none."""
    try:
        policies.with_pairs(changed_pairs(policies, chosen.homes, change, replaces=replaces))
    except PairPolicyError as error:
        name = next(one.name for one in chosen.targets if one.pk == error.target_id)
        return _("On %(pair)s it cannot be: %(error)s.") % {"pair": name, "error": error}
    return ""


def _tried(
    request: HttpRequest, chosen: Many, change: dict[str, Any], more: Mapping[str, Any]
) -> HttpResponse:
    run = DryRun(
        level=Level.PAIR,
        target_ids=[target.pk for target in chosen.targets],
        replaces=more["replaces"],
        base=newest_id(),
        overrides=change,
        note=more["note"],
        asked_by=request.user if isinstance(request.user, User) else None,
        asked_at=timezone.now(),
    )
    run.save()  # the next dispatch, within 2 s, sends it to a worker
    return redirect("portal:policy_try", run.pk)


def put_in_force(request: HttpRequest, run: DryRun) -> PolicyVersion | str | None:
    """Save what was tried on many pairs; returns the first version, or why it was refused.

    None where every pair said so already.
    """
    try:
        versions = save_pairs(
            homes_of(run),
            run.overrides,
            replaces=run.replaces,
            note=run.note,
            base=run.base,
            by_id=request.user.pk,
            at=timezone.now(),
        )
    except (Outdated, PolicyError) as error:
        return _("Nothing was saved: %(error)s. Look at it, and try again.") % {"error": error}
    forget()
    text = ngettext(
        "The policy of %(count)s pair is in force: it is judged by it from its next check.",
        "The policy of %(count)s pairs is in force: each is judged by it from its next check.",
        len(versions),
    )
    messages.success(request, text % {"count": f"{len(versions):,}"})
    return versions[0] if versions else None


def _form(policies: Policies, typed: Mapping[str, str]) -> LayerForm:
    fleet = Policies({FLEET: policies.overrides_of(FLEET)})
    return build(typed, fleet, A_PAIR, ((FLEET, FLEET_WORD),))


def _form_page(
    request: HttpRequest, rows: Rows, chosen: Many, typed: Mapping[str, str], **more: Any
) -> HttpResponse:
    context = {
        "layer": chosen,
        "form": _form(read_policies(), typed),
        "may_edit": rows.may_edit(PolicyVersion),
        "is_posted": False,
        "replaces": False,
        **more,
    }
    title = _("Policy of %(name)s") % {"name": chosen.name}
    return page(request, "portal/policies/many.html", title, context)
