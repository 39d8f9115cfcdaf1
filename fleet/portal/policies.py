"""Policies: which layers are in force, and the form that changes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks.policy import PolicyError
from fleet.inspections.models import DryRun
from fleet.inspections.terms import forget
from fleet.people.models import User
from fleet.portal import addresses
from fleet.portal.policy_form import LayerForm, build, from_yaml, shown, to_yaml, typed_of
from fleet.portal.row_numbers import row_number
from fleet.portal.rules import Words
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Pair, PolicyVersion, Target, Tenant
from fleet.registry.policies import (
    FLEET,
    Level,
    Outdated,
    Overrides,
    Policies,
    Subject,
    chain,
    current_number,
    read_policies,
    save_layer,
)

FLEET_WORD: Final = gettext_lazy("the fleet")


@dataclass(frozen=True)
class Layer:
    """A layer as pages name it."""

    subject: Subject
    name: str
    note: str = ""  # the kind of what is named: "tenant", "environment"
    pair_url: str = ""

    @property
    def query(self) -> str:
        """The part of an address that names it."""
        one = self.subject
        named = {
            "level": one.level,
            "environment": one.environment,
            "tenant": one.tenant_id if one.level == Level.TENANT else None,
            "pair": one.target_id,
        }
        return urlencode({key: value for key, value in named.items() if value})

    @property
    def edit_url(self) -> str:
        """Where it is changed."""
        return f"{reverse('portal:policy_edit')}?{self.query}"

    @property
    def versions_url(self) -> str:
        """Where its versions are listed."""
        return f"{reverse('portal:policy_versions')}?{self.query}"

    @property
    def export_url(self) -> str:
        """Where it is downloaded."""
        return f"{reverse('portal:policy_export')}?{self.query}"


@dataclass(frozen=True)
class Shown:
    """A layer in force, with what it says."""

    layer: Layer
    version: PolicyVersion | None
    lines: tuple[tuple[str, str], ...]


def guard(rows: Rows) -> None:
    """Refuse who does not see the whole fleet."""
    if not rows.may_see(PolicyVersion):
        raise PermissionDenied


def layer_named(rows: Rows, query: Mapping[str, Any] | QueryDict) -> Layer:
    """Find the layer that ?level=…&tenant=… names; Http404 where there is none."""
    level, environment = query.get("level", ""), str(query.get("environment", ""))
    if level == Level.FLEET:
        return fleet_layer()
    if level == Level.ENVIRONMENT and 0 < len(environment) <= 40:
        return _environment(environment)
    if level == Level.TENANT:
        return tenant_layer(rows.get(Tenant, pk=row_number(str(query.get("tenant", "")))))
    if level == Level.PAIR:
        pair = rows.get(Pair, "target__tenant", pk=row_number(str(query.get("pair", ""))))
        return pair_layer(pair.target)
    raise Http404("there is no such layer")


def fleet_layer() -> Layer:
    """Name the fleet's layer."""
    return Layer(FLEET, str(FLEET_WORD))


def _environment(environment: str) -> Layer:
    subject = Subject(Level.ENVIRONMENT.value, environment=environment)
    return Layer(subject, environment, _("environment"))


def tenant_layer(tenant: Tenant) -> Layer:
    """Name a tenant's layer."""
    return Layer(Subject(Level.TENANT.value, tenant_id=tenant.pk), tenant.name, _("tenant"))


def pair_layer(target: Target) -> Layer:
    """Name a pair's layer."""
    subject = chain(target.environment, target.tenant_id, target.pk)[-1]
    return Layer(subject, target.name, _("pair"), addresses.pair(target.pk))


def named(version: PolicyVersion) -> Layer:
    """Name the layer of a version whose tenant and target are joined."""
    if version.target:
        return pair_layer(version.target)
    if version.tenant:
        return tenant_layer(version.tenant)
    return _environment(version.environment) if version.environment else fleet_layer()


def lower_layers(rows: Rows, layer: Layer) -> tuple[tuple[Subject, Words], ...]:
    """Give the layers below one, lowest first. A tenant's pairs may lie in several environments."""
    subject = layer.subject
    if subject.level == Level.FLEET:
        return ()
    if subject.target_id is None:
        return ((FLEET, FLEET_WORD),)
    target = rows.get(Target, "tenant", pk=subject.target_id)
    fleet, environment, tenant, _own = chain(target.environment, target.tenant_id, target.pk)
    return ((fleet, FLEET_WORD), (environment, target.environment), (tenant, target.tenant.name))


@scoped_view
def listing(request: HttpRequest, rows: Rows) -> HttpResponse:
    """List the layers in force, lowest first, and offer to begin one."""
    guard(rows)
    current = (
        rows.of(PolicyVersion)
        .filter(is_current=True)
        .select_related("tenant", "target__tenant", "made_by")
    )
    found = [Shown(named(one), one, lines_of(one.overrides)) for one in current if one.overrides]
    found.sort(key=lambda one: (Level.values.index(one.layer.subject.level), one.layer.name))
    if not any(one.layer.subject == FLEET for one in found):
        found.insert(0, Shown(fleet_layer(), None, ()))
    environments = rows.of(Target).order_by("environment").values_list("environment", flat=True)
    context = {
        "now": timezone.now(),
        "layers": found,
        "environments": list(environments.distinct()),
        "may_edit": rows.may_edit(PolicyVersion),
    }
    if name := request.GET.get("tenant", "").strip():
        return _begun(request, rows, name)
    return page(request, "portal/policies/list.html", _("Policies"), context)


def _begun(request: HttpRequest, rows: Rows, name: str) -> HttpResponse:
    """Lead to the form of the tenant whose name was typed."""
    tenant = rows.of(Tenant).filter(name__iexact=name).first()
    if tenant is None:
        messages.error(request, _("There is no tenant named %(name)s.") % {"name": name})
        return redirect("portal:policies")
    return HttpResponseRedirect(tenant_layer(tenant).edit_url)


def lines_of(overrides: Overrides) -> tuple[tuple[str, str], ...]:
    """Write what a layer says: a rule and its values a line, each limit in its unit."""
    return tuple(
        (rule_id, ", ".join(f"{name} {shown(name, value)}" for name, value in wanted.items()))
        for rule_id, wanted in overrides.items()
    )


@scoped_view
def edit(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show one layer's form; try it, or save it, by POST."""
    guard(rows)
    layer = layer_named(rows, request.GET)
    policies = read_policies()
    if request.method == "POST":
        if not rows.may_edit(PolicyVersion):
            raise PermissionDenied
        return _posted(request, rows, layer, policies)
    typed = _begin_with(request, rows, layer, policies)
    note = request.GET.get("why", "")
    return _form_page(request, rows, layer, policies, typed, note=note)


def _begin_with(
    request: HttpRequest, rows: Rows, layer: Layer, policies: Policies
) -> dict[str, str]:
    """Give what the form begins with: an older version, a dry run, or what is in force."""
    version, run = request.GET.get("version", ""), request.GET.get("try", "")
    if number := row_number(version):
        return typed_of(rows.get(PolicyVersion, pk=number).overrides)
    if number := row_number(run):
        return typed_of(rows.get(DryRun, pk=number).overrides)
    return typed_of(policies.overrides_of(layer.subject))


def _posted(request: HttpRequest, rows: Rows, layer: Layer, policies: Policies) -> HttpResponse:
    typed = {name: str(text) for name, text in request.POST.items() if ":" in name}
    note = request.POST.get("note", "").strip()[:200]
    if "_import" in request.POST:
        return _imported(request, rows, layer, policies, note)
    form = _form(rows, layer, policies, typed)
    if form.overrides is None or not note:
        return _form_page(request, rows, layer, policies, typed, note=note, is_posted=True)
    base = row_number(request.POST.get("base", ""))
    if "_save" not in request.POST:
        return _tried(request, layer, form.overrides, note, base)
    saved = put_in_force(request, layer, form.overrides, note, base)
    if isinstance(saved, str):
        return _form_page(request, rows, layer, policies, typed, note=note, failure=saved)
    return redirect("portal:policies")


def _imported(
    request: HttpRequest, rows: Rows, layer: Layer, policies: Policies, note: str
) -> HttpResponse:
    text = request.POST.get("yaml", "")
    try:
        typed = from_yaml(text)
    except PolicyError as error:
        typed = typed_of(policies.overrides_of(layer.subject))
        failure = _("Nothing was imported: %(error)s.") % {"error": error}
        return _form_page(
            request, rows, layer, policies, typed, note=note, failure=failure, yaml_text=text
        )
    messages.info(request, _("Imported into the form. Nothing is saved yet."))
    return _form_page(request, rows, layer, policies, typed, note=note)


def _tried(
    request: HttpRequest, layer: Layer, overrides: dict[str, Any], note: str, base: int
) -> HttpResponse:
    subject = layer.subject
    run = DryRun(
        level=subject.level,
        environment=subject.environment,
        tenant_id=subject.tenant_id,
        target_id=subject.target_id,
        base=base,
        overrides=overrides,
        note=note,
        asked_by=_person(request),
        asked_at=timezone.now(),
    )
    run.save()  # the next dispatch, within 2 s, sends it to a worker
    return redirect("portal:policy_try", run.pk)


def put_in_force(
    request: HttpRequest, layer: Layer, overrides: Overrides, note: str, base: int
) -> PolicyVersion | str:
    """Save a layer and say so; returns its version, or why it was refused."""
    person = _person(request)
    try:
        version = save_layer(
            layer.subject,
            overrides,
            note=note,
            base=base,
            by_id=person.pk if person else None,
            at=timezone.now(),
        )
    except Outdated as error:
        return _("Nothing was saved: %(error)s. Look at it, and try again.") % {"error": error}
    except PolicyError as error:
        return _("Nothing was saved: %(error)s.") % {"error": error}
    forget()
    said = _(
        "Version %(number)d for %(name)s is in force: each pair is judged by it from its next check."
    )
    messages.success(request, said % {"number": version.number, "name": layer.name})
    return version


def _person(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def _form(rows: Rows, layer: Layer, policies: Policies, typed: Mapping[str, str]) -> LayerForm:
    return build(typed, policies, layer.subject, lower_layers(rows, layer))


def _form_page(
    request: HttpRequest,
    rows: Rows,
    layer: Layer,
    policies: Policies,
    typed: Mapping[str, str],
    **more: Any,
) -> HttpResponse:
    form = _form(rows, layer, policies, typed)
    base = request.POST.get("base") or current_number(layer.subject)
    context = {
        "layer": layer,
        "form": form,
        "base": base,
        "may_edit": rows.may_edit(PolicyVersion),
        "is_posted": False,
        **more,
    }
    title = _("Policy of %(name)s") % {"name": layer.name}
    return page(request, "portal/policies/edit.html", title, context)


@scoped_view
def versions(request: HttpRequest, rows: Rows) -> HttpResponse:
    """List every version of one layer, the newest first: who, when, why, what it said."""
    guard(rows)
    layer = layer_named(rows, request.GET)
    one = layer.subject
    found = (
        rows.of(PolicyVersion)
        .filter(level=one.level, environment=one.environment)
        .select_related("made_by")
    )
    found = found.filter(tenant=one.tenant_id) if one.tenant_id else found.filter(tenant=None)
    found = found.filter(target=one.target_id) if one.target_id else found.filter(target=None)
    lines = [(version, lines_of(version.overrides)) for version in found.order_by("-number")[:50]]
    context = {"layer": layer, "versions": lines, "may_edit": rows.may_edit(PolicyVersion)}
    title = _("Policy of %(name)s: versions") % {"name": layer.name}
    return page(request, "portal/policies/versions.html", title, context)


@scoped_view
def export(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Answer with one layer in force as a YAML file."""
    guard(rows)
    layer = layer_named(rows, request.GET)
    text = to_yaml(read_policies().overrides_of(layer.subject))
    head = f"# Pairkeeper policy, {layer.subject.level}: {layer.name}\n"
    answer = HttpResponse(head + text, content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="policy-{layer.subject.level}.yaml"'
    return answer
