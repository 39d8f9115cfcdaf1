"""Does the findings list's search look where it says, read once, and turn its pages?"""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleet.portal.finding_search import MOST_NAMED
from fleet.portal.search_words import MOST_WORDS
from fleet.registry.models import Target
from tests.fleet.factories import make_finding, make_pair, make_person

pytestmark = pytest.mark.django_db
FINDINGS = "/admin/findings/finding/"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def found(client, words: str, page: int = 1) -> list[str]:
    answer = client.get(FINDINGS, {"q": words, "p": page})
    return [one.target.name for one in answer.context["cl"].result_list]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("eu-17", ["mail-eu-17"]),
        ("southwind", ["mail-us-3"]),
        ("KEEPALIVE", ["mail-us-3"]),
        ("evict allkeys", ["mail-eu-17"]),
        ('"may evict"', ["mail-eu-17"]),
        ('"evict may"', []),
        ("mail southwind", ["mail-us-3"]),
        ("eu-17 southwind", []),
        ('"', []),
        ("100%", []),
    ],
)
def test_each_word_is_in_the_message_the_rule_the_pair_or_its_tenant(operator, words, names):
    make_finding(
        make_pair(name="mail-eu-17"), "redis.eviction-policy", message="May evict: allkeys-lru"
    )
    make_finding(
        make_pair(name="mail-us-3", tenant="Southwind"), "redis.tcp-keepalive", message="It is 0"
    )

    assert found(operator, words) == names


def test_what_is_found_is_counted_and_turned_over_by_one_reading(operator):
    names = [f"mail-{number:02}" for number in range(53)]
    for name in names:
        make_finding(make_pair(name=name))

    with CaptureQueriesContext(connection) as queries:
        answer = operator.get(FINDINGS, {"q": "mail"})

    searches = [one for one in queries if '"message"::text) LIKE' in one["sql"]]
    assert (answer.context["cl"].result_count, len(searches)) == (53, 1)
    assert sorted(found(operator, "mail") + found(operator, "mail", page=2)) == names


def test_a_word_in_very_many_names_finds_them_too(operator):
    first = make_pair(name="mail-first").target
    Target.objects.bulk_create(
        Target(tenant=first.tenant, zone=first.zone, name=f"mail-{number}")
        for number in range(MOST_NAMED)
    )
    make_finding(first.pair)

    assert found(operator, "mail") == ["mail-first"]


def test_a_whole_message_is_looked_for_in_few_queries(operator):
    message = "Redis uses 91 % of its memory; keep it below 80 %"
    make_finding(make_pair(name="mail-eu-17"), "redis.memory-headroom", message=message)
    operator.get(FINDINGS)
    with CaptureQueriesContext(connection) as queries:
        names = found(operator, message)

    assert names == ["mail-eu-17"]
    assert len(queries) <= 12


@pytest.mark.parametrize(
    ("count", "is_in_order", "is_found"),
    [
        (MOST_WORDS, True, True),
        (MOST_WORDS, False, True),
        (MOST_WORDS + 1, True, True),
        (MOST_WORDS + 1, False, False),
    ],
)
def test_a_long_text_is_looked_for_as_it_stands(operator, count, is_in_order, is_found):
    words = [f"w{number}" for number in range(count)]
    make_finding(make_pair(name="mail-eu-17"), message=" ".join(words))
    asked = " ".join(words if is_in_order else reversed(words))

    assert found(operator, asked) == (["mail-eu-17"] if is_found else [])
