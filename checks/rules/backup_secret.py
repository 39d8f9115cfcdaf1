"""The secret that opens what a copy brings back: kept, and kept apart."""

from __future__ import annotations

from checks.facts import Attested, PairFacts, known, or_else
from checks.rule import (
    Effect,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Verdict,
    failed,
    passed,
    rule,
)
from checks.rules.backup import NEXT_CHECK, with_source

KEEP = Remediation(
    why="Credentials in Redis are sealed with EENGINE_SECRET. A backup without it brings back "
    "accounts that nobody can sign in to; a backup with it beside lets whoever finds it read them all.",
    do="Keep EENGINE_SECRET in a vault, apart from the backups",
    now=(
        (
            "Copy the value of EENGINE_SECRET, or of the settings file it stands in, into a password "
            "vault that a restore can reach when {host} is gone."
        ),
        "See that it lies in no folder or bucket that holds copies of Redis. Then attest secret_kept.",
    ),
    durable="Say in your restore instructions where it is, and try it in a restore now and then.",
    verify=NEXT_CHECK,
    risk="Whoever has both a copy and the secret can read every mailbox: keep two people's eyes on it.",
    undo="Withdraw the attestation.",
    effect=Effect.NONE,
)


@rule(
    id="backup.secret-kept",
    kind=Kind.REQUIREMENT,
    group=Group.BACKUP,
    title="EENGINE_SECRET is kept apart from the backups",
    severity=Severity.CRITICAL,
    source="EE",
    observed="{state}",
    required="kept apart, attested",
    reads="The attestation secret_kept: no protocol tells it",
    remediation=KEEP,
)
def secret_kept(facts: PairFacts, _: Limits) -> Verdict:
    """Judge what is attested of EENGINE_SECRET: without it a restored Redis opens no mailbox.

    Source: EmailEngine seals credentials with this secret; a copy alone does not hold it.
    """
    with_source(facts)
    if known(or_else(facts.attested, Attested()).secret_kept):
        return passed(state="kept apart, attested")
    return failed(
        "EENGINE_SECRET is not kept apart from the backups, as attested; it must be",
        short="EENGINE_SECRET is not kept apart",
        severity=Severity.CRITICAL,
        state="not kept apart, attested",
    )
