import pytest

from checks.facts import NOT_CONFIGURED, Engine, Missing
from checks.rule import Outcome, Severity
from checks.rules.capacity import maxmemory_set, memory_provisioning
from tests.checks.pairs import GIB, HIDDEN, MIB, facts_with

YOUNG = Missing("no_history", "too young")


@pytest.mark.parametrize(
    ("maxmemory", "outcome", "severity"), [(0, "fail", "info"), (1, "pass", None)]
)
def test_a_ceiling_is_wanted(maxmemory, outcome, severity):
    verdict = maxmemory_set.judge(facts_with(maxmemory_bytes=maxmemory))

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_the_ceiling_advised_holds_the_data_twice():
    verdict = maxmemory_set.judge(facts_with(maxmemory_bytes=0, used_memory_bytes=1 * GIB))

    assert verdict.cause == "unset"
    assert verdict.evidence["suggested_maxmemory_bytes"] == 2 * GIB


@pytest.mark.parametrize(
    ("ram_mib", "suggested_mib"),
    [
        (16 * 1024, 256),  # two MiB would be full with the first mailbox
        (300, 2),  # a host too small for more
    ],
)
def test_the_ceiling_advised_for_a_new_server_is_no_trap(ram_mib, suggested_mib):
    facts = facts_with(
        maxmemory_bytes=0, used_memory_bytes=1 * MIB, system_memory_bytes=ram_mib * MIB
    )

    evidence = maxmemory_set.judge(facts).evidence

    assert evidence["suggested_maxmemory_bytes"] == suggested_mib * MIB


def test_a_small_host_wants_ram_first():
    facts = facts_with(maxmemory_bytes=0, used_memory_bytes=4 * GIB, system_memory_bytes=5 * GIB)

    assert maxmemory_set.judge(facts).cause == "unset-add-ram"


@pytest.mark.parametrize("engine", [Engine.DRAGONFLY, Engine.UPSTASH])
def test_some_makes_have_a_ceiling_of_their_own(engine):
    verdict = maxmemory_set.judge(facts_with(engine=engine, maxmemory_bytes=0))

    assert verdict.outcome is Outcome.NOT_APPLICABLE


# --- redis.memory-provisioning: 1,000 mailboxes want 4,000 MiB, lean 2,000 MiB


@pytest.mark.parametrize(
    ("limit_mib", "highest_mib", "outcome", "severity"),
    [
        (4000, 500, "pass", None),
        (3999, 500, "fail", "warning"),
        (2000, 1500, "fail", "warning"),
        (1999, 999, "fail", "warning"),  # below lean, but twice what it ever used
        (1999, 1000, "fail", "critical"),
    ],
)
def test_provisioning_steps(limit_mib, highest_mib, outcome, severity):
    facts = facts_with(
        maxmemory_bytes=limit_mib * MIB,
        used_memory_bytes=100 * MIB,
        fleet={"expected_mailboxes_count": 1000},
        trend={"highest_used_bytes": highest_mib * MIB},
    )
    verdict = memory_provisioning.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)
    assert verdict.evidence["wanted_bytes"] == 4000 * MIB


def test_without_history_only_what_is_used_now_proves_it_too_small():
    small = {"maxmemory_bytes": 1000 * MIB, "fleet": {"expected_mailboxes_count": 1000}}
    young = {"highest_used_bytes": YOUNG}

    little = memory_provisioning.judge(
        facts_with(used_memory_bytes=500 * MIB, trend=young, **small)
    )
    much = memory_provisioning.judge(facts_with(used_memory_bytes=501 * MIB, trend=young, **small))

    assert (little.outcome, little.reason) == (Outcome.UNKNOWN, "no_history")
    assert much.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("expected", "accounts", "counted"),
    [
        (10, {"connected": 4, "connecting": 1}, 10),
        (3, {"connected": 4, "connecting": 1}, 5),
        (NOT_CONFIGURED, {"connected": 4}, 4),
        (10, HIDDEN, 10),
    ],
)
def test_the_larger_number_of_mailboxes_counts(expected, accounts, counted):
    facts = facts_with(
        fleet={"expected_mailboxes_count": expected}, emailengine={"accounts": accounts}
    )

    assert memory_provisioning.judge(facts).evidence["mailboxes_count"] == counted


def test_without_any_number_of_mailboxes_it_is_unknown():
    facts = facts_with(
        fleet={"expected_mailboxes_count": NOT_CONFIGURED}, emailengine={"accounts": HIDDEN}
    )

    assert memory_provisioning.judge(facts).reason == "no_permission"


def test_ram_that_is_estimated_proves_too_little_but_never_enough():
    enough = memory_provisioning.judge(facts_with(maxmemory_bytes=0))
    attested = memory_provisioning.judge(
        facts_with(maxmemory_bytes=0, attested={"ram_bytes": 16 * GIB})
    )
    little = memory_provisioning.judge(
        facts_with(maxmemory_bytes=0, fleet={"expected_mailboxes_count": 4097})
    )

    assert (enough.reason, attested.outcome) == ("unattested", Outcome.PASS)
    assert little.severity is Severity.WARNING
