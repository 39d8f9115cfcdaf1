"""A backup job's calls count, and nobody else's."""

from datetime import timedelta

import pytest

from checks.facts import Missing
from fleet.backups import heartbeat
from fleet.backups.facts import backup_facts
from fleet.backups.heartbeat import MOST_A_MINUTE, BadTelling, NoSuchToken, TooOften, beat
from fleet.backups.models import Artefact, BackupSource, HeartbeatToken
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import NOW, make_pair

pytestmark = pytest.mark.django_db
SHA = "ab" * 32


@pytest.fixture
def source():
    return make_source(make_pair(), "heartbeat")


@pytest.fixture
def token(source):
    return heartbeat.new_token(source, None, NOW)


def test_only_the_hash_of_a_token_is_kept(token):
    row = HeartbeatToken.objects.get()

    assert token not in {row.digest, row.hint}
    assert (len(token), row.hint, len(row.digest)) == (43, token[:6], 64)


def test_a_run_that_is_done_is_a_copy_as_old_as_its_beginning(token, source):
    beat(token, "start", {}, NOW)
    later = NOW + timedelta(minutes=4)

    beat(token, "done", {"size": "123", "sha256": SHA.upper(), "keys": "9", "more": "x"}, later)

    copy = Artefact.objects.get()
    assert (copy.state, copy.content_at, copy.stored_at, copy.duration_ms) == (
        "reported",
        NOW,
        later,
        240_000,
    )
    assert (copy.stored_bytes, copy.sha256, copy.keys) == (123, SHA, {"all": 9})
    source.refresh_from_db()
    assert (source.run_started_at, source.last_ok_at, source.last_reason) == (None, later, "")


def test_a_copy_that_is_reported_empty_is_no_good_one(token, source):
    beat(token, "done", {"size": "0"}, NOW)

    (found,) = backup_facts([source.target_id], NOW)[source.target_id].sources
    assert Artefact.objects.get().state == "empty"
    assert (found.newest.state, isinstance(found.good, Missing)) == ("empty", True)


@pytest.mark.parametrize(
    ("started", "told", "age_s"),
    [
        (None, {}, 0),
        (None, {"duration": "90"}, 90),
        (timedelta(hours=1), {"duration": "90"}, 90),
        (timedelta(days=3), {}, 0),  # that run's end was never told
    ],
)
def test_how_old_a_reported_copy_is(token, source, started, told, age_s):
    if started:
        BackupSource.objects.update(run_started_at=NOW - started)

    beat(token, "done", told, NOW)

    assert NOW - Artefact.objects.get().content_at == timedelta(seconds=age_s)


def test_a_run_that_failed_is_trouble_and_no_copy(token, source):
    beat(token, "fail", {"exit": "3"}, NOW)

    source.refresh_from_db()
    assert (source.last_reason, source.last_text) == (
        "job_failed",
        "the job reported that it failed (exit status 3)",
    )
    assert not Artefact.objects.exists()


def test_two_tokens_live_side_by_side_until_one_is_ended(token, source):
    other = heartbeat.new_token(source, None, NOW)
    beat(token, "done", {}, NOW)
    beat(other, "done", {}, NOW + timedelta(seconds=1))

    first = HeartbeatToken.objects.order_by("pk").first()
    assert heartbeat.end_token(first.pk, source.pk, NOW)
    with pytest.raises(NoSuchToken):
        beat(token, "done", {}, NOW)
    beat(other, "done", {}, NOW + timedelta(seconds=2))
    assert Artefact.objects.count() == 3


@pytest.mark.parametrize("change", [{"is_enabled": False}, {"kind": "directory"}])
def test_a_source_that_is_off_or_another_takes_no_call(token, change):
    BackupSource.objects.update(**change)

    with pytest.raises(NoSuchToken):
        beat(token, "done", {}, NOW)


@pytest.mark.parametrize("wrong", ["", "x" * 43, "x" * 4000, "\udcff"])
def test_no_other_token_is_taken(token, wrong):
    with pytest.raises(NoSuchToken):
        beat(wrong, "done", {}, NOW)


def test_so_many_calls_a_minute_are_taken(token):
    for second in range(MOST_A_MINUTE):
        beat(token, "start", {}, NOW + timedelta(seconds=second))
    with pytest.raises(TooOften):
        beat(token, "start", {}, NOW + timedelta(seconds=59))

    beat(token, "start", {}, NOW + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": "-1"}, "size must be a whole number, 0 or more"),
        ({"size": "1.5"}, "size must be a whole number, 0 or more"),
        ({"keys": "9" * 30}, "keys must be a whole number, 0 or more"),
        ({"duration": "٣"}, "duration must be a whole number, 0 or more"),
        ({"sha256": "zz"}, "sha256 must be 64 hexadecimal digits"),
    ],
)
def test_what_is_told_must_be_numbers(token, given, said):
    with pytest.raises(BadTelling, match=said):
        beat(token, "done", given, NOW)
    assert not Artefact.objects.exists()


def test_the_address_answers_without_a_word(token, client):
    client.handler.enforce_csrf_checks = True

    assert client.post(f"/beat/{token}/start").status_code == 204
    done = client.post(f"/beat/{token}", {"size": "5"})
    assert (done.status_code, done.content, done.cookies.output()) == (204, b"", "")
    assert Artefact.objects.get().stored_bytes == 5
    for path in ("/beat/none", "/beat/none/fail", f"/beat/{token}x"):
        refused = client.post(path)
        assert (refused.status_code, refused.content) == (404, b"")
    assert client.get(f"/beat/{token}").status_code == 405
    assert client.post(f"/beat/{token}", {"size": "x"}).status_code == 400
    assert client.post(f"/beat/{token}", {"size": "5" * 5000}).status_code == 413
