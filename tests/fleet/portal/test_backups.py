"""The backup tab, its buttons, the forms of sources, and the fleet's page."""

from datetime import timedelta

import pytest
from django.conf import settings as given
from django.utils import timezone

from fleet.backups.copies import name_of
from fleet.backups.folder_store import FolderStore
from fleet.backups.jobs import Lease
from fleet.backups.models import BackupJob, BackupSource, HeartbeatToken
from fleet.backups.packing import Packer
from fleet.registry.sealed import ring_keys
from tests.fleet.backups.dumps import dump
from tests.fleet.backups.sources import make_artefact, make_drill, make_proven, make_source
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def pair(now):
    pair = make_pair(zone=given.ZONE)
    make_state(pair, now=now)
    return pair


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def tab(pair, more=""):
    return f"/admin/registry/pair/{pair.pk}/backups/{more}"


def text(response):
    return " ".join(response.content.decode().replace("\u202f", " ").split())


def test_the_sentence_says_what_a_loss_would_cost(operator, pair, now):
    source = make_source(pair, label="nightly")
    make_artefact(source, at=now - timedelta(hours=5, minutes=12))
    make_drill(pair, now=now, load_ms=41_000)

    said = text(operator.get(tab(pair)))

    assert (
        "If this Redis died now you would lose up to 5 h 12 min; the last proven restore took 41 s."
        in said
    )


def test_without_a_copy_it_says_so(operator, pair):
    assert "you would lose everything: no good copy is known" in text(operator.get(tab(pair)))


def test_the_tab_costs_a_dozen_queries_however_much_there_is(
    operator, pair, now, django_assert_max_num_queries
):
    for kind in ("directory", "bucket", "heartbeat", "pull"):
        source = make_source(pair, kind)
        for hours in range(3):
            make_artefact(source, at=now - hours * HOUR)
        HeartbeatToken.objects.create(
            source=source, digest=f"{source.pk:064}", hint="abc", made_at=now
        )
    make_drill(pair, now=now)
    BackupJob.objects.create(
        kind="verify", target=pair.target, made_at=now, done_bytes=5, total_bytes=10
    )
    operator.get(tab(pair))

    with django_assert_max_num_queries(12):
        said = text(operator.get(tab(pair)))

    assert said.count("Verify now") == 2
    assert "Waiting for a worker of the zone" in said


def test_verify_now_asks_for_one_job_and_shows_it(operator, pair):
    source = make_source(pair)

    for _ in range(2):
        answer = operator.post(
            tab(pair, "act/"), {"act": "verify", "source": source.pk}, headers={"HX-Request": "1"}
        )

    job = BackupJob.objects.get()
    assert (job.kind, job.source_id, job.state) == ("verify", source.pk, "waiting")
    assert "Under way" in text(answer)
    operator.post(tab(pair, "act/"), {"act": "stop", "job": job.pk})
    assert BackupJob.objects.get().state == "cancelled"


@pytest.mark.parametrize(
    ("act", "field", "kind"),
    [
        ("verify", "source", "heartbeat"),
        ("pull", "source", "directory"),
        ("new_token", "source", "bucket"),
        ("verify_copy", "copy", "heartbeat"),
        ("nothing", "source", "directory"),
    ],
)
def test_an_act_that_makes_no_sense_is_refused(operator, pair, act, field, kind):
    source = make_source(pair, kind)
    number = source.pk if field == "source" else make_artefact(source).pk

    assert operator.post(tab(pair, "act/"), {"act": act, field: number}).status_code == 404
    assert not BackupJob.objects.exists()


def test_a_tenants_viewer_sees_and_does_nothing_and_another_tenant_sees_nothing(client, pair):
    source = make_source(pair)
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Northwind Mail")]))
    assert "Verify now" not in text(client.get(tab(pair)))
    assert client.post(tab(pair, "act/"), {"act": "drill"}).status_code == 403
    client.force_login(make_person("otto", is_operator=False, roles=[("editor", "Contoso")]))
    for path in ("", "body/", "sizes/"):
        assert client.get(tab(pair, path)).status_code == 404
    mine = make_pair("Contoso")
    answer = client.post(tab(mine, "act/"), {"act": "verify", "source": source.pk})
    assert answer.status_code == 404
    assert client.get(f"/admin/backups/backupsource/{source.pk}/change/").status_code in (302, 404)
    assert not BackupJob.objects.exists()


def test_a_new_address_is_shown_once(operator, pair):
    source = make_source(pair, "heartbeat")

    said = text(operator.post(tab(pair, "act/"), {"act": "new_token", "source": source.pk}))

    row = HeartbeatToken.objects.get()
    assert f"/beat/{row.hint}" in said
    assert "curl -fsS" in said
    assert f"/beat/{row.hint}" not in text(operator.get(tab(pair)))
    operator.post(tab(pair, "act/"), {"act": "end_token", "token": row.pk})
    assert HeartbeatToken.objects.get().ended_at is not None


def fields(pair, kind, **more):
    return {
        "target": pair.pk,
        "kind": kind,
        "label": "nightly",
        "interval_h": "24",
        "grace_h": "3",
        "is_enabled": "on",
        **more,
    }


def add(client, pair, kind, **more):
    return client.post(
        f"/admin/backups/backupsource/add/?target={pair.pk}&kind={kind}", fields(pair, kind, **more)
    )


def test_a_directory_is_on_trial_until_a_worker_has_read_it(operator, pair, settings, tmp_path):
    settings.BACKUP_ROOTS = [str(tmp_path)]

    answer = add(operator, pair, "directory", folder=str(tmp_path), name_pattern="*.rdb")

    source = BackupSource.objects.get()
    assert (answer.status_code, answer.url) == (302, tab(pair))
    assert (source.is_enabled, source.is_on_trial, source.interval_s, source.grace_s) == (
        False,
        True,
        86_400,
        10_800,
    )
    assert BackupJob.objects.get().source_id == source.pk


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("directory", {"folder": "/etc", "name_pattern": "*"}, "/etc is not allowed"),
        ("directory", {"folder": "", "name_pattern": "*"}, "is no absolute path"),
        ("directory", {"folder": "/b", "name_pattern": "../x"}, "is no file name"),
        ("bucket", {"bucket": "Copies"}, "A bucket&#x27;s name has 3 to 63 letters"),
        ("bucket", {"bucket": "copies"}, "This is needed for a bucket."),
        (
            "bucket",
            {
                "bucket": "copies",
                "access_key": "a",
                "secret_key": "hunter2",
                "endpoint": "ftp://x",
            },
            "ftp://x is no endpoint of a store",
        ),
        (
            "bucket",
            {"bucket": "copies", "access_key": "a", "secret_key": "env:HOME"},
            "env:HOME is not allowed",
        ),
    ],
)
def test_each_error_stands_at_its_field(operator, pair, settings, kind, more, said):
    settings.BACKUP_ROOTS = ["/b"]

    answer = add(operator, pair, kind, **more)

    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert "hunter2" not in answer.content.decode()
    assert not BackupSource.objects.exists()


def test_a_tenants_editor_may_not_name_a_folder_of_all(client, pair, settings):
    settings.BACKUP_ROOTS = ["/mnt/shared", "/mnt/{tenant}"]
    client.force_login(make_person("edda", is_operator=False, roles=[("editor", "Northwind Mail")]))

    refused = add(client, pair, "directory", folder="/mnt/shared", name_pattern="*")
    assert "is not allowed: it must lie below /mnt/Northwind Mail" in refused.content.decode()
    foreign = add(client, make_pair("Contoso"), "heartbeat")
    assert foreign.status_code == 200
    assert not BackupSource.objects.exists()
    own = add(client, pair, "directory", folder="/mnt/{tenant}/x", name_pattern="*")
    assert own.status_code == 302


def test_a_secret_goes_in_and_never_out(operator, pair):
    add(
        operator,
        pair,
        "bucket",
        bucket="copies",
        access_key="AKIA",
        secret_key="hunter2hunter2",
        endpoint="https://s3.example.com",
    )
    source = BackupSource.objects.get()
    path = f"/admin/backups/backupsource/{source.pk}/change/"

    shown = operator.get(path).content.decode()

    assert f'href="{tab(pair)}">{pair.target.name}</a>' in shown
    assert source.secret_key.startswith("sealed:")
    assert "hunter2" not in shown
    assert source.secret_key not in shown
    operator.post(path, fields(pair, "bucket", bucket="copies", access_key="AKIA"))
    assert BackupSource.objects.get().secret_key == source.secret_key


def test_the_sizes_are_a_line_for_each_source(operator, pair, now):
    for label in ("a", "b"):
        make_artefact(make_source(pair, label=label), at=now - HOUR, size_bytes=2 * 1024**2)

    (chart,) = operator.get(tab(pair, "sizes/")).json()["charts"]

    assert [(one["label"], one["values"]) for one in chart["series"]] == [
        ("a", [2.0]),
        ("b", [2.0]),
    ]


@pytest.mark.parametrize("view", ["unproven", "oldest", "drills", "trouble", "nonsense"])
def test_the_fleets_page_lists_each_view(operator, now, view, django_assert_max_num_queries):
    for number in range(4):
        one = make_pair(name=f"pair-{number}")
        make_state(one, now=now, last_backup_at=now - number * HOUR)
        make_source(one, last_reason="auth", last_text="the secret key is wrong")
    operator.get("/admin/backups/")

    with django_assert_max_num_queries(12):
        said = text(operator.get(f"/admin/backups/?view={view}"))

    assert ("pair-3" in said) is (view != "drills")


def test_a_source_whose_newest_copy_is_bad_is_in_trouble(operator, pair, now):
    source, whole = make_source(pair, label="nightly"), make_source(pair, label="hourly")
    make_artefact(source, at=now - 2 * HOUR)
    make_artefact(source, at=now - HOUR, state="corrupt", text="its checksum is wrong")
    make_artefact(whole, at=now)
    make_finding(pair, "backup.intact", now=now)

    page = operator.get("/admin/backups/?view=trouble")

    assert [one.label for one in page.context["shown"]] == ["nightly"]
    assert "its checksum is wrong" in text(page)


def test_a_pair_whose_restore_was_proven_is_not_on_the_list(operator, pair, now):
    make_proven(pair, now)
    assert pair.target.name not in text(operator.get("/admin/backups/"))

    make_drill(pair, "failed", timedelta(minutes=5), now)
    assert pair.target.name in text(operator.get("/admin/backups/"))


def test_a_pulled_copy_is_handed_out_as_its_dump_and_on_record(
    operator, pair, settings, tmp_path, now
):
    settings.PULL_FOLDER = str(tmp_path)
    source = make_source(pair, "pull", label="pull")
    packer = Packer(FolderStore(source).begin(name_of(Lease(1, 1), now)), ring_keys()[0])
    packer.add(dump(now - HOUR))
    copy = make_artefact(source, key=packer.keep().key, at=now)

    answer = operator.post(tab(pair, f"copies/{copy.pk}/download/"))

    assert b"".join(answer.streaming_content) == dump(now - HOUR)
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    record = BackupSource.history.latest()
    assert (record.history_user.username, record.history_change_reason) == (
        "mara",
        f"copy downloaded: {copy.key}",
    )


def test_a_pulled_copy_that_is_not_there_says_so(operator, pair, settings, tmp_path, now):
    settings.PULL_FOLDER = str(tmp_path)
    copy = make_artefact(make_source(pair, "pull"), key=name_of(Lease(1, 1), now), at=now)

    answer = operator.post(tab(pair, f"copies/{copy.pk}/download/"), follow=True)

    assert "It cannot be opened here" in text(answer)


def test_only_a_pulled_copy_is_handed_out_and_only_to_who_may_change_the_pair(client, pair, now):
    pulled = make_artefact(make_source(pair, "pull"), at=now)
    listed = make_artefact(make_source(pair), at=now)
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Northwind Mail")]))
    assert client.post(tab(pair, f"copies/{pulled.pk}/download/")).status_code == 403
    client.force_login(make_person("otto", is_operator=False, roles=[("editor", "Contoso")]))
    assert client.post(tab(pair, f"copies/{pulled.pk}/download/")).status_code == 404
    client.force_login(make_person("mara"))
    assert client.post(tab(pair, f"copies/{listed.pk}/download/")).status_code == 404
    assert client.get(tab(pair, f"copies/{pulled.pk}/download/")).status_code == 405


def test_what_redis_felt_of_a_pull_stands_beside_its_copy(operator, pair, now):
    felt = {"pull_ping_idle_us": 210, "pull_ping_median_us": 340, "pull_ping_max_us": 27_153}
    make_artefact(make_source(pair, "pull"), duration_ms=41_000, **felt)

    said = text(operator.get(tab(pair)))

    assert "pulled in 41 s · PING meanwhile 0.34 ms, 27.1 ms at most (0.21 ms before)" in said


def test_keys_are_shown_by_database_where_there_are_several(operator, pair, now):
    make_artefact(make_source(pair), at=now, keys={"8": 2003, "0": 27, "15": 1})
    make_drill(
        pair,
        now=now,
        keys={"8": 2003, "0": 26},
        artefact_keys={"8": 2003, "0": 27},
        live_keys={"8": 1950},
    )
    make_drill(pair, "not_done", now=now - HOUR, artefact_keys={"all": 1})
    said = text(operator.get(tab(pair)))

    assert "db0 27 · db8 2,003 · db15 1" in said
    assert "db0: 26 restored, 27 in the copy, 0 live" in said
    assert "db8: 2,003 restored, 2,003 in the copy, 1,950 live" in said
    assert said.count(" restored, ") == 2


def test_what_was_not_counted_is_not_shown_as_none(operator, pair, now):
    keys = {str(number): 10 for number in range(8)}
    make_drill(pair, now=now, keys=keys)
    said = text(operator.get(tab(pair)))

    assert "db5: 10 restored, not known in the copy, not known live" in said
    assert "and 2 more" in said
