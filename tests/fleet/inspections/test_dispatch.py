"""Are due pairs sent in shards to where they belong, and none forgotten when they cannot be?"""

import pytest
from kombu.exceptions import OperationalError

from fleet.inspections.dispatch import SHARD, Shard, dispatch_due, shards
from fleet.inspections.schedule import Claim, check_now
from tests.fleet.visiting import NOW, make_pairs

pytestmark = pytest.mark.django_db


def test_claims_are_sorted_by_zone_and_by_who_waits_for_them():
    a, b, c, d = (
        Claim(1, 5, 3, "eu-1", is_slow=False, is_asked=False),
        Claim(2, 1, 3, "eu-1", is_slow=True, is_asked=False),
        Claim(3, 1, 31, "eu-1", is_slow=True, is_asked=True),
        Claim(4, 1, 3, "ap-1", is_slow=False, is_asked=False),
    )

    found = {shard.queue: shard.tokens for shard in shards([a, b, c, d])}

    assert found == {
        "zone.eu-1.main": [(1, 5, 3)],
        "zone.eu-1.slow": [(2, 1, 3)],
        "zone.eu-1.now": [(3, 1, 31)],
        "zone.ap-1.main": [(4, 1, 3)],
    }


def test_shards_hold_two_hundred_pairs():
    make_pairs(2 * SHARD + 7)
    sent: list[Shard] = []

    assert dispatch_due(NOW, sent.append) == 2 * SHARD + 7
    assert sorted(len(shard.claims) for shard in sent) == [7, SHARD, SHARD]
    assert dispatch_due(NOW, sent.append) == 0


def test_without_a_broker_the_pairs_are_due_again_at_once():
    make_pairs(2 * SHARD)
    sent: list[Shard] = []

    def send(shard: Shard) -> None:
        if sent:
            raise OperationalError("connection refused")
        sent.append(shard)

    assert dispatch_due(NOW, send) == 0
    assert dispatch_due(NOW, sent.append) == SHARD


def test_who_was_asked_for_goes_first():
    pairs = make_pairs(3)
    check_now([pairs[1].pk], NOW)
    sent: list[Shard] = []

    dispatch_due(NOW, sent.append)

    assert {shard.queue: [one.target_id for one in shard.claims] for shard in sent} == {
        "zone.eu-1.now": [pairs[1].pk],
        "zone.eu-1.main": [pairs[0].pk, pairs[2].pk],
    }
