"""Does manage.py inspect visit a registered pair as a worker would, without one?"""

import io

import pytest
from django.core.management import CommandError, call_command

from fleet.findings.models import Finding
from fleet.history.models import Visit
from fleet.history.partitions import forget_days
from fleet.inspections.models import PairState
from tests import servers
from tests.fleet.factories import make_pair

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]


def inspected(name: str) -> str:
    forget_days()
    output = io.StringIO()
    call_command("inspect", name, stdout=output)
    return output.getvalue()


def test_a_pair_is_visited_recorded_and_told():
    with servers.redis("maxmemory-policy", "allkeys-lru") as server:
        pair = make_pair(name="northwind", redis_url=server.url)
        by_name, by_number = inspected("Northwind"), inspected(str(pair.pk))

    for table in (by_name, by_number):
        assert "maxmemory-policy is allkeys-lru" in table
        assert "CONFIG SET maxmemory-policy noeviction" in table
    assert Visit.objects.filter(target_id=pair.pk).count() == 2
    assert PairState.objects.get().compliance == "non_compliant"
    assert Finding.objects.filter(rule_id="redis.eviction-policy", state="open").count() == 1


def test_a_name_that_is_none_or_many():
    with pytest.raises(CommandError, match="there is no pair named nobody"):
        inspected("nobody")
    first, second = (make_pair(name="twin", tenant=tenant) for tenant in ("A", "B"))
    with pytest.raises(CommandError, match=rf"{first.pk} \(A\), {second.pk} \(B\)"):
        inspected("twin")
