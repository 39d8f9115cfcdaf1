"""Does a connection test go to the pair's zone, and does its answer come back to who asked?"""

from dataclasses import asdict
from datetime import timedelta

import pytest

from fleet.inspections.connection_test import claim_tests, run_test
from fleet.inspections.ladder import STEPS, Draft, Ladder, Rung, Silence, read_test, start_test
from fleet.inspections.models import ConnectionTest
from fleet.registry.sealed import SecretError, seal
from tests.fleet.factories import make_pair, make_person, make_worker, make_zone
from tests.fleet.visiting import NOW

pytestmark = pytest.mark.django_db
DRAFT = Draft(redis_url="redis://redis.invalid:6379")


def test_a_draft_takes_no_secret_in_clear():
    with pytest.raises(SecretError, match="redis_password of a draft must be sealed"):
        Draft(redis_url="redis://h", redis_password="in clear")


def test_a_draft_of_a_pair_and_back():
    pair = make_pair(redis_password=seal("word"), emailengine_url="http://ee")
    draft = Draft.of(pair)

    assert Draft(**asdict(draft)) == draft
    assert (draft.redis_url, draft.emailengine_url) == (pair.redis_url, "http://ee")


def test_a_test_is_sent_once_to_its_zone_and_read_by_who_asked():
    mara, other = make_person("mara"), make_person("otto")
    make_worker()
    test_id = start_test(DRAFT, make_zone().pk, NOW, mara.pk)

    assert read_test(test_id, NOW, mara.pk) is None
    assert claim_tests(NOW) == [(test_id, "eu-1")]
    assert claim_tests(NOW) == []
    run_test(test_id)
    found = read_test(test_id, NOW, mara.pk)
    assert found.zone == "eu-1"
    assert [rung.step for rung in found.rungs] == list(STEPS)
    assert (found.is_ok, found.failed.step, found.failed.reason) == (False, "name", "dns")
    assert {rung.state for rung in found.rungs[1:]} == {"not_tried"}
    with pytest.raises(ConnectionTest.DoesNotExist):
        read_test(test_id, NOW, other.pk)


def test_a_test_that_has_a_result_is_not_run_again():
    test_id = start_test(DRAFT, make_zone().pk, NOW)
    ConnectionTest.objects.update(result=[asdict(Rung("name", "ok", "10.0.0.1"))])

    run_test(test_id)

    make_worker()
    assert read_test(test_id, NOW) == Ladder("eu-1", (Rung("name", "ok", "10.0.0.1"),))


def test_without_a_worker_it_says_so_at_once_and_no_rung_was_tried():
    test_id = start_test(DRAFT, make_zone().pk, NOW)
    assert read_test(test_id, NOW) == Ladder("eu-1", (), Silence("no_worker", None))

    make_worker(seen=timedelta(minutes=11, seconds=5))
    seen_at = NOW - timedelta(minutes=11, seconds=5)
    assert read_test(test_id, NOW) == Ladder("eu-1", (), Silence("no_worker", seen_at))


@pytest.mark.parametrize(
    ("seen_s", "asked_s", "silence"),
    [
        (60, 20, None),
        (60.001, 0, "no_worker"),
        (60.001, 21, "no_worker"),
        (5, 20, None),
        (5, 20.001, "no_answer"),
    ],
)
def test_silence_is_told_from_a_zone_without_worker(seen_s, asked_s, silence):
    make_worker(seen=timedelta(seconds=seen_s))
    test_id = start_test(DRAFT, make_zone().pk, NOW - timedelta(seconds=asked_s))

    found = read_test(test_id, NOW)

    assert (found and found.silence.reason) == silence
    assert found is None or (found.rungs, found.failed, found.is_ok) == ((), None, False)


def test_old_tests_are_swept_with_their_secrets():
    start_test(DRAFT, make_zone().pk, NOW)
    start_test(DRAFT, make_zone().pk, NOW + timedelta(minutes=11))

    assert ConnectionTest.objects.count() == 1
