"""A pair with an agentless pull, and its jobs done as a worker does them."""

from datetime import datetime

from django.utils import timezone

from fleet.backups import jobs, work
from fleet.backups.jobs import Wish
from fleet.backups.models import Artefact, BackupJob, BackupSource, Drill
from fleet.registry.models import Pair, Target, Tenant, Zone


class Work:
    """One pair's pulls and drills."""

    def __init__(self, url: str) -> None:
        zone = Zone.objects.get(slug="local")
        tenant = Tenant.objects.create(name="Copies")
        self._target = Target.objects.create(tenant=tenant, zone=zone, name="large")
        Pair.objects.create(target=self._target, redis_url=f"{url}/0")
        self._source = BackupSource.objects.create(target=self._target, kind="pull", label="pull")

    def pull(self, now: datetime) -> Artefact:
        """Pull one copy and give it."""
        self._do(Wish("pull", self._target.pk, self._source.pk), now)
        return Artefact.objects.latest("pk")

    def drill(self, now: datetime) -> Drill:
        """Restore the newest copy."""
        self._do(Wish("drill", self._target.pk), now)
        return Drill.objects.latest("pk")

    def _do(self, wish: Wish, now: datetime) -> None:
        jobs.ask(wish, None, now)
        with work.taking(now) as taken:
            assert taken is not None
            work.do(*taken, timezone.now)
            job = BackupJob.objects.get(pk=taken[0].pk)
        assert job.state == "done", job.error
