from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.backups.models import Artefact, BackupSource, DrillPlan
from fleet.history.models import ScoreDay, Visit
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
    "backup": "pulled",
    "backup_folder": "",
}
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def test_registering_twice_moves_the_pair_to_its_new_port():
    register([ENTRY], NOW)

    assert register([ENTRY | {"redis_url": "redis://127.0.0.1:7009/0"}], NOW) == 1
    pair = Pair.objects.get()
    assert pair.redis_url == "redis://127.0.0.1:7009/0"
    assert reveal(pair.redis_password) == "not-this-one"
    assert pair.target.labels == {"demo": "All as required", "emailengine": "simulator"}


def test_a_pulled_pair_is_due_at_once_with_the_password_of_this_run():
    register([ENTRY], NOW)
    register([ENTRY | {"redis_password": "of-the-second-run"}], NOW + timedelta(days=1))

    source = BackupSource.objects.get()
    assert (source.kind, source.is_enabled, source.next_due_at) == ("pull", True, None)
    assert reveal(source.pull_password) == "of-the-second-run"
    assert DrillPlan.objects.get().next_due_at == NOW + timedelta(minutes=2)


def test_a_silent_job_has_told_of_one_copy_and_no_more():
    register([ENTRY | {"backup": "late"}], NOW)
    register([ENTRY | {"backup": "late"}], NOW + timedelta(days=1))

    told = Artefact.objects.get()
    assert (told.source.kind, told.state) == ("heartbeat", "reported")
    assert told.content_at == NOW - timedelta(hours=40)


def test_a_damaged_copy_is_looked_for_where_this_run_puts_it():
    register([ENTRY | {"backup": "damaged", "backup_folder": "/old"}], NOW)
    register([ENTRY | {"backup": "damaged", "backup_folder": "/new"}], NOW)

    source = BackupSource.objects.get()
    assert (source.kind, source.folder, source.name_pattern) == ("directory", "/new", "*.rdb")


def test_removing_takes_the_copies_too_and_nobody_elses(settings, tmp_path):
    settings.PULL_FOLDER = str(tmp_path / "pulls")
    damaged = tmp_path / "pairkeeper-demo" / "northwind-us-01"
    own = tmp_path / "own"
    also = ENTRY | {"backup": "damaged", "name": "northwind-us-01", "backup_folder": str(damaged)}
    register([ENTRY, also], NOW)
    pulled = BackupSource.objects.get(kind="pull")
    target = Target.objects.get(name="northwind-us-01")
    BackupSource.objects.create(target=target, kind="directory", label="Own", folder=str(own))
    of_demo = tmp_path / "pulls" / str(pulled.target_id) / str(pulled.pk)
    of_another = tmp_path / "pulls" / "0" / "1"
    for folder in (of_demo, of_another, damaged, own):
        folder.mkdir(parents=True)
        Path(folder, "copy").touch()

    remove()

    left = [path.parent for path in sorted(tmp_path.rglob("copy"))]
    assert left == [own, of_another]
    assert not BackupSource.objects.exists()


def test_removing_leaves_what_is_not_of_the_demo():
    register([ENTRY], NOW)
    own = Tenant.objects.create(name="Own")
    kept = Target.objects.create(
        tenant=own, name="kept", zone=Target.objects.get(name="northwind-eu-01").zone
    )

    assert remove() == 1
    assert list(Target.objects.all()) == [kept]
    assert list(Tenant.objects.all()) == [own]
    assert not Visit.objects.filter(at__gt=datetime(2000, 1, 1, tzinfo=UTC)).exists()


@pytest.mark.parametrize(("has_own", "left"), [(False, 0), (True, 1)])
def test_scores_of_the_fleet_go_where_it_was_the_demo_alone(has_own, left):
    register([ENTRY], NOW)
    counts = ("pairs", "compliant", "at_risk", "non_compliant", "unverified", "raw_compliant")
    values = {f"{name}_count": 0 for name in (*counts, "conclusive", "applicable")}
    ScoreDay.objects.create(day=NOW.date(), **values)
    if has_own:
        own = Tenant.objects.create(name="Own")
        Target.objects.create(tenant=own, name="kept", zone=Target.objects.get().zone)

    remove()

    assert ScoreDay.objects.count() == left
