from datetime import UTC, datetime

import pytest

from fleet.history.models import Visit
from fleet.inspections.demo import register, remove
from fleet.registry.models import Pair, Target, Tenant
from fleet.registry.sealed import reveal

ENTRY = {
    "name": "northwind-eu-01",
    "tenant": "Northwind Mail (demo)",
    "note": "All as required",
    "redis_url": "redis://127.0.0.1:7001/0",
    "redis_password": "not-this-one",
    "emailengine": "healthy",
    "emailengine_url": "http://127.0.0.1:7002",
    "metrics_token": "demo",
    "api_token": "demo",
    "expected_mailboxes": 12,
}

pytestmark = pytest.mark.django_db


def test_registering_twice_moves_the_pair_to_its_new_port():
    register([ENTRY])

    assert register([ENTRY | {"redis_url": "redis://127.0.0.1:7009/0"}]) == 1
    pair = Pair.objects.get()
    assert pair.redis_url == "redis://127.0.0.1:7009/0"
    assert reveal(pair.redis_password) == "not-this-one"
    assert pair.target.labels == {"demo": "All as required", "emailengine": "simulator"}


def test_removing_leaves_what_is_not_of_the_demo():
    register([ENTRY])
    own = Tenant.objects.create(name="Own")
    kept = Target.objects.create(
        tenant=own, name="kept", zone=Target.objects.get(name="northwind-eu-01").zone
    )

    assert remove() == 1
    assert list(Target.objects.all()) == [kept]
    assert list(Tenant.objects.all()) == [own]
    assert not Visit.objects.filter(at__gt=datetime(2000, 1, 1, tzinfo=UTC)).exists()
