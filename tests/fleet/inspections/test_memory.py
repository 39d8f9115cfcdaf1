from datetime import timedelta

import pytest
from django.db import connection

from checks.deltas_of_redis import FSYNC_LOOKS
from fleet.findings.models import Finding, Transition
from fleet.history.partitions import ensure_day
from fleet.inspections.acknowledge import AcknowledgeError, acknowledge, may_accept
from fleet.inspections.models import PairMemory
from tests.fleet.factories import NOW, make_pair
from tests.fleet.inspections.readings import visit

pytestmark = pytest.mark.django_db(transaction=True)

INTACT = "pair.data-intact"
URL = {"emailengine_url": "https://ee.example.com"}


@pytest.fixture(autouse=True)
def _today():
    ensure_day(NOW.date())


def minutes(count):
    return NOW + timedelta(minutes=count)


def live(pair, rule_id=INTACT):
    return Finding.objects.filter(target=pair.pk, rule_id=rule_id, state="open").first()


def test_a_visit_remembers_what_the_next_compares_with():
    pair = make_pair(**URL)
    visit(pair, keys_by_database={"8": 5000})

    kept = PairMemory.objects.get(target=pair.pk)
    assert (kept.memory["keys_count"], kept.memory["accounts_count"]) == (5000, 4)
    assert kept.memory["began_s"] == int((NOW + timedelta(seconds=1)).timestamp())


def test_a_flushed_redis_stays_red_until_acknowledged():
    pair = make_pair(**URL)
    visit(pair, keys_by_database={"8": 5000})
    visit(pair, now=minutes(1), keys_by_database={"8": 3})
    assert live(pair).message == "Data is gone: 5,000 keys → 3; it must all be there"

    visit(pair, now=minutes(2), keys_by_database={"8": 4900})
    finding = live(pair)
    assert finding is not None
    assert may_accept(finding)
    visit(pair, now=minutes(3), keys_by_database={"8": 40})

    acknowledge(finding.pk, "moved to another pair", None, minutes(4))
    assert live(pair) is None
    visit(pair, now=minutes(5), keys_by_database={"8": 40})
    visit(pair, now=minutes(6), keys_by_database={"8": 41})
    assert live(pair) is None
    last = Transition.objects.filter(finding=finding).latest("at")
    assert (last.cause, last.note) == ("acknowledged", "moved to another pair")


def test_what_ends_by_itself_cannot_be_acknowledged():
    pair = make_pair(**URL)
    visit(pair, maxmemory_policy="allkeys-lru")
    finding = live(pair, "redis.eviction-policy")

    with pytest.raises(AcknowledgeError, match="ends by itself"):
        acknowledge(finding.pk, "we know of it", None, NOW)
    with pytest.raises(AcknowledgeError, match="reason"):
        acknowledge(finding.pk, " ok ", None, NOW)


def test_a_visit_that_changes_nothing_writes_no_memory():
    pair = make_pair(**URL)
    for minute in range(FSYNC_LOOKS + 1):  # then the last looks are all remembered
        visit(pair, now=minutes(minute))
    before = _version(pair)
    visit(pair, now=minutes(FSYNC_LOOKS + 1))

    assert _version(pair) == before


def _version(pair):
    """The row's transaction: another one where it was written again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xmin::text FROM inspections_pairmemory WHERE target_id = %s", [pair.pk]
        )
        return cursor.fetchone()
