"""What is to be done where evidence speaks against what people vouch for."""

from __future__ import annotations

from typing import Final

from checks.rule import Effect, Remediation

CONTRADICTED: Final = (
    "contradicted"  # the cause of such a verdict; `claim` names what was vouched for
)
ANEW = Remediation(
    when="what was attested is contradicted",
    why="What people vouch for is believed until evidence speaks against it: then nobody knows which "
    "of the two is right, and every rule that rests on it is open.",
    do="Find out which is right: {claim}, or what was read",
    now=(
        "Compare what is said with what was read: both stand in the finding. Look at {host} itself.",
        "Correct what is said ({claim}) in the pair or under Attestations, or withdraw it.",
        "If it is right, look for what makes {host} read otherwise, and mend that.",
    ),
    durable="Let whoever moves or resizes {host} correct what was said of it.",
    verify="The next check must read what is said.",
    risk="Looking changes nothing.",
    undo="Say again what was said before.",
    effect=Effect.NONE,
)
