"""Which tenants a person may see, and of which they may change something."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import AnonymousUser

from fleet.people.models import Membership, User
from fleet.registry.scoping import EVERYTHING, Scope

Role = Membership.Role
FLEET_WIDE = (Role.OPERATOR, Role.AUDITOR)
EDITING = (Role.OPERATOR, Role.EDITOR)
NOTHING = Scope(frozenset())


def scope_of(user: User | AnonymousUser) -> Scope:
    """Return what one sees: everything for operators and auditors, else one's tenants, else nothing."""
    return scopes_of(user)[0]


def scopes_of(user: User | AnonymousUser) -> tuple[Scope, Scope]:
    """Return what one sees and what one may change, in at most one query."""
    if not isinstance(user, User) or not user.is_active:
        return NOTHING, NOTHING
    if user.is_superuser:
        return EVERYTHING, EVERYTHING
    held = list(user.memberships.values_list("role", "tenant_id"))
    edited = [(role, tenant) for role, tenant in held if role in EDITING]
    return _scope(held, FLEET_WIDE), _scope(edited, (Role.OPERATOR,))


def _scope(held: Sequence[tuple[str, int | None]], fleet_wide: tuple[str, ...]) -> Scope:
    if any(role in fleet_wide and tenant is None for role, tenant in held):
        return EVERYTHING
    return Scope(frozenset(tenant for _role, tenant in held if tenant is not None))
