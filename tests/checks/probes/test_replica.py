"""What servers answer who is asked for a dump: both forms of it, and all that goes wrong."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.egress import EgressRules
from checks.probes.replica import WISHES, PullBounds, PullError, PullTarget, pulling
from checks.probes.wire import Endpoint
from tests.loopback import serving

RULES = EgressRules(allow_loopback=True)
BOUNDS = PullBounds(most_bytes=1_000_000, within_s=30.0)
MARK = b"0123456789abcdef0123456789abcdef01234567"
DUMP = bytes(range(256)) * 300
FULL = b"+FULLRESYNC 8de1787ba490483314a4d30f1c628bc5025eb761 0\r\n"
UNKNOWN = b"-ERR unknown command `PSYNC`, with args beginning with: `?`, `-1`,\r\n"


def server(answers: dict[bytes, bytes], rest: bytes = b"", *, is_closing: bool = True):
    """Answer each command by its first word; after PSYNC or SYNC send the rest."""

    def talk(connection) -> None:
        for line in commands(connection):
            word = line.split()[0]
            connection.sendall(answers.get(word, b"+OK\r\n"))
            if word in (b"PSYNC", b"SYNC") and not answers[word].startswith(b"-"):
                connection.sendall(rest)
                if is_closing:
                    return

    return talk


def commands(connection):
    """Give the words of each command that comes, joined by spaces."""
    file = connection.makefile("rb")
    while head := file.readline():
        words = []
        for _ in range(int(head[1:])):
            words.append(file.read(int(file.readline()[1:])))
            file.readline()
        yield b" ".join(words)


def pull(talk: Callable[..., None], bounds: PullBounds = BOUNDS, password: str = "") -> bytes:
    with serving(talk) as port:
        target = PullTarget(Endpoint("127.0.0.1", port), "", password, RULES)
        with pulling(target, bounds) as incoming:
            return b"".join(incoming.pieces())


def failure(talk, bounds=BOUNDS, password=""):
    with pytest.raises(PullError) as raised:
        pull(talk, bounds, password)
    return raised.value.reason, str(raised.value)


def by_length(dump: bytes = DUMP) -> bytes:
    return FULL + b"\n\n\n$%d\r\n" % len(dump) + dump


def by_mark(dump: bytes = DUMP) -> bytes:
    return FULL + b"\n$EOF:" + MARK + b"\r\n" + dump + MARK


@pytest.mark.parametrize(
    "rest",
    [by_length(), by_mark(), by_length(b""), by_mark(b""), by_mark() + b"*1\r\n$4\r\nPING\r\n"],
    ids=["length", "mark", "nothing by length", "nothing by mark", "commands behind it"],
)
def test_a_dump_comes_whole(rest):
    found = pull(server({b"PSYNC": rest}))

    assert found == (DUMP if DUMP in rest else b"")


@settings(max_examples=30)
@given(dump=st.binary(max_size=200), cuts=st.sets(st.integers(1, 340), max_size=8))
def test_how_it_is_cut_changes_nothing(dump, cuts):
    whole = by_mark(dump)

    def talk(connection):
        for line in commands(connection):
            if line.startswith(b"PSYNC"):
                break
            connection.sendall(b"+OK\r\n")
        ends = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
        for start, end in pairwise(ends):
            connection.sendall(whole[start:end])

    assert pull(talk) == dump


def test_what_it_sends():
    seen = []

    def talk(connection):
        for line in commands(connection):
            seen.append(line)
            connection.sendall(by_length() if line.startswith(b"PSYNC") else b"+OK\r\n")

    pull(talk, password="open sesame")

    assert seen == [
        b"AUTH open sesame",
        b"CLIENT SETNAME pairkeeper-pull",
        b"REPLCONF capa eof capa psync2",
        b"REPLCONF rdb-only 1",
        b"REPLCONF version 255.255.255",
        b"PSYNC ? -1",
    ]


def test_an_account_without_replconf_gets_a_dump():
    no = b"-NOPERM this user has no permissions to run the 'replconf' command\r\n"
    answers = {b"REPLCONF": no, b"CLIENT": no, b"PSYNC": by_length()}

    assert pull(server(answers)) == DUMP


def test_sync_is_asked_for_where_psync_is_refused():
    whole = b"$%d\r\n" % len(DUMP) + DUMP

    assert pull(server({b"PSYNC": UNKNOWN, b"SYNC": whole})) == DUMP


@pytest.mark.parametrize(
    ("answers", "reason", "text"),
    [
        (
            {b"AUTH": b"-WRONGPASS invalid username-password pair\r\n"},
            "auth",
            "the server answers: WRONGPASS invalid username-password pair",
        ),
        (
            {b"AUTH": b"-ERR unknown command 'AUTH', with args beginning with: 'open sesame'\r\n"},
            "command_unavailable",
            "the server answers: ERR unknown command 'AUTH'",
        ),
        (
            {b"PSYNC": b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n"},
            "misconf",
            "the server answers: NOMASTERLINK Can't SYNC while not connected with my master",
        ),
        (
            {b"PSYNC": b"-LOADING Redis is loading the dataset in memory\r\n"},
            "loading",
            "the server answers: LOADING Redis is loading the dataset in memory",
        ),
        (
            {b"PSYNC": UNKNOWN, b"SYNC": UNKNOWN},
            "command_unavailable",
            "the server answers: ERR unknown command `PSYNC`",
        ),
        (
            {b"PSYNC": b"-NOPERM no 'psync' for you\r\n", b"SYNC": b"-NOPERM no 'sync'\r\n"},
            "no_permission",
            "the server answers: NOPERM no 'psync' for you",
        ),
        (
            {b"PSYNC": FULL + b"-ERR BGSAVE failed, replication can't continue\r\n"},
            "misconf",
            "the server answers: ERR BGSAVE failed, replication can't continue",
        ),
        (
            {b"PSYNC": b"-ERR something new\r\n"},
            "undetermined",
            "the server answers: ERR something new",
        ),
        ({b"PSYNC": b"+CONTINUE\r\n"}, "protocol", "no dump follows, but +CONTINUE"),
        ({b"PSYNC": FULL + b"$EOF:short\r\n"}, "protocol", "no dump follows, but $EOF:short"),
        ({b"PSYNC": FULL + b"$-1\r\n"}, "protocol", "no dump follows, but $-1"),
        (
            {b"CLIENT": b"HTTP/1.1 400 Bad Request\r\n"},
            "protocol",
            "no Redis protocol here: the other end looks like an HTTP server",
        ),
        ({b"PSYNC": FULL}, "refused", "the server closed the connection before the dump began"),
        (
            {b"PSYNC": by_length()[:-100]},
            "refused",
            "the server closed the connection after 76,700 of 76,800 bytes",
        ),
        (
            {b"PSYNC": by_mark(b"x" * 50)[:-1]},
            "refused",
            "the server closed the connection after 49 bytes",
        ),
    ],
)
def test_what_goes_wrong_has_a_reason(answers, reason, text):
    assert failure(server({b"PSYNC": by_length()} | answers), password="open sesame") == (
        reason,
        text,
    )


@pytest.mark.parametrize("rest", [by_length(), by_mark()])
@pytest.mark.parametrize(("most", "is_taken"), [(76_800, True), (76_799, False)])
def test_too_much_is_refused(rest, most, is_taken):
    talk = server({b"PSYNC": rest})
    bounds = PullBounds(most, 30.0)

    if is_taken:
        assert pull(talk, bounds) == DUMP
    else:
        assert failure(talk, bounds) == ("too_large", "the dump is over 76,799 bytes")


def test_a_silent_server_is_not_waited_for():
    talk = server({b"PSYNC": FULL}, is_closing=False)

    assert failure(talk, PullBounds(10**6, 30.0, silence_s=1.0)) == (
        "timeout",
        "the server was silent for 1 s before the dump began",
    )


def test_a_dripping_server_is_not_waited_for_either():
    def talk(connection):
        for line in commands(connection):
            connection.sendall(FULL + b"$%d\r\n" % 10**6 if line[:1] == b"P" else b"+OK\r\n")
            if line[:1] == b"P":
                break
        while True:
            connection.sendall(b"x")

    reason, text = failure(talk, PullBounds(10**6, 0.2, bytes_per_s=1))

    assert reason == "timeout"
    assert text.startswith("not done within 0.2 s")


def test_it_comes_no_faster_than_allowed():
    pauses = []
    now = [0.0]

    def pause(seconds):
        pauses.append(seconds)
        now[0] += seconds

    talk = server({b"PSYNC": by_length()})
    with serving(talk) as port:
        target = PullTarget(Endpoint("127.0.0.1", port), rules=RULES)
        bounds = PullBounds(10**6, 1_000.0, bytes_per_s=1_000)
        with pulling(target, bounds, lambda: now[0], pause) as incoming:
            size = len(b"".join(incoming.pieces()))

    assert (size, round(sum(pauses), 6)) == (76_800, 76.8)


def test_a_line_without_end_is_no_redis():
    def talk(connection):
        while True:
            connection.sendall(b"x" * 1000)

    assert failure(talk)[0] == "protocol"


def test_the_egress_rules_hold():
    with pytest.raises(PullError) as raised, pulling(PullTarget(Endpoint("127.0.0.1")), BOUNDS):
        pass

    assert raised.value.reason == "blocked_address"


def test_no_secret_is_shown():
    target = PullTarget(Endpoint("redis.example"), "bob", "open sesame")

    assert "open sesame" not in repr(target)
    assert len(WISHES) == 4
