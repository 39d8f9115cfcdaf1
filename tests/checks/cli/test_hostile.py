"""Whatever answers, the command ends in a verdict: no traceback, no secret, nothing that steers."""

import json
import re

import hiredis
import pytest

from checks.__main__ import main
from tests.loopback import serving
from tests.replaying import CAPTURES, NONE_YET, answer, read_replies

SECRET = "geheim-3141"
FORMS = ((), ("--json",), ("--nagios",))
COMPLIANT = read_replies(CAPTURES / "redis-7.0.15" / "compliant")
# A colour, a bell, and a mark that turns the rest of the line round.
STEERING = "\x1b[31mowned\x07\u202e"


def poisoned(**fields):
    """Answer as a compliant Redis does, but for these fields of INFO."""
    text = COMPLIANT["INFO",].decode()
    for name, value in fields.items():
        text, count = re.subn(rf"^{name}:.*?\r$", f"{name}:{value}\r", text, flags=re.MULTILINE)
        assert count == 1, name
    body = text.partition("\r\n")[2].removesuffix("\r\n").encode()
    info = b"$%d\r\n%s\r\n" % (len(body), body)
    return lambda connection: answer(connection, {**COMPLIANT, ("INFO",): info})


def echoing(connection):
    """Know no command, and repeat what was sent: the password among it."""
    reader = hiredis.Reader(notEnoughData=NONE_YET)
    while data := connection.recv(65_536):
        reader.feed(data)
        for words in iter(reader.gets, NONE_YET):
            name, *rest = (word.decode() for word in words)
            said = f"-ERR unknown command '{name}', with args beginning with: {rest}\r\n"
            connection.sendall(said.encode())


HOSTILE = {
    "steers the terminal": poisoned(
        redis_version=STEERING, os=STEERING, config_file=f"/etc/{STEERING}", role="slave"
    ),
    "steers it by its policy": poisoned(maxmemory_policy=f"allkeys-{STEERING}", role=STEERING),
    "tells numbers beyond all bounds": poisoned(
        used_memory="9" * 400, maxmemory="9" * 400, uptime_in_seconds="9" * 400
    ),
    "tells numbers below zero": poisoned(used_memory="-5", maxmemory="-1", maxclients="-1"),
    "tells no numbers": poisoned(used_memory="nan", mem_fragmentation_ratio="nan"),
    "tells an infinite ratio": poisoned(mem_fragmentation_ratio="inf"),
    "repeats what was sent": echoing,
    "answers noise": lambda connection: connection.sendall(bytes(range(256)) * 16),
    "says nothing and goes": lambda connection: connection.close(),
}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "".join(form) or "table")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_ends_in_a_verdict(name, form, capsys, monkeypatch):
    with serving(HOSTILE[name]) as port:
        monkeypatch.setenv("R", f"redis://joe:{SECRET}@127.0.0.1:{port}")
        status = main(["inspect", "--redis-env", "R", *form])
    shown = capsys.readouterr()

    assert shown.err == ""
    assert status in (1, 2, 3)
    assert SECRET not in shown.out
    assert not set(shown.out) & set("\x1b\x07\u202e")
    if form == ("--json",):
        assert {one["outcome"] for one in json.loads(shown.out)["verdicts"]} - {"pass"}


def test_a_server_without_auth_does_not_accept_the_credentials(capsys, monkeypatch):
    with serving(echoing) as port:
        monkeypatch.setenv("R", f"redis://joe:{SECRET}@127.0.0.1:{port}")
        status = main(["inspect", "--redis-env", "R", "--json"])
    reachable = json.loads(capsys.readouterr().out)["verdicts"][0]

    assert status == 2
    assert (reachable["rule"], reachable["outcome"]) == ("redis.reachable", "fail")
    assert reachable["message"] == (
        "Redis refuses our account from here: ERR unknown command 'AUTH'; it must answer PING with "
        "the stored credentials"
    )
