"""Attestations: what waits to be attested, attesting it for many pairs at once, and what is attested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import CharField, Count, F, Func, Q, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checks import attest as keys
from checks.catalog import BY_ID
from checks.remedy import title as rule_title
from checks.render import size
from fleet.inspections.models import LatestFacts
from fleet.inspections.schedule import check_now
from fleet.people.models import User
from fleet.portal import addresses, pair_page
from fleet.portal.claim_form import HINTS, TITLES, ClaimForm
from fleet.portal.kept import kept
from fleet.portal.row_numbers import row_number, row_numbers
from fleet.portal.rules import Words
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.attestations import Claim, attest_targets, attest_tenant, withdraw
from fleet.registry.models import Attestation, Target, Tenant

SHOWN: Final = 50
A_YEAR: Final = timedelta(days=365)
SOON: Final = timedelta(days=30)
# Above this, pairs are judged by what was attested at their next check, not at once.
MOST_CHECKED: Final = 200


@dataclass(frozen=True)
class KeyLine:
    """One key: what it is, how many pairs wait for it, and which rules ask."""

    name: str
    title: Words
    waiting_count: int
    rules: tuple[tuple[str, str], ...]
    url: str
    is_current: bool = False


@dataclass(frozen=True)
class Said:
    """One attestation as tables show it."""

    row: Attestation
    title: Words
    value: str
    is_expired: bool
    is_ending: bool
    may_end: bool


def shown(row: Attestation) -> str:
    """Write an attested value as people read it."""
    key = keys.BY_KEY.get(row.key)
    if isinstance(row.value, bool):
        return _("yes") if row.value else _("no")
    if key is not None and key.kind == "bytes" and isinstance(row.value, int):
        return size(row.value)
    return f"{row.value:,}" if isinstance(row.value, int) else str(row.value)


def waiting_counts(rows: Rows) -> dict[str, int]:
    """Count the pairs that wait for each key; at most 15 s old."""
    return kept("attest-waiting", rows.seen, lambda: _count(rows))


def _count(rows: Rows) -> dict[str, int]:
    key = Func(F("unattested"), function="unnest", output_field=CharField())
    found = _waiting(rows).annotate(key=key).values("key").order_by("key")
    return dict(found.annotate(n=Count("target", distinct=True)).values_list("key", "n"))


def _waiting(rows: Rows) -> QuerySet[LatestFacts]:
    waiting = rows.of(LatestFacts).exclude(unattested=[])
    return waiting.exclude(target__state=Target.State.ARCHIVED)


def key_lines(rows: Rows, chosen: str) -> list[KeyLine]:
    """List the keys that some rule of this version asks for, those that pairs wait for first."""
    counts = waiting_counts(rows)
    base = reverse("portal:attestations")
    found = [
        KeyLine(
            key.name,
            TITLES[key.name],
            counts.get(key.name, 0),
            tuple((one, rule_title(BY_ID[one])) for one in key.rules if one in BY_ID),
            f"{base}?{urlencode({'key': key.name})}#pk-attest",
            key.name == chosen,
        )
        for key in keys.KEYS
        if any(one in BY_ID for one in key.rules)
    ]
    return sorted(found, key=lambda line: -line.waiting_count)


@scoped_view
def listing(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show what waits, the form for the key chosen, and all that is attested."""
    form = ClaimForm(initial=_first(request.GET.get("key", "")))
    return _page(request, rows, form, request.GET.get("key", ""))


def _first(key: str) -> dict[str, Any]:
    day = timezone.localdate() + A_YEAR
    return {"key": key if key in keys.BY_KEY else "", "expires_on": day}


def _page(
    request: HttpRequest, rows: Rows, form: ClaimForm, key: str, chosen: Iterable[str] = ()
) -> HttpResponse:
    now = timezone.now()
    key = key if key in keys.BY_KEY else ""
    tenant = _tenant(rows, request.GET.get("tenant", ""))
    waiting = None
    if key:
        pairs = Paginator(_pairs_waiting(rows, key, tenant), SHOWN)
        waiting = pairs.get_page(request.GET.get("page"))
    here = {str(target.pk) for target in waiting.object_list} if waiting else set()
    ticked = frozenset(chosen)
    live = rows.of(Attestation).filter(ended_at=None).select_related("tenant", "target", "made_by")
    if key:
        live = live.filter(key=key)
    if tenant:
        live = live.filter(tenant=tenant)
    found = Paginator(live.order_by("expires_at", "pk"), SHOWN).get_page(request.GET.get("said"))
    context = {
        "now": now,
        "keys": key_lines(rows, key),
        "key": key,
        **_about(key),
        "tenant": tenant,
        "form": form,
        "waiting": waiting,
        "chosen": ticked,
        "elsewhere": sorted(ticked - here),
        "said": [said(rows, one, now) for one in found.object_list],
        "said_page": found,
        "may_edit": rows.may_edit(Attestation),
    }
    return page(request, "portal/attestations/list.html", _("Attestations"), context)


def _tenant(rows: Rows, name: str) -> Tenant | None:
    """Find a tenant by its name as typed, or by its id from a link."""
    wanted = Q(name__iexact=name.strip())
    if number := row_number(name):
        wanted |= Q(pk=number)
    return rows.of(Tenant).filter(wanted).first() if name.strip() else None


def _pairs_waiting(rows: Rows, key: str, tenant: Tenant | None) -> QuerySet[Target]:
    ids = _waiting(rows).filter(unattested__contains=[key]).values("target")
    found = rows.of(Target).filter(pk__in=ids).select_related("tenant")
    if tenant:
        found = found.filter(tenant=tenant)
    return found.order_by("tenant__name", "name")


def _about(key: str) -> dict[str, Any]:
    """Say what the form tells of a key; all is empty where none is chosen."""
    return {
        "title_of_key": TITLES.get(key, ""),
        "hint": HINTS.get(key, ""),
        "contrary": keys.BY_KEY[key].contrary if key else "",
        "suggestions": _suggestions(key),
    }


def _suggestions(key: str) -> tuple[str, ...]:
    found = {"storage_medium": ("NVMe", "SSD", "HDD"), "plan": ("paid", "free")}
    kind = keys.BY_KEY[key].kind if key else ""
    return ("yes", "no") if kind == "yes-no" else found.get(key, ())


def said(rows: Rows, row: Attestation, now: datetime) -> Said:
    """Give one attestation as tables show it."""
    return Said(
        row,
        TITLES.get(row.key, row.key),
        shown(row),
        row.expires_at <= now,
        now < row.expires_at <= now + SOON,
        rows.edited.tenant_ids is None or row.tenant_id in rows.edited.tenant_ids,
    )


@scoped_view
def attest(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Attest one key, by POST: of the pairs ticked, of all that wait for it, or of a tenant."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not rows.may_edit(Attestation):
        raise PermissionDenied
    if request.POST.get("key", "") not in keys.BY_KEY:
        raise Http404("there is no such key")
    form = ClaimForm(request.POST)
    chosen = request.POST.getlist("pair")
    if not form.is_valid():
        return _page(request, rows, form, request.POST.get("key", ""), chosen)
    person = request.user if isinstance(request.user, User) else None
    tenant = _tenant(rows, request.POST.get("tenant", ""))
    scope = request.POST.get("of", "chosen")
    if scope == "tenant" and tenant:
        return _of_tenant(request, rows, tenant, form.claim, person)
    if scope == "all":
        targets = list(_pairs_waiting(rows, form.claim.key, tenant))
    else:
        targets = list(rows.of(Target).filter(pk__in=row_numbers(chosen)))
    targets = list(rows.editable(Target).filter(pk__in=[target.pk for target in targets]))
    if not targets:
        form.add_error(None, _("Tick the pairs that it holds for."))
        return _page(request, rows, form, form.claim.key, chosen)
    return _of_pairs(request, targets, form.claim, person)


def _of_pairs(
    request: HttpRequest, targets: Sequence[Target], claim: Claim, person: User | None
) -> HttpResponse:
    now = timezone.now()
    count = attest_targets(targets, claim, person.pk if person else None, now)
    _look_again([target.pk for target in targets], now)
    text = ngettext("Attested for %(count)s pair.", "Attested for %(count)s pairs.", count)
    messages.success(request, text % {"count": f"{count:,}"})
    return _back(request, claim.key)


def _of_tenant(
    request: HttpRequest, rows: Rows, tenant: Tenant, claim: Claim, person: User | None
) -> HttpResponse:
    if not rows.choices(Tenant).filter(pk=tenant.pk).exists():
        raise PermissionDenied
    now = timezone.now()
    attest_tenant(tenant, claim, person.pk if person else None, now)
    _look_again(list(_pairs_waiting(rows, claim.key, tenant).values_list("pk", flat=True)), now)
    said_ = _("Attested for all pairs of %(tenant)s, those to come as well.")
    messages.success(request, said_ % {"tenant": tenant.name})
    return _back(request, claim.key)


def _look_again(target_ids: Sequence[int], now: datetime) -> None:
    """Have a few pairs judged at once; many are judged at their next check."""
    if target_ids and len(target_ids) <= MOST_CHECKED:
        check_now(target_ids, now)


def _back(request: HttpRequest, key: str) -> HttpResponse:
    """Go back to the page that the form was on."""
    wanted = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        wanted = f"{reverse('portal:attestations')}?{urlencode({'key': key})}"
    return HttpResponseRedirect(wanted)


@scoped_view
def end(request: HttpRequest, rows: Rows, attestation_id: int) -> HttpResponse:
    """Withdraw one attestation, by POST."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    row = rows.get(Attestation, pk=attestation_id)
    mine = rows.editable(Attestation).filter(pk=row.pk)
    if not mine.exists():
        raise PermissionDenied
    person = request.user if isinstance(request.user, User) else None
    withdraw(mine, person.pk if person else None, timezone.now())
    if row.target_id:
        _look_again([row.target_id], timezone.now())
    messages.success(
        request, _("Withdrawn: the rules that asked for it are not verified by it any more.")
    )
    return _back(request, row.key)


@scoped_view
def of_pair(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Show what is attested of one pair and what waits, with the form for one key."""
    now = timezone.now()
    pair = pair_page.load(rows, target_id)
    of_it = Q(target=pair.pk) | Q(target=None, tenant=pair.target.tenant_id)
    live = rows.of(Attestation).filter(of_it, ended_at=None).select_related("made_by")
    waits = rows.of(LatestFacts).filter(target=pair.pk).exclude(unattested=[])
    names = sorted({key for row in waits.values_list("unattested", flat=True) for key in row})
    key = request.GET.get("key", "") or (names[0] if names else "")
    key = key if key in keys.BY_KEY else ""
    context = {
        **pair_page.shell(rows, pair, "attestations"),
        "now": now,
        "said": [
            said(rows, one, now) for one in live.order_by("key", F("target").asc(nulls_last=True))
        ],
        "waits": [_waits(pair.pk, name) for name in names if name in keys.BY_KEY],
        "key": key,
        **_about(key),
        "form": ClaimForm(initial=_first(key)),
    }
    return page(request, "portal/pairs/attestations.html", pair.target.name, context)


def _waits(target_id: int, name: str) -> KeyLine:
    key = keys.BY_KEY[name]
    rules = tuple((one, rule_title(BY_ID[one])) for one in key.rules if one in BY_ID)
    return KeyLine(name, TITLES[name], 1, rules, addresses.attest(target_id, name))
