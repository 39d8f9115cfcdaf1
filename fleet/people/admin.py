"""People: who may sign in, in which role for which tenant, and in which time zone they read."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Field, Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from fleet.people.models import Membership, User
from fleet.portal import figures
from fleet.portal.filters import SelectFilter
from fleet.portal.row_list import RowListAdmin
from fleet.portal.scoped_admin import ScopedTabular

admin.site.unregister(Group)  # roles are memberships


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A tenant's role names its tenant; the fleet's roles may do without."""

    def clean(self) -> dict[str, Any]:
        """Refuse an editor or viewer of no tenant: they would see nothing."""
        cleaned = super().clean() or self.cleaned_data
        is_of_tenant = cleaned.get("role") in {Membership.Role.EDITOR, Membership.Role.VIEWER}
        if is_of_tenant and "tenant" in cleaned and cleaned["tenant"] is None:
            self.add_error("tenant", _("This role is for one tenant: choose it."))
        return cleaned


def _membership(held: Membership) -> str:
    """Write `Tenant editor of Northwind Mail`."""
    if held.tenant is None:
        return held.get_role_display()
    values = {"role": held.get_role_display(), "tenant": held.tenant.name}
    return gettext("%(role)s of %(tenant)s") % values


class MembershipInline(ScopedTabular):
    """What the person may do, tenant by tenant; without a tenant: for all of them."""

    model = Membership
    form = MembershipForm
    fields = ("role", "tenant")
    may_delete = True
    autocomplete_fields = ("tenant",)


class MayFilter(SelectFilter):
    """What a person may do: everything, what the memberships say, or not even sign in."""

    title = _("role")
    parameter_name = "may"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer the three."""
        return [
            ("operator", _("Operators")),
            ("member", _("By their memberships")),
            ("nothing", _("May not sign in")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those; an unknown value finds nobody."""
        value = self.value()
        if not value:
            return queryset
        kept = {
            "operator": Q(is_active=True, is_superuser=True),
            "member": Q(is_active=True, is_superuser=False),
            "nothing": Q(is_active=False),
        }
        return queryset.filter(kept[value]) if value in kept else queryset.none()


@admin.register(User)
class PersonAdmin(RowListAdmin, UserAdmin):  # type: ignore[misc, type-arg]
    """One person. Passwords go in through Django's own forms and never come back."""

    list_title = _("People")
    none_yet = none_matches = _("Nobody matches.")
    add_form_template = "portal/form.html"
    form_lead = _("Who may sign in; the memberships say what they see and change.")
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = (MembershipInline,)
    list_display = ("person", "email", "role", "last_signed_in")
    actions = None
    list_filter = (MayFilter,)
    search_fields = ("username", "first_name", "last_name", "email")
    search_help_text = _("Name or mail address")
    list_prefetch_related = ("memberships__tenant",)
    ordering = ("username",)
    filter_horizontal = ()
    readonly_fields = ("signed_in", "password_set")
    fieldsets = (
        (None, {"fields": ("username", "password_set")}),
        (
            _("Person"),
            {"fields": (("first_name", "last_name"), ("email", "time_zone"))},
        ),
        (_("Access"), {"fields": (("is_active", "is_superuser"), "signed_in")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "password1", "password2")}),
        (_("Person"), {"fields": (("first_name", "last_name"), ("email", "time_zone"))}),
        (_("Access"), {"fields": ("is_superuser",)}),
    )

    @admin.display(description=_("Person"), ordering="username")
    def person(self, person: User) -> SafeString:
        """Link the name to sign in with; the full name below."""
        return format_html(
            '<a class="pk-name pk-line1" href="{}">{}</a><span class="pk-line2">{}</span>',
            reverse("admin:people_user_change", args=[person.pk]),
            person.username,
            person.get_full_name(),
        )

    @admin.display(description=_("Role"), ordering="is_superuser")
    def role(self, person: User) -> str:
        """Say what the person may do, and where."""
        if not person.is_active:
            return gettext("May not sign in")
        if person.is_superuser:
            return gettext("Operator")
        held = [_membership(one) for one in person.memberships.all()]
        return ", ".join(held) or gettext("None yet: sees nothing")

    @admin.display(description=_("Last sign-in"), ordering="last_login")
    def last_signed_in(self, person: User) -> SafeString | str:
        """Say how long ago the person last signed in."""
        if person.last_login is None:
            return gettext("never")
        ago: SafeString = figures.age(person.last_login, timezone.now())
        return format_html(gettext("{} ago"), ago)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Offer the time zones, and say what an operator is."""
        if db_field.name == "time_zone":
            zones = [(name, name) for name in sorted(available_timezones())]
            widget = UnfoldAdminSelectWidget(choices=zones)
            return forms.ChoiceField(
                label=_("Time zone"), choices=zones, initial="UTC", widget=widget
            )
        field: forms.Field | None = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "is_superuser":
            field.label = _("Operator")
            field.help_text = _("Sees and changes everything, for every tenant.")
        if field is not None and db_field.name == "is_active":
            field.help_text = _("Untick to keep somebody out; people are not deleted.")
        return field

    @admin.display(description=_("Last sign-in"), ordering="last_login")
    def signed_in(self, person: User) -> str:
        """Say when the person last signed in."""
        return figures.instant(person.last_login) if person.last_login else gettext("never")

    @admin.display(description=_("Password"))
    def password_set(self, person: User) -> SafeString:
        """Lead to Django's own form; neither the password nor its hash is shown."""
        word = gettext("Set.") if person.has_usable_password() else gettext("None.")
        url = reverse("admin:auth_user_password_change", args=[person.pk])
        return format_html(
            '{} <a class="pk-link" href="{}">{}</a>', word, url, gettext("Change the password")
        )

    def get_form(  # type: ignore[override]  # `change` comes by name
        self, request: HttpRequest, obj: Model | None = None, **kwargs: Any
    ) -> type[forms.ModelForm[User]]:
        """Keep people from locking themselves out."""
        form: type[forms.ModelForm[User]] = super().get_form(request, obj, **kwargs)
        for name in ("is_active", "is_superuser"):
            if name in form.base_fields:
                form.base_fields[name].disabled = obj == request.user
        return form

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: Any) -> None:
        """Let the person in: everyone here may sign in, their role says what they see."""
        obj.is_staff = True
        super().save_model(request, obj, form, change)
