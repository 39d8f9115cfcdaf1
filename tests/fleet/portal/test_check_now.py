"""Check now: how far it is, in words, until the result is there."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from django.utils.html import strip_tags

from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.schedule import claim_due, ensure_schedule
from tests.fleet.factories import make_pair, make_person, make_state, make_worker

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def start(client, pair):
    return client.post(f"/admin/registry/pair/{pair.pk}/check/", headers=HTMX)


def progress(client, pair, since=None):
    query = {"since": (since or timezone.now()).timestamp()}
    return client.get(f"/admin/registry/pair/{pair.pk}/check/progress/", query, headers=HTMX)


def words(answer):
    return strip_tags(answer.content.decode()).strip()


def asks_again(answer):
    return "hx-get" in answer.content.decode()


def test_it_asks_for_every_cadence_and_waits(operator):
    make_worker(now=timezone.now())
    pair = make_pair()

    answer = start(operator, pair)

    schedule = PairSchedule.objects.get(target=pair.pk)
    assert schedule.asked_at is not None
    assert schedule.persistence_due_at == schedule.next_due_at == schedule.asked_at
    assert (words(answer), asks_again(answer)) == ("Queued…", True)
    assert "HX-Trigger-After-Settle" not in answer.headers


def test_without_a_worker_it_says_since_when(operator):
    make_worker(seen=timedelta(minutes=11, seconds=5), now=timezone.now())

    answer = start(operator, make_pair())

    assert words(answer) == "Queued. No worker seen in zone eu-1 for 11\u202fmin."
    assert asks_again(answer)


@pytest.mark.parametrize(
    ("emailengine_url", "said"),
    [
        ("http://ee:3000", "Checking… connect, Redis, EmailEngine, judged"),
        ("", "Checking… connect, Redis, judged"),
    ],
)
def test_a_worker_has_it(operator, emailengine_url, said):
    now = timezone.now()
    make_worker(now=now)
    pair = make_pair(emailengine_url=emailengine_url)
    start(operator, pair)
    assert claim_due(timezone.now(), 10)

    assert words(progress(operator, pair)) == said


def test_the_result_tells_the_page_to_read_itself_anew(operator):
    now = timezone.now()
    make_worker(now=now)
    pair = make_pair()
    make_state(pair, now=now, compliance="at_risk", health="healthy")
    start(operator, pair)
    PairSchedule.objects.update(asked_at=None)
    PairState.objects.update(checked_at=now)

    answer = progress(operator, pair, now)

    assert (words(answer), asks_again(answer)) == ("Checked: At risk, Healthy.", False)
    assert answer.headers["HX-Trigger-After-Settle"] == "pk-checked"


def test_it_stops_asking_after_a_while(operator):
    now = timezone.now()
    make_worker(now=now)
    pair = make_pair()
    start(operator, pair)

    answer = progress(operator, pair, now - timedelta(seconds=91))

    assert words(answer) == "No result yet. The check goes on; look again later."
    assert not asks_again(answer)


def test_a_paused_pair_is_not_checked(operator):
    pair = make_pair(state="paused")

    answer = start(operator, pair)

    assert (words(answer), asks_again(answer)) == ("Not checked: resume the pair first.", False)
    assert not PairSchedule.objects.exclude(asked_at=None).exists()


def test_without_scripts_it_goes_back_to_the_page(operator):
    pair = make_pair()

    answer = operator.post(f"/admin/registry/pair/{pair.pk}/check/")

    assert answer.url == f"/admin/registry/pair/{pair.pk}/change/"
    assert operator.get(f"/admin/registry/pair/{pair.pk}/check/").status_code == 405


@pytest.mark.parametrize("since", ["", "x", "nan", "1e300", "-1e300"])
def test_an_odd_since_is_now(operator, since):
    make_worker(now=timezone.now())
    pair = make_pair()
    start(operator, pair)
    url = f"/admin/registry/pair/{pair.pk}/check/progress/"

    assert words(operator.get(url, {"since": since}, headers=HTMX)) == "Queued…"


def test_a_page_that_opens_meanwhile_follows_the_visit(operator):
    make_worker(now=timezone.now())
    pair = make_pair()
    ensure_schedule(timezone.now())

    assert operator.get(f"/admin/registry/pair/{pair.pk}/change/").context["progress"] is None
    start(operator, pair)
    found = operator.get(f"/admin/registry/pair/{pair.pk}/change/").context["progress"]

    assert found["words"] == "Queued…"
