"""What nobody looks at any more goes, and nothing else."""

from datetime import timedelta

import pytest

from fleet.backups.models import Artefact, BackupJob
from fleet.backups.sweep import sweep
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import NOW, make_pair, make_person

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("ago", "is_asked", "is_kept"),
    [
        (DAY, False, True),
        (1.1 * DAY, False, False),
        (30 * DAY, True, True),
        (31 * DAY, True, False),
    ],
)
def test_jobs_stay_for_a_day_and_what_was_asked_for_a_month(ago, is_asked, is_kept):
    pair = make_pair()
    by = make_person() if is_asked else None
    BackupJob.objects.create(
        kind="verify",
        target=pair.target,
        made_at=NOW,
        state="done",
        ended_at=NOW - ago,
        asked_by=by,
    )

    sweep(NOW)

    assert BackupJob.objects.exists() is is_kept


@pytest.mark.parametrize(
    ("ago", "fields", "is_kept"),
    [
        (900 * DAY, {}, True),
        (900 * DAY, {"gone_at": NOW - 399 * DAY}, True),
        (900 * DAY, {"gone_at": NOW - 401 * DAY}, False),
        (119 * DAY, {"state": "reported"}, True),
        (121 * DAY, {"state": "reported"}, False),
        (121 * DAY, {"state": "empty"}, False),
    ],
)
def test_copies_stay_while_they_are_there(ago, fields, is_kept):
    kind = "heartbeat" if fields.get("state") in ("reported", "empty") else "directory"
    make_artefact(make_source(make_pair(), kind), at=NOW - ago, **fields)

    sweep(NOW)

    assert Artefact.objects.exists() is is_kept
