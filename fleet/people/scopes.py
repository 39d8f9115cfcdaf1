"""Which tenants a person may see."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser

from fleet.people.models import Membership, User
from fleet.registry.scoping import EVERYTHING, Scope

FLEET_WIDE = (Membership.Role.OPERATOR, Membership.Role.AUDITOR)


def scope_of(user: User | AnonymousUser) -> Scope:
    """The person's scope: everything for operators and auditors, else their tenants, else nothing. One query."""
    if not isinstance(user, User) or not user.is_active:
        return Scope(frozenset())
    if user.is_superuser:
        return EVERYTHING
    rows = list(user.memberships.values_list("role", "tenant_id"))
    if any(role in FLEET_WIDE and tenant is None for role, tenant in rows):
        return EVERYTHING
    return Scope(frozenset(tenant for _role, tenant in rows if tenant is not None))
