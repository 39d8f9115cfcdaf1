"""Which attestations would let a rule tell more? Worked out from what its verdict says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from checks.attest import Key, keys_for
from checks.facts import Attested, Missing
from checks.rule import Outcome, Verdict


def waiting_keys(verdicts: Mapping[str, Verdict], attested: Attested | Missing) -> list[str]:
    """Give the keys that these verdicts wait for, each once, in the order of their names."""
    found = {
        key.name
        for rule_id, verdict in verdicts.items()
        for key in waiting_for(rule_id, verdict)
        if isinstance(attested, Missing) or isinstance(getattr(attested, key.name), Missing)
    }
    return sorted(found)


def waiting_for(rule_id: str, verdict: Verdict) -> Iterator[Key]:
    """Give the keys that one verdict waits for: those it names, else the rule's first one.

    A fail that says what to attest, such as an AOF on a disk of unknown speed, waits too.
    """
    is_unknown = verdict.outcome is Outcome.UNKNOWN and verdict.reason == "unattested"
    is_fail = verdict.outcome is Outcome.FAIL and "not attested" in verdict.message
    if not (is_unknown or is_fail):
        return
    keys = keys_for(rule_id)
    yield from [key for key in keys if key.name in verdict.message] or keys[:1]
