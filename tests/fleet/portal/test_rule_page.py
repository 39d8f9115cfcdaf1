import re

import pytest
from django.urls import reverse

from checks.catalog import BY_ID
from checks.remedy import proof
from fleet.portal.rules import describe
from tests.fleet.factories import make_person


def carried_out(rule_id):
    return [variant.tested for cure in describe(rule_id, {}).cures for variant in cure.variants]


def test_a_remediation_names_what_it_was_carried_out_on():
    versions = proof()["redis.tcp-keepalive"][""]
    first, *others = carried_out("redis.tcp-keepalive")

    assert first == (
        f"Redis {', '.join(versions['redis'])}",
        f"Valkey {', '.join(versions['valkey'])}",
    )
    assert set(others) == {()}  # Dragonfly and the providers have their own, and were not there


def test_what_was_not_carried_out_is_not_called_tested():
    assert "redis.version" in BY_ID
    assert set(carried_out("redis.version")) == {()}


@pytest.mark.django_db
def test_a_cause_is_told_in_words_and_not_by_its_key(client):
    client.force_login(make_person())

    page = client.get(reverse("portal:rule", args=["redis.accepts-writes"])).content.decode()
    heads = re.findall(r"<h2>How it is put right</h2><span>(.*?)</span>", page)

    assert heads[:2] == [
        "Out of memory, and the host has room",
        "Out of memory, and the host has no room",
    ]


@pytest.mark.django_db
def test_the_page_says_so(client):
    client.force_login(make_person())
    versions = proof()["redis.tcp-keepalive"][""]["redis"]

    text = client.get(reverse("portal:rule", args=["redis.tcp-keepalive"])).content.decode()

    assert f"Tested on Redis {', '.join(versions)}" in text
    assert "Written from documentation" in text
