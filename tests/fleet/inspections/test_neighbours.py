"""Who else is on a pair's server and host."""

from datetime import timedelta

import pytest

from checks.address import RedisAddress
from checks.facts import NOT_CONFIGURED, FleetFacts, Neighbour
from fleet.history.partitions import ensure_day
from fleet.inspections import neighbours
from fleet.inspections.models import LatestFacts
from fleet.inspections.neighbours import ANOTHER_TENANTS, Resident, gather
from tests.fleet.factories import NOW, make_pair
from tests.fleet.inspections.readings import visit

FOUND = gather(
    [
        Resident(1, 1, 1, "a", RedisAddress("h1", database=8), "", "run-1", 100),
        Resident(2, 1, 1, "b", RedisAddress("h1", database=8), "p", "run-1", 100),
        Resident(3, 2, 1, "c", RedisAddress("alias", database=9), "", "run-1", 100),
        Resident(4, 1, 1, "d", RedisAddress("h1", port=6380), "", "run-2", 40),
        Resident(5, 1, 2, "e", RedisAddress("h1", port=6381), "", "run-3", 7),
        Resident(6, 1, 1, "f", RedisAddress("h9"), "", "", 3),
        Resident(7, 1, 1, "g", RedisAddress("h9"), "", "", 3),
    ]
)


def test_who_shares_the_server_and_the_host():
    assert FOUND.facts(1, 10, None) == FleetFacts(
        neighbours=(Neighbour("b", 8, "p"), Neighbour(ANOTHER_TENANTS, 9, "")),
        database=8,
        key_prefix="",
        expected_mailboxes_count=10,
        expected_replicas_count=NOT_CONFIGURED,
        other_rss_bytes=40,
    )


def test_a_server_that_never_answered_has_no_neighbours():
    assert FOUND.facts(6, None, 2) == FleetFacts(expected_replicas_count=2)


def test_a_pair_that_is_not_there_yet_still_has_its_numbers():
    assert FOUND.facts(99, 5, 1) == FleetFacts(
        expected_mailboxes_count=5, expected_replicas_count=1
    )


def test_of_a_thousand_on_one_server_those_on_the_same_keys_and_a_few_are_named():
    crowd = [
        Resident(n, 1, 1, f"p{n}", RedisAddress("h1", database=n % 500), "", "run-1", 100)
        for n in range(1000)
    ]
    found = gather(crowd).facts(999, None, None)

    assert [one.name for one in found.neighbours] == ["p499", *(f"p{n}" for n in range(19))]
    assert (found.unnamed_neighbours_count, found.other_rss_bytes) == (979, 0)


@pytest.mark.django_db(transaction=True)
def test_two_pairs_on_the_same_keys_are_found_by_the_servers_run_id():
    ensure_day(NOW.date())
    one, two = make_pair(), make_pair()
    visit(one, two)
    visit(one, two, now=NOW + timedelta(minutes=1))
    verdicts = LatestFacts.objects.get(target=one.pk, cadence="persistence").verdicts

    assert verdicts["redis.shared-instance"]["severity"] == "critical"
    assert set(neighbours.neighbourhood().by_target) == {one.pk, two.pk}
