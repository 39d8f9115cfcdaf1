import pytest

from checks.facts import NOT_CONFIGURED, Neighbour
from checks.rules.sharing import same_zone, shared_instance
from tests.checks.pairs import HIDDEN, facts_with


@pytest.mark.parametrize(
    ("redis", "emailengine", "outcome", "severity"),
    [
        ("eu/eu-a", "eu/eu-a", "pass", None),
        ("EU/eu-a ", "eu/EU-A", "pass", None),
        ("eu/eu-a", "eu/eu-b", "fail", "warning"),
        ("eu/eu-a", "us/eu-a", "fail", "critical"),
        ("eu", "us", "fail", "critical"),
        ("eu", "us/us-a", "fail", "critical"),
        ("eu", "eu", "unknown", None),
        ("eu/eu-a", "eu", "unknown", None),
        (NOT_CONFIGURED, "eu/eu-a", "unknown", None),
        ("eu/eu-a", NOT_CONFIGURED, "unknown", None),
    ],
)
def test_zones(redis, emailengine, outcome, severity):
    facts = facts_with(vantage={"redis_location": redis, "emailengine_location": emailengine})
    verdict = same_zone.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_what_is_attested_stands_in_for_what_is_not_registered():
    facts = facts_with(
        vantage={"redis_location": NOT_CONFIGURED}, attested={"redis_location": "eu/eu-b"}
    )

    assert same_zone.judge(facts).evidence == {
        "redis_location": "eu/eu-b",
        "emailengine_location": "eu/eu-a",
    }


def test_it_says_whose_place_is_not_known():
    facts = facts_with(
        vantage={"redis_location": NOT_CONFIGURED, "emailengine_location": NOT_CONFIGURED}
    )

    assert same_zone.judge(facts).message == (
        "State the location of Redis and EmailEngine with the pair, as region/zone"
    )


@pytest.mark.parametrize(
    ("databases", "neighbours", "outcome", "severity"),
    [
        ({"8": 1200}, (), "pass", None),
        ({}, (), "pass", None),
        ({"0": 0, "8": 1200}, (), "pass", None),
        ({"0": 1, "8": 1200}, (), "fail", "info"),
        ({"0": 1}, (), "fail", "info"),
        ({"8": 1200}, (Neighbour("b", 9, ""),), "fail", "info"),
        ({"8": 1200}, (Neighbour("b", 8, "p"),), "fail", "info"),
        ({"8": 1200}, (Neighbour("b", 8, ""),), "fail", "critical"),
    ],
)
def test_who_else_is_there(databases, neighbours, outcome, severity):
    facts = facts_with(keys_by_database=databases, fleet={"neighbours": neighbours})
    verdict = shared_instance.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_those_that_are_not_named_are_counted():
    fleet = {"neighbours": (Neighbour("b", 9, ""),), "unnamed_neighbours_count": 4000}
    verdict = shared_instance.judge(facts_with(keys_by_database={"8": 1}, fleet=fleet))

    assert verdict.evidence["sharing"] == "1 database, 4002 registered pairs"


def test_without_a_fleet_only_the_databases_are_judged():
    assert shared_instance.judge(facts_with(fleet=NOT_CONFIGURED)).outcome == "not_applicable"
    alone = facts_with(fleet=NOT_CONFIGURED, keys_by_database={"0": 3, "8": 1})
    assert shared_instance.judge(alone).severity == "info"


def test_hidden_databases_are_unknown():
    assert shared_instance.judge(facts_with(keys_by_database=HIDDEN)).reason == "no_permission"
