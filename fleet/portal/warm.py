"""Make ready before the first request what it would otherwise wait for: addresses and templates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.template import Engine, TemplateDoesNotExist
from django.template.base import FilterExpression, Node, Template
from django.template.loader_tags import ExtendsNode, IncludeNode
from django.urls import reverse


def warm() -> None:
    """Load every page's code and compile our templates with all that they extend and include.

    Takes 0.3 s of CPU, which the first pages would take one by one. Needs no database.
    """
    reverse("admin:index")
    done: set[str] = set()
    for folder in map(Path, Engine.get_default().dirs):
        for path in sorted(folder.rglob("*.html")):
            _compile(str(path.relative_to(folder)), done)


def _compile(name: str, done: set[str]) -> None:
    if name in done:
        return
    done.add(name)
    try:
        template = Engine.get_default().get_template(name)
    except TemplateDoesNotExist:
        return  # an {% include %} that may be absent
    for part in _parts(template):
        _compile(part, done)


def _parts(template: Template) -> Iterator[str]:
    """Give the names that stand in a template as they are; those worked out while rendering come later."""
    for node in template.nodelist.get_nodes_by_type(Node):
        match node:
            case ExtendsNode(parent_name=FilterExpression(var=str(name))):
                yield name
            case IncludeNode(template=FilterExpression(var=str(name))):
                yield name
