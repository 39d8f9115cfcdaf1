import math
import re

import pytest

from checks.policy import DEFAULT, PolicyError, lay, parse
from checks.remedy import title
from checks.rule import Cadence, Confirm, Severity
from tests.checks.sample_rules import (
    ALL,
    RULES,
    LicenceLimits,
    MemoryLimits,
    emailengine,
    evictions,
    layer,
    licence,
    memory,
    policy,
    reachable,
)

MEMORY, LICENCE = memory.id, licence.id


def test_without_layers_every_rule_has_its_own_settings():
    laid = policy()

    assert list(laid.settings) == [one.id for one in RULES]
    settings = laid[MEMORY]
    assert (settings.limits, settings.opens, settings.resolves, settings.is_enabled) == (
        MemoryLimits(),
        Confirm(3, 3),
        Confirm(3, 3),
        True,
    )
    assert settings.severity is None


def test_the_last_layer_wins_and_leaves_the_rest():
    fleet = {MEMORY: {"warn_used_ratio": 0.85, "severity": "warning", "open_after": [2, 3]}}
    tenant = {MEMORY: {"critical_used_ratio": 0.95, "warn_used_ratio": 0.7, "leave_used_ratio": 0}}
    pair = {MEMORY: {"enabled": False, "resolve_after": [1, 1], "severity": "critical"}}

    settings = policy(fleet, tenant, pair)[MEMORY]

    assert settings.limits == MemoryLimits(0.0, 0.7, 0.95)
    assert (settings.opens, settings.resolves) == (Confirm(2, 3), Confirm(1, 1))
    assert (settings.is_enabled, settings.severity) == (False, Severity.CRITICAL)


def test_a_rule_may_be_switched_on_again_by_a_later_layer():
    assert policy({MEMORY: {"enabled": False}}, {MEMORY: {"enabled": True}})[MEMORY].is_enabled


def test_a_former_id_means_the_present_rule():
    assert policy({"redis.old-memory": {"warn_used_ratio": 0.76}})[MEMORY].limits == MemoryLimits(
        0.75, 0.76, 0.90
    )


def test_every_kind_of_limit_is_read_as_its_default_is():
    data = {
        "warn_remaining_days": 60,
        "is_strict": True,
        "least_version": [7, 0, 1],
        "points": [[3600, 1]],
        "policy_name": "volatile-lru",
        "patience_s": 2,
    }

    limits = policy({LICENCE: data})[LICENCE].limits

    assert limits == LicenceLimits(
        warn_remaining_days=60,
        is_strict=True,
        least_version=(7, 0, 1),
        points=((3600, 1),),
        policy_name="volatile-lru",
        patience_s=2.0,
    )
    assert isinstance(limits.patience_s, float)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "a policy: want names with their values, not []"),
        ({1: {}}, "a policy: want names with their values, not {1: {}}"),
        ({"redis.no-such": {}}, "there is no rule named redis.no-such"),
        (
            {MEMORY: {}, "redis.old-memory": {}},
            f"{MEMORY} is given twice, once as redis.old-memory",
        ),
        ({MEMORY: 3}, f"{MEMORY}: want names with their values, not 3"),
        (
            {MEMORY: {"warn_ratio": 0.5}},
            (
                f"{MEMORY} has no limit named warn_ratio; it has leave_used_ratio, warn_used_ratio, "
                "critical_used_ratio (and enabled, severity, open_after, resolve_after)"
            ),
        ),
        (
            {reachable.id: {"times": 1}},
            (
                f"{reachable.id} has no limit named times; it has no limits of its own "
                "(and enabled, severity, open_after, resolve_after)"
            ),
        ),
        (
            {evictions.id: {"open_after": [1, 1]}},
            f"{evictions.id} has no open_after: it judges events, which open a finding at once",
        ),
    ],
)
def test_what_does_not_exist_is_named(data, text):
    with pytest.raises(PolicyError, match=f"^{re.escape(text)}$"):
        layer(data)


RATIO, WHOLE, CONFIRM = (
    "a number from 0 to 1",
    "a whole number from 0 to 10^15",
    "[k, n]: k of the last n results, 1 ≤ k ≤ n ≤ 15",
)


@pytest.mark.parametrize(
    ("rule_id", "name", "value", "allowed"),
    [
        (MEMORY, "warn_used_ratio", 1.01, RATIO),
        (MEMORY, "warn_used_ratio", -0.01, RATIO),
        (MEMORY, "warn_used_ratio", "0.8", RATIO),
        (MEMORY, "warn_used_ratio", True, RATIO),
        (MEMORY, "warn_used_ratio", None, RATIO),
        (MEMORY, "warn_used_ratio", math.nan, RATIO),
        (LICENCE, "warn_remaining_days", -1, WHOLE),
        (LICENCE, "warn_remaining_days", 1.0, WHOLE),
        (LICENCE, "warn_remaining_days", True, WHOLE),
        (LICENCE, "patience_s", math.inf, "a number from 0 to 10^15"),
        (LICENCE, "patience_s", -1, "a number from 0 to 10^15"),
        (LICENCE, "is_strict", 1, "true or false"),
        (LICENCE, "policy_name", "", "a text such as 'noeviction'"),
        (LICENCE, "policy_name", 7, "a text such as 'noeviction'"),
        (LICENCE, "least_version", 7, "a list such as [6, 2]"),
        (LICENCE, "least_version", [], "a list such as [6, 2]"),
        (LICENCE, "points", [900, 1], "a list such as [900, 1]"),
        (MEMORY, "enabled", "no", "true or false"),
        (MEMORY, "severity", "fatal", "one of info, warning, critical"),
        (LICENCE, "severity", "critical", "one of info, warning"),
        (MEMORY, "open_after", [4, 3], CONFIRM),
        (MEMORY, "open_after", [0, 3], CONFIRM),
        (MEMORY, "open_after", [1, 16], CONFIRM),
        (MEMORY, "open_after", 3, CONFIRM),
        (MEMORY, "resolve_after", [True, 3], CONFIRM),
        (MEMORY, "resolve_after", [1, 2, 3], CONFIRM),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(rule_id, name, value, allowed):
    with pytest.raises(PolicyError) as error:
        layer({rule_id: {name: value}})

    shown = value if name != "points" else 900
    assert str(error.value) == f"{rule_id}: {name} is {shown!r}; allowed is {allowed}"


@pytest.mark.parametrize("value", [0, 0.75, 1])
def test_the_ends_of_a_ratio_are_allowed(value):
    assert layer({MEMORY: {"leave_used_ratio": value}})[MEMORY].limits == {
        "leave_used_ratio": value
    }


@pytest.mark.parametrize(
    ("rule_id", "limits", "text"),
    [
        (
            MEMORY,
            {"warn_used_ratio": 0.95},
            "warn_used_ratio is 0.95; it may not exceed critical_used_ratio, which is 0.9",
        ),
        (
            MEMORY,
            {"leave_used_ratio": 0.81},
            "leave_used_ratio is 0.81; it may not exceed warn_used_ratio, which is 0.8",
        ),
        (
            LICENCE,
            {"warn_remaining_days": 6},
            "critical_remaining_days is 7; it may not exceed warn_remaining_days, which is 6",
        ),
    ],
)
def test_thresholds_of_one_scale_keep_the_order_of_the_defaults(rule_id, limits, text):
    with pytest.raises(PolicyError, match=f"^{re.escape(f'{rule_id}: {text}')}$"):
        policy({rule_id: limits})


def test_layers_that_cross_only_together_are_refused():
    fleet = {MEMORY: {"critical_used_ratio": 0.85}}
    tenant = {MEMORY: {"warn_used_ratio": 0.88}}
    policy(fleet)
    policy(tenant)

    with pytest.raises(PolicyError, match="may not exceed critical_used_ratio"):
        policy(fleet, tenant)


def test_thresholds_may_be_equal():
    assert policy({MEMORY: {"warn_used_ratio": 0.9}})[MEMORY].limits == MemoryLimits(0.75, 0.9, 0.9)


def test_due_gives_the_rules_of_the_cadences_in_order():
    laid = policy()

    due = [one.rule for one in laid.due(frozenset({Cadence.HEALTH, Cadence.STATS}))]

    assert due == [reachable, memory, emailengine, evictions]
    assert laid.due(ALL) is laid.due(ALL)
    assert laid.due(frozenset()) == ()


def test_the_catalogue_has_a_default_policy_that_parses_as_it_is():
    written = {
        rule_id: {
            name: getattr(settings.limits, name) for name in settings.limits.__dataclass_fields__
        }
        for rule_id, settings in DEFAULT.settings.items()
    }

    assert lay(parse(written)).settings == DEFAULT.settings


@pytest.mark.parametrize(
    ("rule_id", "name", "value", "shown", "allowed"),
    [
        (
            *("redis.rdb-schedule", "required_pairs", [[900, 1], [300]]),
            *("[300]", "2 values such as [900, 1]"),
        ),
        (
            *("redis.rdb-schedule", "required_pairs", [[900, 1, 5]]),
            *("[900, 1, 5]", "2 values such as [900, 1]"),
        ),
        (
            *("redis.version", "preferred_version", "latest"),
            *("'latest'", "a version in quotes such as '6.2'"),
        ),
        (
            *("redis.version", "preferred_version", 7.0),
            *("7.0", "a version in quotes such as '6.2'"),
        ),
        (
            *("redis.version", "preferred_version", "7" * 500),
            *(f"'{'7' * 79}…", "a version in quotes such as '6.2'"),
        ),
        (
            *("redis.reachable", "critical_waiting_s", 10**15 + 1),
            *("1000000000000001", "a whole number from 0 to 10^15"),
        ),
        (
            *("redis.stall", "warn_stall_ms", math.inf),
            *("inf", "a number from 0 to 10^15"),
        ),
    ],
)  # fmt: skip
def test_what_a_rule_could_not_work_with_is_refused(rule_id, name, value, shown, allowed):
    with pytest.raises(PolicyError) as error:
        parse({rule_id: {name: value}})

    assert str(error.value) == f"{rule_id}: {name} is {shown}; allowed is {allowed}"


def test_every_policy_that_is_taken_can_be_shown():
    taken = {"redis.rdb-schedule": {"required_pairs": [[60, 1], [900, 7], [5, 2]]}}
    settings = lay(parse(taken))["redis.rdb-schedule"]

    assert title(settings.rule, settings.limits).endswith("60/1, 900/7, 5/2")
