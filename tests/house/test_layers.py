"""The floors: each file imports its own folder and the floors below it, nothing else.

What is allowed stands in the tables on top. Change them only with a decision record.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("checks", "fleet", "run")

# Floor of each folder; two folders on one floor never import each other.
FLOORS = {
    "checks": 1,
    "fleet.registry": 2,
    "fleet.people": 3,
    "fleet.findings": 3,
    "fleet.history": 3,
    "fleet.backups": 3,
    "fleet.inspections": 4,
    "fleet.alerts": 4,
    "fleet.portal": 5,
    "fleet.api": 5,
}
# Django's doors and Celery's: whoever starts the process imports them, our code never does.
GLUE = ("fleet.settings", "fleet.urls", "fleet.wsgi", "fleet.celery", "manage")
TOP = 6  # admin.py and the glue: they may import every app
# Inside checks/, what each file may import besides its own folder. None: anything of checks.
ARROWS: dict[str, tuple[str, ...] | None] = {
    "checks.quick": (),
    "checks.makes": (),
    "checks.missing": ("checks.quick",),
    "checks.growth": ("checks.missing",),
    "checks.backups": ("checks.missing",),
    "checks.server": ("checks.makes", "checks.missing", "checks.quick"),
    "checks.facts": (
        "checks.backups",
        "checks.growth",
        "checks.makes",
        "checks.missing",
        "checks.quick",
        "checks.server",
    ),
    "checks.jobs": ("checks.facts",),
    "checks.counters": (),
    "checks.render": (),
    "checks.rule": ("checks.facts", "checks.quick"),
    "checks.rules": ("checks.facts", "checks.jobs", "checks.rule", "checks.render"),
    "checks.attest": ("checks.facts",),
    "checks.catalog": ("checks.rule", "checks.rules"),
    "checks.policy": ("checks.catalog", "checks.rule"),
    "checks.policy_file": ("checks.policy",),
    "checks.evaluate": ("checks.catalog", "checks.facts", "checks.policy", "checks.rule"),
    "checks.lifecycle": ("checks.policy", "checks.rule"),
    "checks.past": ("checks.facts", "checks.quick"),
    "checks.look": ("checks.counters", "checks.facts", "checks.past", "checks.quick"),
    "checks.deltas_of_redis": ("checks.counters", "checks.facts", "checks.look"),
    "checks.deltas_of_emailengine": (
        *("checks.counters", "checks.facts", "checks.jobs"),
        "checks.look",
    ),
    "checks.deltas": (
        *("checks.deltas_of_emailengine", "checks.deltas_of_redis"),
        *("checks.facts", "checks.look"),
    ),
    "checks.codec": ("checks.facts", "checks.rule"),
    "checks.placement": ("checks.facts",),
    "checks.remedy": ("checks.facts", "checks.placement", "checks.render", "checks.rule"),
    "checks.address": (),
    "checks.egress": (),
    "checks.gate": (),
    "checks.resolver": (),
    "checks.dial": ("checks.egress", "checks.gate", "checks.quick", "checks.resolver"),
    # A probe never sees a rule: of rule.py it needs the cadences alone.
    "checks.probes": (
        "checks.address",
        "checks.dial",
        "checks.egress",
        "checks.facts",
        "checks.gate",
        "checks.quick",
        "checks.resolver",
        "checks.rule.Cadence",
    ),
    "checks.cli": None,
    "checks.__main__": None,
}
THIRD_PARTY = {
    "checks": {
        "aiohttp",
        "anycrc",
        "hiredis",
        "yaml",
        "yarl",
        "zstandard",
    },  # yarl: what aiohttp takes
    # The demo's simulator, the worker's own entry, and a look at services that are given.
    "run": {"aiohttp", "celery", "psycopg", "redis"},
}
# Ways to import by a text, which no reader and no tool can follow.
BY_TEXT = {
    "import_module",
    "__import__",
    "import_string",
    "get_model",
    "send_task",
    "exec",
    "eval",
}
# Imports that must wait until they are wanted, each with its reason.
INSIDE = {
    ("manage", "django.core.management.execute_from_command_line"): "the settings come first",
    ("fleet.backups.bucket", "fleet.backups.s3.client"): "who has no bucket does not pay 30 MB",
    ("run.__main__", "run.demo"): "a plain run must not depend on the demo's packages",
}
ENQUEUES = {"delay", "apply_async", "s", "si", "signature", "name"}


@dataclass(frozen=True)
class Import:
    """One name imported: by whom, and where it stands."""

    importer: str
    name: str
    line: int
    is_inside: bool = False

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.name}"


@cache
def files() -> dict[str, Path]:
    """List our modules by dotted name, migrations left out: Django writes those."""
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for folder in CODE
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    }
    return {**found, "manage": ROOT / "manage.py"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(files()[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[Import]:
    """List what a module imports, `from a import b` as a.b."""
    inside = {
        id(one)
        for scope in ast.walk(tree(module))
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for one in ast.walk(scope)
    }
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno} imports relatively: name the folder"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Import(module, name, node.lineno, id(node) in inside) for name in names)


def everything() -> list[Import]:
    return [one for module in files() for one in imports(module)]


def is_ours(name: str) -> bool:
    return name.partition(".")[0] in CODE


def module_of(name: str) -> str:
    """Return the module a dotted name lies in: checks.rule for checks.rule.Cadence."""
    while name and name not in files():
        name = name.rpartition(".")[0]
    return name


def folder(module: str) -> str:
    """Return checks, run or fleet.<app>; fleet's own files are themselves."""
    if module.startswith("fleet."):
        return ".".join(module.split(".")[:2])
    return module.partition(".")[0]


def floor(module: str) -> int:
    if module in GLUE or module.endswith(".admin"):
        return TOP
    return FLOORS[folder(module)]


def may_import(importer: str, imported: str) -> bool:
    """Judge one import between two of our modules by the floors."""
    if imported == "fleet":  # __version__
        return not importer.startswith("checks")
    if "run" in (folder(importer), folder(imported)):
        return folder(importer) == folder(imported)
    if imported.endswith(".admin") or imported in GLUE:
        return False
    return folder(importer) == folder(imported) or floor(imported) < floor(importer)


@pytest.mark.parametrize("top", CODE)
def test_every_folder_stands_on_a_floor(top):
    known = {*FLOORS, *GLUE, "fleet", "run"}

    assert {folder(module) for module in files() if module.split(".")[0] == top} <= known


def test_imports_run_downwards():
    wrong = [
        str(one)
        for one in everything()
        if is_ours(one.name) and not may_import(one.importer, module_of(one.name))
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("checks.rule", "fleet.registry.models", False),
        ("fleet.registry.models", "checks.rule", True),
        ("fleet.registry.models", "fleet.people.models", False),
        ("fleet.findings.models", "fleet.history.models", False),
        ("fleet.findings.admin", "fleet.history.models", True),
        ("fleet.portal.overview", "fleet.findings.admin", False),
        ("fleet.portal.overview", "fleet.settings", False),
        ("fleet.settings", "fleet.portal.unfold", True),
        ("fleet.inspections.run", "fleet.inspections.record", True),
        ("fleet.inspections.demo", "run.demo.fleet", False),
        ("run.supervisor", "checks.facts", False),
        ("run.supervisor", "run.children", True),
    ],
)
def test_the_law_itself(importer, imported, allowed):
    assert may_import(importer, imported) is allowed


def arrow(module: str) -> str:
    """Return the key of ARROWS that a module of checks/ falls under."""
    return ".".join(module.split(".")[:2])


def test_inside_checks_arrows_run_one_way():
    wrong = []
    for one in everything():
        allowed = ARROWS[arrow(one.importer)] if one.importer.startswith("checks.") else None
        if allowed is None or arrow(one.name) == arrow(one.importer):
            continue
        if is_ours(one.name) and not is_below(one.name, allowed):
            wrong.append(str(one))

    assert wrong == []


def is_below(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("top", THIRD_PARTY)
def test_the_lowest_floors_need_few_packages(top):
    found = {
        one.name.partition(".")[0]
        for one in everything()
        if folder(one.importer) == top and not is_ours(one.name)
    }

    assert found - set(sys.stdlib_module_names) - {"__future__"} <= THIRD_PARTY[top]


def test_no_import_hides_inside_a_function():
    hidden = {(one.importer, one.name): str(one) for one in everything() if one.is_inside}

    assert [where for key, where in hidden.items() if key not in INSIDE] == []
    assert set(INSIDE) <= set(hidden), "an exception that nobody needs"


def test_nothing_is_imported_by_a_text():
    found = [
        f"{module}:{node.lineno} calls {called(node)}"
        for module in files()
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call) and called(node) in BY_TEXT
    ]

    assert found == []


def called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def test_tasks_are_imported_only_to_enqueue():
    wrong = []
    for one in everything():
        imported = module_of(one.name)
        if not imported.endswith(".tasks") or one.importer == imported:
            continue
        wrong += [f"{one}: {use}" for use in other_uses(one.importer, one.name, imported)]

    assert wrong == []


def other_uses(importer: str, name: str, module: str) -> Iterator[str]:
    """List uses of a task, or of its module, that enqueue nothing."""
    local = name.rpartition(".")[2]
    parents = {
        id(child): node for node in ast.walk(tree(importer)) for child in ast.iter_child_nodes(node)
    }
    for node in ast.walk(tree(importer)):
        if isinstance(node, ast.Name) and node.id == local:
            used = parents[id(node)]
            if name == module:  # tasks.inspect_pairs.delay(…)
                used = parents[id(used)]
            if not (isinstance(used, ast.Attribute) and used.attr in ENQUEUES):
                yield ast.unparse(used)


def test_the_checks_are_all_here():
    """A file that no arrow names would escape the arrows."""
    assert {arrow(module) for module in files() if module.startswith("checks.")} <= set(ARROWS)
