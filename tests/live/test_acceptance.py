"""Evicted keys end by a person's acceptance alone: from the first one lost until it is over."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from fleet.findings.models import Finding
from fleet.history.partitions import ensure_day
from fleet.inspections.acknowledge import acknowledge
from tests import servers
from tests.fleet.factories import NOW, make_pair
from tests.fleet.inspections.readings import visit
from tests.live.faults import FAULTS
from tests.live.patients import Patient

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
(FAULT,) = (fault for fault in FAULTS if fault.rule == "redis.evicted-keys")


@pytest.mark.parametrize("start", [servers.redis, servers.valkey], ids=["redis-6.2", "valkey-9"])
def test_what_was_evicted_is_over_once_its_cause_is_mended_and_a_person_accepts_it(start):
    ensure_day(NOW.date())
    pair = make_pair()
    with ExitStack() as with_it:
        server = with_it.enter_context(start(*FAULT.options))
        patient = Patient(server, FAULT, server.url, with_it, start)
        FAULT.spoil(patient)
        look(pair, patient, 0)
        (finding,) = findings(pair)
        assert finding.state == "open"

        facts, ill = patient.judge()
        patient.follow(patient.prescribed(facts, ill).now)
        look(pair, patient, 1)
        assert states(pair) == ["open"]  # it passes, and what was lost is lost all the same

        acknowledge(finding.pk, "queued mail was sent anew", None, minutes(2))
        look(pair, patient, 3)
        look(pair, patient, 4)
        assert states(pair) == ["resolved"]  # although the server counts them still

        patient.admin().config_set("maxmemory-policy", "allkeys-lru")
        patient.admin().set("more", "x" * 1_000_000)
        look(pair, patient, 5)
    assert states(pair) == ["resolved", "open"]


def minutes(count):
    return NOW + timedelta(minutes=count)


def look(pair, patient, minute):
    """Visit the server as the portal does, and record it."""
    visit(pair, now=minutes(minute), redis=patient.read().redis)


def findings(pair):
    return list(Finding.objects.filter(target=pair.pk, rule_id=FAULT.rule).order_by("pk"))


def states(pair):
    return [finding.state for finding in findings(pair)]
