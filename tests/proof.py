"""python -m tests.proof REPORT: write checks/proof.json from pytest's report of the live remedies."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from checks.remedy import PROOF

PROPERTY = "proof"  # what a test records at its end: rule, cause, engine, version
NO_CAUSE = "-"
Proof = dict[str, dict[str, dict[str, list[str]]]]


def read(report: str) -> Proof:
    """Read which remedy was carried out on which version; a test that failed proves nothing."""
    found: Proof = {}
    for rule_id, cause, engine, version in sorted(proven(report)):
        versions = found.setdefault(rule_id, {}).setdefault(cause, {}).setdefault(engine, [])
        if version not in versions:
            versions.append(version)
    return found


def proven(report: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield what each passed test has recorded."""
    for case in ET.fromstring(report).iter("testcase"):
        if case.find("failure") is None and case.find("error") is None:
            for one in case.iterfind(f"properties/property[@name='{PROPERTY}']"):
                rule_id, cause, engine, version = str(one.get("value")).split(" ")
                yield rule_id, "" if cause == NO_CAUSE else cause, engine, version


if __name__ == "__main__":
    found = read(Path(sys.argv[1]).read_text(encoding="utf-8"))
    PROOF.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
