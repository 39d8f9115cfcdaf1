"""What is asked over connections of its own: whether Redis lets nobody in, and the Sentinels."""

import asyncio

import hiredis
import pytest

from checks.egress import EgressRules
from checks.facts import NOT_CONFIGURED, Missing, Sentinels
from checks.probes.beside import ask_openly, ask_sentinels, has_quorum, is_open
from checks.probes.wire import Endpoint
from tests.loopback import serving, shut_port
from tests.replaying import answer, captured

RULES = EgressRules(allow_loopback=True)
UP = [b"name", b"mail", b"flags", b"master"]
DOWN = [b"name", b"mail", b"flags", b"master,s_down,o_down"]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (b"PONG", True),
        (hiredis.ReplyError("NOAUTH Authentication required."), False),
        (hiredis.ReplyError("DENIED Redis is running in protected mode"), False),
        (hiredis.ReplyError("NOPERM User default has no permissions"), False),
        (hiredis.ReplyError("MISCONF Redis is configured to save"), True),
        (hiredis.ReplyError("LOADING Redis is loading the dataset"), True),
    ],
)
def test_who_is_let_in(reply, answer):
    assert is_open(reply) is answer


@pytest.mark.parametrize("reply", [hiredis.ReplyError("ERR max number of clients"), b"+OK", None])
def test_what_cannot_be_told(reply):
    assert isinstance(is_open(reply), Missing)


@pytest.mark.parametrize(
    ("situation", "openly"),
    [("redis-7.0.15/compliant", True), ("redis-7.0.15/requirepass-not-authenticated", False)],
)
def test_a_server_is_asked(situation, openly):
    assert ask(captured(situation)) is openly


def ask(talk):
    with serving(talk) as port:
        return asyncio.run(ask_openly(Endpoint("127.0.0.1", port), RULES))


def test_a_closed_port_cannot_tell():
    with shut_port() as port:
        found = asyncio.run(ask_openly(Endpoint("127.0.0.1", port), RULES))

    assert found.reason == "refused"


@pytest.mark.parametrize(
    ("quorum", "primary", "found"),
    [
        (b"OK 3 usable Sentinels.", UP, True),
        (b"OK 3 usable Sentinels.", DOWN, False),
        (hiredis.ReplyError("NOQUORUM 1 usable Sentinels."), UP, False),
        (hiredis.ReplyError("ERR No such master with that name"), None, False),
        (b"OK", [b"name"], False),
    ],
)
def test_a_quorum(quorum, primary, found):
    assert has_quorum(quorum, primary) is found


def test_sentinels_are_counted():
    replies = {
        ("SENTINEL", "CKQUORUM", "mail"): b"+OK 2 usable Sentinels.\r\n",
        ("SENTINEL", "MASTER", "mail"): b"*2\r\n$5\r\nflags\r\n$6\r\nmaster\r\n",
    }
    with serving(lambda connection: answer(connection, replies)) as port, serving(bool) as shut:
        here, there = Endpoint("127.0.0.1", port), Endpoint("127.0.0.1", shut)
        found = asyncio.run(ask_sentinels([here, there], "mail", RULES))

    assert found == Sentinels(registered_count=2, answering_count=1, with_quorum_count=1)


def test_a_sentinel_that_asks_for_a_password_tells_nothing():
    said = b"-NOAUTH Authentication required.\r\n"
    replies = {("SENTINEL", word, "mail"): said for word in ("CKQUORUM", "MASTER")}
    with serving(lambda connection: answer(connection, replies)) as port:
        found = asyncio.run(ask_sentinels([Endpoint("127.0.0.1", port)], "mail", RULES))

    assert found == Missing(
        "auth",
        f"Sentinel 127.0.0.1:{port} lets us ask nothing: NOAUTH Authentication required.",
    )


def test_no_sentinel_is_registered():
    assert asyncio.run(ask_sentinels([], "mail", RULES)) == NOT_CONFIGURED
