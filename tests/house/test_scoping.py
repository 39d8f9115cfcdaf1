"""Nobody sees a row outside their tenants: every way to a row goes through the scoping base."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.filters import RelatedFieldListFilter
from django.db.models import ForeignKey, Model
from django.urls import URLPattern, URLResolver, get_resolver

from fleet.portal.scoped_admin import (
    SCOPED_VIEWS,
    TENANT_PATHS,
    ScopedAdmin,
    ScopedChoices,
    ScopedStacked,
    ScopedTabular,
)
from fleet.registry.models import Tenant

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "fleet" / "portal" / "scoped_admin.py"
PAGES = sorted({*(ROOT / "fleet" / "portal").rglob("*.py"), *(ROOT / "fleet").glob("*/admin.py")})
# Reach a manager and one has left the scope.
MANAGERS = {"objects", "_default_manager", "_base_manager"}
ADMIN_CLASSES = {
    "ModelAdmin",
    "TabularInline",
    "StackedInline",
    "GenericTabularInline",
    "GenericStackedInline",
    "QuerySet",
}
# Django's and Unfold's own: they show no row, or only through the registered admin classes.
DOORS = {
    "home",
    "healthz",  # well or not, without details
    "finding",  # leads to the page itself
    "admin:index",
    "admin:login",
    "admin:logout",
    "admin:password_change",
    "admin:password_change_done",
    "admin:jsi18n",
    "admin:autocomplete",
    "admin:search",
    "admin:app_list",
    "admin:view_on_site",
    "admin:",  # the catch-all, which answers 404
    # Backup jobs call there: the token is the right, and nothing is shown.
    "beat",
    "beat_start",
    "beat_fail",
    # Behind links in mails: the signature is the right, and holds for one channel alone.
    "mail:channel",
    "mail:stop",
    "mail:resume",
    "mail:verify",
}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT / "fleet")))
def test_no_page_goes_round_the_base(path):
    if path == BASE:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert [*managers_in(tree), *admin_classes_in(tree)] == []


def managers_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in MANAGERS:
            yield f"line {node.lineno}: {ast.unparse(node)}"


def admin_classes_in(tree: ast.Module) -> Iterator[str]:
    """A base class or a call; a QuerySet in an annotation is fine."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
            if names & ADMIN_CLASSES:
                yield f"line {node.lineno}: {node.name} is not scoped"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in ADMIN_CLASSES:
                yield f"line {node.lineno}: {name}(…)"


def test_every_admin_class_and_inline_is_scoped():
    classes = {type(one) for one in admin.site._registry.values()}
    inlines = {inline for one in admin.site._registry.values() for inline in one.inlines}

    assert [one for one in classes if not issubclass(one, ScopedAdmin)] == []
    assert [one for one in inlines if not issubclass(one, ScopedTabular | ScopedStacked)] == []


def test_no_filter_offers_rows_outside_the_scope():
    """A foreign key's name in list_filter makes Django's own filter, which offers every row."""
    loose = []
    for model_admin in admin.site._registry.values():
        for one in model_admin.list_filter:
            if isinstance(one, str) and is_relation(model_admin.model, one):
                loose.append((type(model_admin).__name__, one))
            chosen = one[1] if isinstance(one, tuple) else one
            is_related = isinstance(chosen, type) and issubclass(chosen, RelatedFieldListFilter)
            if is_related and not issubclass(chosen, ScopedChoices):
                loose.append((type(model_admin).__name__, chosen.__name__))

    assert loose == []


def is_relation(model: type[Model], path: str) -> bool:
    return (
        isinstance(model._meta.get_field(path.split("__", maxsplit=1)[0]), ForeignKey)
        or "__" in path
    )


def test_every_address_is_scoped():
    assert [name for name, view in addresses() if not is_scoped(name, view)] == []


def addresses(resolver=None, prefix="") -> Iterator[tuple[str, object]]:
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            space = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from addresses(pattern, space)
        elif isinstance(pattern, URLPattern):
            yield f"{prefix}{pattern.name or ''}", pattern.callback


def is_scoped(name: str, view: object) -> bool:
    return name in DOORS or view in SCOPED_VIEWS or isinstance(owner(view), ScopedAdmin)


def owner(view: object) -> object:
    """Return the admin class whose method this is, under Django's wrappers."""
    while view is not None:
        found = getattr(view, "model_admin", None) or getattr(view, "__self__", None)
        if found is not None:
            return found
        view = getattr(view, "__wrapped__", None)
    return None


def test_every_model_of_a_tenant_says_how_the_tenant_is_reached():
    """A path that leads anywhere but to the tenant would show rows of others."""
    wrong = []
    for model, path in TENANT_PATHS.items():
        if path in ("", "*", "pk"):
            continue
        end = model
        for step in path.split("__"):
            end = end._meta.get_field(step).related_model
        if end is not Tenant:
            wrong.append((model.__name__, path))

    assert wrong == []
    assert all(apps.get_model(model._meta.label) is model for model in TENANT_PATHS)
