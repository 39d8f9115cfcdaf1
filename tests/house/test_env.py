"""The environment: what settings.py reads, .env.example and docs/operations.md tell, and no more."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "fleet" / "settings.py"
EXAMPLE = ROOT / ".env.example"
OPERATIONS = ROOT / "docs" / "operations.md"
# Files besides settings.py that touch os.environ, and what for.
ELSEWHERE = {
    "fleet/celery.py": "names the settings, before Django reads them",
    "fleet/wsgi.py": "names the settings, before Django reads them",
    "fleet/registry/sealed.py": "resolves `env:` references, which are data",
    "checks/cli/arguments.py": "resolves names given on its command line",
}
READERS = {"str", "int", "bool", "list", "path", "db_url", "float"}


@cache
def read_by_settings() -> dict[str, str | None]:
    """Return the names that settings.py reads, each with its default as text, if it is a literal."""
    found: dict[str, str | None] = {}
    for node in ast.walk(ast.parse(SETTINGS.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
        ):
            assert node.func.attr in READERS, ast.unparse(node)
            name = ast.literal_eval(node.args[0])
            found[name] = literal(node)
    return found


def literal(call: ast.Call) -> str | None:
    """Write a call's default as .env.example would; None where it has none or works it out."""
    for keyword in call.keywords:
        if keyword.arg == "default":
            try:
                value = ast.literal_eval(keyword.value)
            except ValueError:
                return None
            if isinstance(value, list):
                return ",".join(value)
            return str(value).lower() if isinstance(value, bool) else str(value)
    return None


@cache
def in_example() -> dict[str, str]:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs)
    assert len({name for name, _ in pairs}) == len(pairs), "a name stands twice"
    return dict(pairs)


@cache
def in_table() -> set[str]:
    """Return the names in the table of settings in docs/operations.md."""
    table = OPERATIONS.read_text(encoding="utf-8").partition("\n| variable |")[2].partition("\n\n")
    cells = [line.split("|")[1] for line in table[0].splitlines()[1:] if line.startswith("|")]
    return {name for cell in cells for name in re.findall(r"`([A-Z][A-Z_]+)`", cell)}


@cache
def read_by_run() -> set[str]:
    """Return the names that the supervisor and gunicorn's settings read, by os.environ."""
    return {
        node.value
        for path in (ROOT / "run").rglob("*.py")
        for line in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(line, ast.Call | ast.Subscript | ast.Compare)
        and "environ" in ast.unparse(line)
        for node in ast.walk(line)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z][A-Z_]+", node.value)
    }


def test_the_example_lists_what_the_settings_read():
    assert set(in_example()) == set(read_by_settings())


def test_the_example_shows_the_defaults():
    shown, defaults = in_example(), read_by_settings()

    assert {
        name: (shown[name], default)
        for name, default in defaults.items()
        if default is not None and shown[name] != default
    } == {}


def test_the_manual_lists_what_the_settings_read():
    assert set(read_by_settings()) - in_table() == set()


def test_the_manual_lists_nothing_that_is_not_read():
    assert in_table() - set(read_by_settings()) - read_by_run() == set()


def test_what_the_supervisor_reads_is_in_the_manual():
    text = OPERATIONS.read_text(encoding="utf-8")

    assert {
        name for name in ("HOST", "PORT", "PAIRKEEPER_HOME") if f"`{name}`" not in text
    } == set()


def test_only_the_settings_read_the_environment():
    readers = {
        str(path.relative_to(ROOT))
        for folder in ("fleet", "checks")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }

    assert readers - {"fleet/settings.py"} <= set(ELSEWHERE)
