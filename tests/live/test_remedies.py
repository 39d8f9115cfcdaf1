"""Each remediation, carried out as rendered on real servers: the fail is seen, then the pass."""

from contextlib import ExitStack

import pytest

from checks.placement import settings_in
from checks.remedy import proof
from checks.rule import Outcome
from tests import servers
from tests.live.faults import FAULTS
from tests.live.patients import Patient, until
from tests.proof import NO_CAUSE, PROPERTY

pytestmark = pytest.mark.live

# The two makes of our wheels are everywhere; others join where they are installed.
PINNED = {"redis-6.2": servers.redis, "valkey-9": servers.valkey}
FOUND = {
    name: start
    for name in ("redis-server", "valkey-server", "keydb-server")
    if (start := servers.on_path(name))
}
STARTS = {**PINNED, **FOUND, **servers.more()}


@pytest.fixture
def patient(request):
    """Start a server and put the fault in place."""
    start, fault = request.param
    with ExitStack() as with_it:
        server = with_it.enter_context(start(*fault.options))
        patient = Patient(server, fault, server.url, with_it, start)
        fault.spoil(patient)
        yield patient


CASES = [
    pytest.param((start, fault), id=f"{name}-{fault.name.replace(' ', '-')}")
    for name, start in STARTS.items()
    for fault in FAULTS
    if fault.is_on(name)
]


@pytest.mark.parametrize("patient", CASES, indirect=True)
def test_a_remedy_mends_what_it_is_for(patient, record_property):
    facts, ill = judged(patient, Outcome.FAIL)
    assert (ill.outcome, ill.cause) == (Outcome.FAIL, patient.fault.cause), ill
    remedy = patient.prescribed(facts, ill)
    prose = " ".join(piece.text for piece in remedy.now if not piece.is_code)
    assert all(phrase in prose for phrase in patient.fault.person)
    before = settings_before(patient, remedy)

    patient.follow(remedy.now)

    assert_passes(patient)
    commands(patient, remedy.verify)
    if before:
        commands(patient, remedy.undo)
        assert patient.settings() == before
    if settings_in(remedy.durable[:1]):
        patient.restart(remedy.durable[-1].text)
        assert_passes(patient)
    record_property(
        PROPERTY, " ".join((patient.fault.rule, patient.fault.cause or NO_CAUSE, tried_on(patient)))
    )


def settings_before(patient, remedy):
    """Return all settings where the remediation says how to put them back, else nothing."""
    is_undone_by_commands = any(piece.is_code for piece in remedy.undo)
    return patient.settings() if is_undone_by_commands else {}


def commands(patient, pieces):
    """Paste the code alone: what surrounds it was done."""
    for piece in pieces:
        if piece.is_code:
            patient.paste(piece.text)


def judged(patient, outcome):
    """Judge until it comes out so: what others do to a server begins and ends with their turns."""

    def wanted():
        found = patient.judge()
        return found if found[1].outcome is outcome else None

    return until(wanted) or patient.judge()


def assert_passes(patient):
    _facts, well = judged(patient, Outcome.PASS)
    assert well.outcome is Outcome.PASS, well


def tried_on(patient):
    """Name the make and its version, as facts do."""
    redis = patient.read().redis
    return f"{redis.engine.value} {redis.version}"


@pytest.mark.parametrize(("name", "start"), PINNED.items(), ids=PINNED)
def test_the_proof_tells_of_every_remedy_tried_here(name, start):
    with ExitStack() as with_it:
        server = with_it.enter_context(start())
        redis = Patient(server, FAULTS[0], server.url, with_it, start).read().redis
    told = {
        (rule_id, cause)
        for rule_id, causes in proof().items()
        for cause, makes in causes.items()
        if redis.version in makes.get(redis.engine, ())
    }

    tried = {(fault.rule, fault.cause) for fault in FAULTS if fault.is_on(name)}
    assert told == tried, "run make proof"
