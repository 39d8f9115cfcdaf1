"""What all lists share: rows in the order asked for, counted to an end, said plainly when there are none."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from fleet.findings.models import Finding
from fleet.portal.row_list import CappedPaginator
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db
PAIRS, FINDINGS = "/admin/registry/pair/", "/admin/findings/finding/"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


class ToThree(CappedPaginator):
    most = 3


@pytest.mark.parametrize(("made", "count", "is_cut"), [(2, 2, False), (3, 3, False), (4, 3, True)])
def test_counting_ends_at_the_most(made, count, is_cut):
    for number in range(made):
        make_finding(make_pair(name=f"pair-{number}"))

    paginator = ToThree(Finding.objects.order_by("pk"), 2)

    assert (paginator.count, paginator.is_cut) == (count, is_cut)


def test_a_list_that_goes_on_says_so(operator):
    one = make_finding(make_pair(), state="resolved", resolved_at=timezone.now())
    columns = {field.attname: getattr(one, field.attname) for field in Finding._meta.fields[1:]}
    Finding.objects.bulk_create(Finding(**columns) for _ in range(10_000))

    answer = operator.get(f"{FINDINGS}?state=resolved&p=200")

    assert len(answer.context["cl"].result_list) == 50
    assert "The first 10,000 Findings: narrow the list to see others" in answer.rendered_content


@pytest.mark.parametrize(
    ("state", "count", "words"),
    [
        ("resolved", 2000, "The first 2,000 Findings: narrow the list to see others"),
        ("pending", 2001, "2,001 Findings"),
    ],
)
def test_a_search_of_the_past_ends_at_2000(operator, state, count, words):
    now = timezone.now()
    one = make_finding(make_pair(), state="resolved", resolved_at=now, message="Memory at 83 %")
    columns = {field.attname: getattr(one, field.attname) for field in Finding._meta.fields[1:]}
    rules = [f"bench.rule-{number}" for number in range(2000)]
    Finding.objects.bulk_create(Finding(**columns | {"rule_id": rule}) for rule in rules)
    Finding.objects.update(state=state)

    answer = operator.get(f"{FINDINGS}?state={state}&q=83")

    assert answer.context["cl"].result_count == count
    assert f'<p class="pk-pager-count">{words}</p>' in answer.rendered_content


def test_resolved_findings_come_with_the_newest_on_top(operator):
    now = timezone.now()
    for name, severity, hours in (
        ("old", "critical", 9),
        ("new", "info", 1),
        ("mid", "warning", 5),
    ):
        resolved_at = now - timedelta(hours=hours)
        pair = make_pair(name=name)
        make_finding(pair, state="resolved", severity=severity, resolved_at=resolved_at)

    answer = operator.get(f"{FINDINGS}?state=resolved")

    found = [finding.target.name for finding in answer.context["cl"].result_list]
    assert found == ["new", "mid", "old"]


def test_a_sorted_column_says_which_way(operator):
    make_state(make_pair())

    page = operator.get(f"{PAIRS}?o=-5").rendered_content

    assert page.count('aria-sort="descending"') == 1
    assert 'class="sortable column-rtt_cell sorted descending" aria-sort="descending"' in page


def test_tenants_are_marked_as_sorted_by_their_score(operator):
    make_state(make_pair())

    page = operator.get("/admin/registry/tenant/").rendered_content

    assert 'class="sortable column-compliant sorted ascending" aria-sort="ascending"' in page


def test_rows_that_no_filter_leaves_offer_to_clear_them(operator):
    make_state(make_pair())

    page = operator.get(f"{PAIRS}?q=nobody").rendered_content

    assert "No pair matches." in page
    assert '<a class="pk-link" href="?">Clear filters</a>' in page


def test_a_row_is_ticked_by_its_name(operator):
    pair = make_pair(name="northwind-eu-0417")

    page = operator.get(PAIRS).rendered_content

    assert (
        f'value="{pair.pk}" class="action-select pk-tick" aria-label="Select northwind-eu-0417"'
        in page
    )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (PAIRS, "No pair yet. A pair is one EmailEngine and its Redis."),
        (FINDINGS, "No finding is open."),
        (f"{FINDINGS}?state=resolved", "No finding was resolved yet."),
        (f"{FINDINGS}?severity=info", "No finding matches."),
        ("/admin/registry/tenant/", "No tenant yet. A tenant is whose pairs these are."),
    ],
)
def test_an_empty_list_says_what_is_not_there(operator, address, words):
    assert f"<b>{words}</b>" in operator.get(address).rendered_content
