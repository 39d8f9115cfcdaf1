"""What would be mailed for a pair: by channel, in words, for those who may see it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fleet.alerts import gather, route
from fleet.alerts.models import Channel
from tests.fleet.alerts.stories import OPS, make_channel
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db


def story():
    """One open finding, told to two channels, one of which wants no production."""
    pair = make_pair(name="northwind-eu-0417")
    make_state(pair, now=timezone.now())
    make_channel()
    make_channel(None, address=OPS, environments=["staging"])
    make_finding(pair, now=timezone.now())
    gone = make_finding(pair, "redis.durability", now=timezone.now())
    gone.state, gone.resolved_at = "resolved", timezone.now()
    gone.save()
    route.route(timezone.now())
    gather.gather(timezone.now() + timedelta(seconds=30))
    return pair


def page(pair):
    return f"/admin/registry/pair/{pair.pk}/mail/"


def test_each_suppression_has_its_sentence(client):
    pair = story()
    client.force_login(make_person())
    with CaptureQueriesContext(connection) as queries:
        text = client.get(page(pair)).content.decode()

    assert "in a mail that is on its way" in text
    assert "the channel wants other environments: staging" in text
    assert "Not mailed: over before it was mailed." in text
    assert "In a mail: waiting." in text
    assert len(queries) <= 15, [one["sql"] for one in queries]


def test_a_tenants_viewer_sees_their_own_channels_only(client):
    pair = story()
    viewer = make_person("vera", is_operator=False, roles=[("viewer", "Northwind Mail")])
    client.force_login(viewer)
    text = client.get(page(pair)).content.decode()
    assert "Operations" in text
    assert "Operators" not in text

    other = make_person("otto", is_operator=False, roles=[("viewer", "Contoso")])
    client.force_login(other)
    assert client.get(page(pair)).status_code == 404


def test_without_findings_or_channels_the_page_says_so(client):
    pair = make_pair()
    make_state(pair, now=timezone.now())
    client.force_login(make_person())
    assert "this tenant has no channel" in client.get(page(pair)).content.decode()

    make_channel()
    assert Channel.objects.count() == 1
    assert "Nothing: no finding is open or pending." in client.get(page(pair)).content.decode()
