"""docs/rules.md is made from the rules, and says what they say now."""

from pathlib import Path

from checks.catalog import RULES
from checks.cli.as_markdown import catalogue_markdown
from checks.facts import Engine
from checks.probes.acl import acl_line, pull_line, queues_line
from checks.remedy import title

ROOT = Path(__file__).resolve().parents[2]
RULES_PAGE = ROOT / "docs" / "rules.md"
README = ROOT / "README.md"


def test_the_rules_page_is_up_to_date():
    assert RULES_PAGE.read_text(encoding="utf-8") == f"{catalogue_markdown(RULES)}\n", "make docs"


def test_the_rules_page_tells_of_every_rule_and_every_remediation():
    page = RULES_PAGE.read_text(encoding="utf-8")
    for rule in RULES:
        assert page.count(f"\n## {rule.id}\n") == 1
        section = page.partition(f"\n## {rule.id}\n")[2].partition("\n## ")[0]
        assert section.count("\n### What to do") == len(rule.remediation)
        assert section.count("from documentation.") == len(rule.remediation)


def test_the_readme_lists_every_rule():
    _, _, told = README.read_text(encoding="utf-8").partition("\n## What is checked\n")
    section = told.partition("\n## ")[0]
    rows = [f"| `{rule.id}` | {rule.kind.value} | {title(rule)} |" for rule in RULES]

    assert [line for line in section.splitlines() if line.startswith("| `")] == rows


def test_the_readme_grants_what_the_probe_sends():
    readme = README.read_text(encoding="utf-8")

    assert f"\n{acl_line(Engine.REDIS)}\n" in readme
    assert f"\n{queues_line()}\n" in readme


def test_the_operations_page_grants_what_a_pull_sends():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    assert f"\n{pull_line()}\n" in page
