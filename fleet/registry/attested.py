"""What people vouch for of a shard's pairs, as rules see it: a pair's own word beats its tenant's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from checks import attest
from checks.facts import Attested, Missing
from fleet.registry.arrays import rows_of

NOT_SAID: Final = Missing("unattested", "")

# The tenant's first, so that the pair's own comes over it.
READ: Final = """
SELECT t.id, false AS is_own, a.key, a.value::text, a.expires_at
FROM registry_target t
JOIN registry_attestation a ON a.tenant_id = t.tenant_id AND a.target_id IS NULL
WHERE t.id = ANY(%b::int8[]) AND a.ended_at IS NULL
UNION ALL
SELECT a.target_id, true, a.key, a.value::text, a.expires_at
FROM registry_attestation a
WHERE a.target_id = ANY(%b::int8[]) AND a.ended_at IS NULL
ORDER BY 2
"""


def attested(target_ids: Sequence[int], now: datetime) -> dict[int, Attested]:
    """Give what is attested of each of these pairs, in one query; a pair of which nothing is, is absent.

    Expired is not attested, and says so. A pair's own attestation counts before its tenant's, unless
    it has expired and the tenant's has not.
    """
    rows = rows_of(READ, [list(target_ids), list(target_ids)])
    found: dict[int, dict[str, attest.Value | Missing]] = defaultdict(dict)
    for target_id, _is_own, key, value, expires_at in rows:
        _take(found[target_id], key, json.loads(value), expires_at, now)
    return {target_id: attest.facts(values) for target_id, values in found.items()}


def _take(
    values: dict[str, attest.Value | Missing],
    key: str,
    value: Any,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Take one attestation over what lies below it; one of another version of ours is passed over."""
    if not attest.is_sound(key, value):
        return
    if expires_at > now:
        values[key] = value
    elif isinstance(values.get(key, NOT_SAID), Missing):
        text = f"{key} was attested until {expires_at:%Y-%m-%d}: it has expired"
        values[key] = Missing("unattested", text)
