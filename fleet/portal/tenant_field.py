"""Whose a pair is, in its form: chosen once, and kept (decision 0030); the way to hand it over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminRelatedFieldWrapperWidget, UnfoldAdminSelectWidget

from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import Rows, rows_of
from fleet.registry.models import Pair, Target, Tenant


class TenantSelect(AutocompleteSelect):
    """Django's, which shows again what was typed also where that is no number at all."""

    def optgroups(
        self, name: str, value: Sequence[str], attrs: dict[str, Any] | None = None
    ) -> Any:
        """Give the chosen rows; what is no number can be none."""
        return super().optgroups(name, [one for one in value if row_number(str(one))], attrs)


def offer(field: Any, rows: Rows) -> None:
    """Let a new pair's tenant be looked for among one's own; operators add one beside."""
    of_target = Target._meta.get_field("tenant")
    field.queryset = rows.choices(Tenant)
    field.widget = UnfoldAdminRelatedFieldWrapperWidget(
        TenantSelect(of_target, admin.site),
        of_target.remote_field,
        admin.site,
        can_add_related=rows.may_edit(Tenant),
        can_change_related=False,
    )
    field.widget.choices = field.choices


def keep(field: Any, rows: Rows, target: Target) -> None:
    """Show whose it is, and that it stays so."""
    field.queryset = rows.choices(Tenant).filter(pk=target.tenant_id)
    field.widget = UnfoldAdminSelectWidget(choices=field.choices)
    field.disabled, field.empty_label = True, None
    field.help_text = why_kept(rows, target)


def why_kept(rows: Rows, target: Target) -> str:
    """Say that it stays; who has another tenant to hand it to is led to a form filled in like it."""
    if not rows.choices(Tenant).exclude(pk=target.tenant_id).exists():
        return _("It stays with its tenant, who is told its past.")
    url = f"{reverse('admin:registry_pair_add')}?like={target.pk}"
    told = _(
        "It stays with its tenant, who is told its past. To hand it over, archive it and %(link)s."
    )
    link = format_html('<a class="pk-link" href="{}">{}</a>', url, _("add it anew"))
    return format_html(told.replace("%(link)s", "{}"), link)


def why_refused(rows: Rows, target: Target, asked: str) -> str:
    """Say why it is not given to the tenant that was asked for, by its number as it was typed."""
    other = rows.choices(Tenant).filter(pk=row_number(asked)).first()
    told = _(
        "%(pair)s stays with %(tenant)s, who is told its past."
        " Archive it, and add it anew for %(other)s."
    )
    names = {"pair": target.name, "tenant": target.tenant, "other": other or _("the other")}
    return told % names


def alike(request: HttpRequest) -> Pair | None:
    """Find the pair that a new one is to be like, among those that this person may change."""
    number = row_number(request.GET.get("like", ""))
    pairs = rows_of(request).editable(Pair).select_related("target__tenant")
    return pairs.filter(pk=number).first() if number else None
