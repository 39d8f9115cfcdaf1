import pytest

from checks.facts import NOT_CONFIGURED, NOT_READ, Engine, Missing
from checks.rule import Outcome, Severity, passed
from checks.rules.writes import accepts_writes, refuses_writes
from tests.checks.pairs import GIB, HIDDEN, MIB, facts_with

MISCONF_RDB = Missing(
    "misconf", "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to"
)
MISCONF_AOF = Missing("misconf", "MISCONF Errors writing to the AOF file: No space left on device")


def cause_of(**changed):
    return accepts_writes.judge(facts_with(**changed)).cause


def test_a_healthy_redis_takes_writes():
    assert accepts_writes.judge(facts_with()) == passed(state="nothing blocks writes")


def test_a_loading_redis_that_refuses_us_ping_is_not_said_to_take_writes():
    verdict = accepts_writes.judge(facts_with(ping=HIDDEN, is_loading=True))

    assert (verdict.outcome, verdict.depends_on) == (Outcome.UNKNOWN, "redis.reachable")


def test_misconf_is_what_ping_says():
    verdict = accepts_writes.judge(facts_with(ping=MISCONF_RDB, rdb_last_bgsave_status="err"))

    assert (verdict.severity, verdict.cause) == (Severity.CRITICAL, "misconf-rdb")
    assert verdict.short == "MISCONF: Redis refuses writes"


def test_misconf_of_the_aof_is_told_apart():
    assert cause_of(ping=MISCONF_AOF, aof_enabled=True) == "misconf-aof"


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        # the settings say that a failed save blocks
        ({}, "misconf-rdb"),
        ({"stop_writes_on_bgsave_error": False}, ""),
        ({"save": ()}, ""),
        # what is hidden counts as its default, unless PING itself says otherwise
        ({"ping": HIDDEN, "stop_writes_on_bgsave_error": HIDDEN}, "misconf-rdb"),
        ({"ping": HIDDEN, "save": HIDDEN}, "misconf-rdb"),
        ({"stop_writes_on_bgsave_error": HIDDEN}, ""),
        ({"save": NOT_READ}, ""),
    ],
)
def test_a_failed_save_blocks_by_the_settings(changed, cause):
    assert cause_of(rdb_last_bgsave_status="err", **changed) == cause


@pytest.mark.parametrize(
    ("enabled", "status", "cause"),
    [(True, "err", "misconf-aof"), (False, "err", ""), (True, "ok", "")],
)
def test_an_aof_that_cannot_be_written_blocks(enabled, status, cause):
    assert cause_of(aof_enabled=enabled, aof_last_write_status=status) == cause


@pytest.mark.parametrize(
    ("used", "uncounted", "cause"),
    [(999, 0, ""), (1000, 0, "oom"), (1001, 0, "oom"), (1001, 2, ""), (1002, 2, "oom")],
)
def test_full_is_what_redis_itself_compares(used, uncounted, cause):
    changed = {
        "used_memory_bytes": used * MIB,
        "not_counted_for_evict_bytes": uncounted * MIB,
        "maxmemory_bytes": 1000 * MIB,
    }

    assert cause_of(**changed) == cause


def test_full_suggests_a_ceiling_that_the_host_holds():
    verdict = accepts_writes.judge(
        facts_with(used_memory_bytes=2 * GIB, maxmemory_bytes=2 * GIB, system_memory_bytes=16 * GIB)
    )

    assert verdict.message == (
        "Redis is full and refuses writes: 2.0\u202fGiB of 2.0\u202fGiB; "
        "it must stay clear of maxmemory"
    )
    assert verdict.evidence["suggested_maxmemory_bytes"] == 4 * GIB


def test_full_on_a_host_without_room_asks_for_ram_first():
    changed = {"used_memory_bytes": 2 * GIB, "maxmemory_bytes": 2 * GIB}

    assert cause_of(**changed, system_memory_bytes=3 * GIB) == "oom-add-ram"


def test_full_without_a_limit_is_not_full():
    assert cause_of(maxmemory_bytes=0) == ""


def test_full_with_a_policy_that_evicts_any_key_still_writes():
    verdict = accepts_writes.judge(
        facts_with(used_memory_bytes=GIB, maxmemory_bytes=GIB, maxmemory_policy="allkeys-lru")
    )

    assert verdict.outcome is Outcome.PASS


def test_full_with_volatile_keys_cannot_be_told():
    verdict = accepts_writes.judge(
        facts_with(used_memory_bytes=GIB, maxmemory_bytes=GIB, maxmemory_policy="volatile-lru")
    )

    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, "undetermined")
    assert "volatile-lru" in verdict.message


def test_an_error_of_emailengine_settles_what_redis_leaves_open():
    verdict = accepts_writes.judge(
        facts_with(
            used_memory_bytes=GIB,
            maxmemory_bytes=GIB,
            maxmemory_policy="volatile-lru",
            emailengine={"health_status": 500},
        )
    )

    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, "oom")
    assert verdict.evidence["emailengine_health_status"] == 500


def test_an_error_of_emailengine_alone_says_nothing_of_redis():
    assert accepts_writes.judge(facts_with(emailengine={"health_status": 500})).outcome == "pass"


@pytest.mark.parametrize(
    ("good", "wanted", "cause"),
    [
        (0, 1, "noreplicas"),
        (1, 1, ""),
        (1, 2, "noreplicas"),
        (0, 0, ""),
        (0, HIDDEN, "noreplicas"),
        (1, HIDDEN, ""),
        (Missing("undetermined", "INFO has none"), 2, ""),
    ],
)
def test_too_few_good_replicas_block(good, wanted, cause):
    assert cause_of(min_replicas_good=good, min_replicas_to_write=wanted) == cause


@pytest.mark.parametrize(
    ("read_only", "cause"), [(True, "readonly"), (HIDDEN, "readonly"), (False, "")]
)
def test_a_replica_refuses_writes_unless_it_says_otherwise(read_only, cause):
    assert cause_of(role="slave", replica_read_only=read_only) == cause


def test_a_replica_whose_primary_is_gone_says_so():
    verdict = accepts_writes.judge(
        facts_with(
            ping=Missing("misconf", "MASTERDOWN Link with MASTER is down"),
            role="slave",
            master_link_status="down",
            errors={"READONLY": 3, "ERR": 9},
        )
    )

    assert verdict.cause == "readonly"
    assert verdict.evidence["master_link_status"] == "down"
    assert verdict.evidence["refused"] == {"READONLY": 3}


@pytest.mark.parametrize(
    ("state", "outcome", "cause"),
    [("ok", "pass", ""), ("fail", "fail", "clusterdown"), (NOT_READ, "unknown", "")],
)
def test_a_cluster_takes_writes_while_it_serves_all_slots(state, outcome, cause):
    verdict = accepts_writes.judge(facts_with(cluster_enabled=True, cluster_state=state))

    assert (verdict.outcome, verdict.cause) == (outcome, cause)


def test_a_sentinel_is_the_endpoint_rules_finding():
    verdict = accepts_writes.judge(facts_with(mode="sentinel"))

    assert (verdict.outcome, verdict.depends_on) == (Outcome.UNKNOWN, "redis.endpoint-role")


def test_while_redis_loads_nothing_is_told_of_writes():
    verdict = accepts_writes.judge(facts_with(ping=Missing("loading", "LOADING")))

    assert (verdict.outcome, verdict.depends_on) == (Outcome.UNKNOWN, "redis.reachable")


@pytest.mark.parametrize(
    "name", ["role", "maxmemory_bytes", "used_memory_bytes", "maxmemory_policy"]
)
def test_a_pass_needs_to_have_read(name):
    verdict = accepts_writes.judge(facts_with(**{name: Missing("no_permission", "INFO is closed")}))

    assert (verdict.outcome, verdict.message) == (Outcome.UNKNOWN, "INFO is closed")


@pytest.mark.parametrize("name", ["rdb_last_bgsave_status", "aof_last_write_status"])
def test_without_a_pong_the_disk_must_have_been_read(name):
    changed = {name: Missing("no_permission", "INFO is closed"), "aof_enabled": True}

    assert accepts_writes.judge(facts_with(**changed)).outcome is Outcome.PASS
    assert accepts_writes.judge(facts_with(ping=HIDDEN, **changed)).outcome is Outcome.UNKNOWN


def test_several_blocks_are_all_in_the_evidence():
    verdict = accepts_writes.judge(
        facts_with(ping=MISCONF_RDB, used_memory_bytes=GIB, maxmemory_bytes=GIB)
    )

    assert verdict.evidence["blocked_by"] == ["misconf-rdb", "oom"]


def test_other_rules_may_ask_whether_writes_are_refused():
    assert refuses_writes(facts_with(ping=MISCONF_AOF)) is True
    assert refuses_writes(facts_with(emailengine=NOT_CONFIGURED)) is False
    assert refuses_writes(facts_with(redis=Missing("refused", "no"))) is False


@pytest.mark.parametrize(
    ("used", "refused", "cause"),
    [(949, 7, ""), (950, 7, "oom"), (999, 1, "oom"), (999, 0, "")],
)
def test_memory_at_the_brim_refuses_now_and_then(used, refused, cause):
    facts = facts_with(
        used_memory_bytes=used * MIB,
        maxmemory_bytes=1000 * MIB,
        since={"errors_rise": {"OOM": refused} if refused else {}},
    )
    verdict = accepts_writes.judge(facts)

    assert verdict.cause == cause
    if cause:
        assert verdict.message == (
            f"Redis has refused {refused} writes since the last look, and uses {used}\u202fMiB of "
            "1,000\u202fMiB; it must stay clear of maxmemory"
        )


@pytest.mark.parametrize(
    ("used", "errors", "cause"),
    [(949, {"OOM": 7}, ""), (950, {"OOM": 7}, "oom"), (999, {"MISCONF": 7}, ""), (999, {}, "")],
)
def test_at_first_sight_all_refusals_count(used, errors, cause):
    facts = facts_with(
        used_memory_bytes=used * MIB,
        maxmemory_bytes=1000 * MIB,
        errors=errors,
        since=Missing("first_visit", "this is the first visit"),
    )
    verdict = accepts_writes.judge(facts)

    assert verdict.cause == cause
    if cause:
        assert verdict.message == (
            "Redis has refused 7 writes since it started, and uses 950\u202fMiB of 1,000\u202fMiB; "
            "it must stay clear of maxmemory"
        )


def test_refusals_that_a_raised_ceiling_has_ended_are_over():
    facts = facts_with(since={"errors_rise": {"OOM": 90, "MISCONF": 4}})

    assert accepts_writes.judge(facts) == passed(state="nothing blocks writes")


def test_a_quota_that_is_used_up_blocks_everything():
    used_up = Missing("misconf", "ERR max requests limit exceeded. Limit: 500000, Usage: 500000")

    assert cause_of(engine=Engine.UPSTASH, ping=used_up) == "quota"
