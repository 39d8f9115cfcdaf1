import pytest

from checks.policy import DEFAULT, PolicyError
from fleet.registry.models import PolicyVersion
from fleet.registry.policies import (
    FLEET,
    Level,
    Outdated,
    Policies,
    Subject,
    current_number,
    newest_id,
    read_policies,
    save_layer,
)
from tests.fleet.factories import NOW, make_tenant

HEADROOM = "redis.memory-headroom"
PRODUCTION = Subject(Level.ENVIRONMENT.value, environment="production")
TENANT = Subject(Level.TENANT.value, tenant_id=7)
PAIR = Subject(Level.PAIR.value, tenant_id=7, target_id=70)
OTHER_PAIR = Subject(Level.PAIR.value, tenant_id=8, target_id=80)


def warns_at(ratio):
    return {HEADROOM: {"warn_used_ratio": ratio}}


def save(subject, overrides, base=0):
    return save_layer(subject, overrides, note="tried", base=base, by_id=None, at=NOW)


@pytest.mark.parametrize(
    ("layers", "ratio"),
    [
        ({}, 0.8),
        ({FLEET: 0.7}, 0.7),
        ({FLEET: 0.7, PRODUCTION: 0.6}, 0.6),
        ({FLEET: 0.7, PRODUCTION: 0.6, TENANT: 0.5}, 0.5),
        ({FLEET: 0.7, PRODUCTION: 0.6, TENANT: 0.5, PAIR: 0.4}, 0.4),
        ({FLEET: 0.7, OTHER_PAIR: 0.4}, 0.7),
        ({Subject(Level.ENVIRONMENT.value, environment="staging"): 0.6}, 0.8),
    ],
)
def test_the_innermost_layer_wins(layers, ratio):
    policies = Policies({subject: warns_at(one) for subject, one in layers.items()})

    assert policies.of("production", 7, 70)[HEADROOM].limits.warn_used_ratio == ratio


def test_pairs_of_the_same_layers_share_one_policy():
    policies = Policies({FLEET: warns_at(0.7), PAIR: warns_at(0.6)})

    assert policies.of("production", 7, 71) is policies.of("staging", 8, 80)
    assert policies.of("production", 7, 70) is not policies.of("production", 7, 71)


def test_the_core_rules_are_the_fleets_choice():
    policies = Policies({}, core_rules=("redis.stall",))
    settings = policies.of("production", 7, 70).settings

    assert [rule_id for rule_id, one in settings.items() if one.rule.is_core] == ["redis.stall"]


def test_what_a_later_version_dropped_is_left_out(caplog):
    policies = Policies({FLEET: {"redis.gone": {}, **warns_at(0.7)}})

    assert policies.of("production", 7, 70)[HEADROOM].limits.warn_used_ratio == 0.7
    assert caplog.messages == ["policy of fleet: there is no rule named redis.gone"]


def test_limits_that_cross_lose_the_innermost_override(caplog):
    crossing = {HEADROOM: {"critical_used_ratio": 0.6}}
    policies = Policies({FLEET: warns_at(0.7), PAIR: crossing})
    limits = policies.of("production", 7, 70)[HEADROOM].limits

    assert (limits.warn_used_ratio, limits.critical_used_ratio) == (0.7, 0.9)
    assert len(caplog.messages) == 1


@pytest.mark.django_db
def test_a_layer_is_versioned_and_its_newest_version_is_in_force():
    before = newest_id()
    save(FLEET, warns_at(0.7))
    second = save(FLEET, {"redis.stall": {"enabled": False}}, base=1)

    assert newest_id() == second.pk > before
    assert current_number(FLEET) == 2
    assert list(
        PolicyVersion.objects.order_by("number").values_list("number", "is_current", "overrides")
    ) == [(1, False, warns_at(0.7)), (2, True, {"redis.stall": {"enabled": False}})]
    assert not read_policies().of("production", 7, 70)["redis.stall"].is_enabled


@pytest.mark.django_db
def test_a_layer_that_says_nothing_any_more_leaves_the_defaults():
    save(FLEET, warns_at(0.7))
    save(FLEET, {}, base=1)

    assert read_policies().of("production", 7, 70) == DEFAULT


@pytest.mark.django_db
def test_a_change_of_an_older_version_is_refused():
    save(FLEET, warns_at(0.7))

    with pytest.raises(Outdated, match="version 1 was saved meanwhile"):
        save(FLEET, warns_at(0.6), base=0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (
            {HEADROOM: {"warn_used_ratio": 1.5}},
            "redis.memory-headroom: warn_used_ratio is 1.5; allowed is a number from 0 to 1",
        ),
        ({"redis.nothing": {}}, "there is no rule named redis.nothing"),
        (
            {HEADROOM: {"warn_used_ratio": 0.95}},
            (
                "redis.memory-headroom: warn_used_ratio is 0.95; it may not exceed "
                "critical_used_ratio, which is 0.9"
            ),
        ),
    ],
)
def test_what_is_wrong_is_refused_with_rule_limit_and_range(overrides, why):
    with pytest.raises(PolicyError) as refused:
        save(FLEET, overrides)

    assert str(refused.value) == why
    assert not PolicyVersion.objects.exists()


@pytest.mark.django_db
def test_limits_may_not_cross_with_a_layer_above():
    tenant = make_tenant()
    above = Subject(Level.TENANT.value, tenant_id=tenant.pk)
    save(above, {HEADROOM: {"critical_used_ratio": 0.85}})

    with pytest.raises(PolicyError, match=r"warn_used_ratio is 0\.88; it may not exceed"):
        save(FLEET, warns_at(0.88))
