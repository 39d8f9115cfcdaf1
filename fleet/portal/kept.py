"""What several people look at is worked out once: kept for a few seconds for each scope."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

from django.core.cache import cache

from fleet.registry.scoping import Scope

KEPT_S = 15
T = TypeVar("T")


def kept(name: str, scope: Scope, make: Callable[[], T], seconds: int = KEPT_S) -> T:
    """Return what `make` gave for this scope at most so many seconds ago. It must not be None."""
    key = _key(name, scope)
    found: T | None = cache.get(key)
    if found is None:
        found = make()
        cache.set(key, found, seconds)
    return found


def known(name: str, scope: Scope) -> Any:
    """Return what is kept for this scope now, None where nothing is: for who can do with less."""
    return cache.get(_key(name, scope))


def _key(name: str, scope: Scope) -> str:
    ids = "*" if scope.tenant_ids is None else ",".join(map(str, sorted(scope.tenant_ids)))
    return f"{name}-{sha256(ids.encode()).hexdigest()}"
