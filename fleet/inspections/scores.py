"""How a day's scores are summed up from how each target stood, of every tenant and of the fleet: SQL."""

from __future__ import annotations

from typing import Final

# Whom every share counts: pausing a pair that fails must raise no score. Archiving takes it out.
COUNTED: Final = "state <> 'archived'"
STATES: Final = ("compliant", "at_risk", "non_compliant", "unverified")
COUNTS: Final = (
    "pairs_count",
    *(f"{one}_count" for one in STATES),
    "raw_compliant_count",
    "open_findings",
)
COVERAGE: Final = ("conclusive_count", "applicable_count")
# By tenant and in all; members are (id, tenant_id), open_findings (target_id, rule_id, severity,
# is_waived) without notes.
BY_RULE: Final = """
found AS (
    SELECT tenant_id, jsonb_object_agg(rule_id, counts) AS open_findings
    FROM (
        SELECT m.tenant_id, f.rule_id, jsonb_build_array(
            count(*) FILTER (WHERE NOT f.is_waived AND f.severity = 'critical'),
            count(*) FILTER (WHERE NOT f.is_waived AND f.severity = 'warning'),
            count(*) FILTER (WHERE f.is_waived)) AS counts
        FROM open_findings f JOIN members m ON m.id = f.target_id
        GROUP BY GROUPING SETS ((m.tenant_id, f.rule_id), (f.rule_id))
    ) by_rule
    GROUP BY tenant_id
)
"""
# standing is (tenant_id, compliance, raw_compliance, conclusive_count, applicable_count) a target.
INSERT: Final = f"""
INSERT INTO history_scoreday (day, tenant_id, {", ".join((*COUNTS[:-1], *COVERAGE, COUNTS[-1]))})
SELECT %(day)s, s.*, coalesce(found.open_findings, '{{}}')
FROM (
    SELECT tenant_id, count(*), {
    ", ".join(f"count(*) FILTER (WHERE compliance = '{one}')" for one in STATES)
},
        count(*) FILTER (WHERE raw_compliance = 'compliant'),
        coalesce(sum(conclusive_count), 0), coalesce(sum(applicable_count), 0)
    FROM standing
    GROUP BY GROUPING SETS ((tenant_id), ())
    HAVING count(*) > 0
) s
LEFT JOIN found ON found.tenant_id IS NOT DISTINCT FROM s.tenant_id
"""  # noqa: S608  our own names
