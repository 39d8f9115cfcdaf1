"""Can a probe tell that it is blind from targets that are down?"""

import asyncio
import resource
import socket
from contextlib import ExitStack

import pytest

from checks.egress import EgressRules
from checks.probes.outlook import Endpoint, Look, Outlook, _far, blindness
from tests.loopback import ponging, serving, shut_port

HERE = EgressRules(allow_loopback=True)
FORBIDDEN = EgressRules(allow_loopback=False)
# Names that no server knows: nothing of theirs answers.
DARK = tuple(Endpoint(f"redis-{n}.invalid", 6379) for n in range(4))


@pytest.fixture
def open_end():
    with serving(ponging) as port:
        yield Endpoint("127.0.0.1", port)


@pytest.fixture
def shut_end():
    with shut_port() as port:
        yield Endpoint("127.0.0.1", port)


def why(*targets, reference=None, rules=HERE):
    return asyncio.run(blindness(Outlook(reference, targets, rules)))


def test_a_target_that_accepts_proves_that_we_see(open_end, shut_end):
    assert why(shut_end, open_end, reference=shut_end) == ""


def test_a_reference_that_accepts_proves_it_too(open_end, shut_end):
    assert why(shut_end, *DARK, reference=open_end) == ""
    assert why(reference=open_end) == ""


def test_neither_the_reference_nor_any_target(shut_end):
    assert why(shut_end, reference=shut_end) == (
        "the reference is not reached, and no target is: "
        f"{shut_end} was not reached: connection refused"
    )


def test_silent_hosts_are_blindness_once_they_are_three():
    assert why(*DARK[:2]) == ""
    assert why(DARK[0], DARK[0], DARK[1]) == ""
    assert why(*DARK[:3]).startswith("none of 3 hosts answers, such as ")


def test_hosts_that_refuse_answer(shut_end):
    hosts = [Endpoint(f"127.0.0.{n}", shut_end.port) for n in (1, 2, 3)]

    assert why(*hosts) == ""


def test_without_anything_to_look_at_we_see():
    assert why() == ""


def test_a_reference_that_we_must_not_dial_is_none(shut_end):
    assert why(shut_end, reference=shut_end, rules=FORBIDDEN) == ""
    assert why(*DARK, reference=shut_end, rules=FORBIDDEN).startswith("none of 4 hosts")


def test_a_worker_without_files_is_blind():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    loop = asyncio.new_event_loop()
    with ExitStack() as stack:
        stack.callback(loop.close)
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        used = socket.socket()
        stack.enter_context(used)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used.fileno() + 1, hard))
        found = loop.run_until_complete(blindness(Outlook(None, (), HERE)))

    assert found.startswith("this worker cannot connect to itself: ")


def test_what_stands_on_this_machine_says_nothing_of_the_way_out():
    here = [Look(Endpoint(host, 1), "accepted") for host in ("127.0.0.1", "localhost", "::1")]
    far = Look(Endpoint("redis-1.example.com", 1), "silent")
    forbidden = Look(Endpoint("169.254.169.254", 1), "forbidden")

    assert _far([*here, far, forbidden]) == [far]
    assert _far([*here, forbidden]) == here
