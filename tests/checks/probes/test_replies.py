"""What error replies and strangers mean."""

import hiredis
import pytest

from checks.facts import REASONS
from checks.probes.replies import (
    LAST_WORDS,
    PREFIXES,
    classify,
    declared_elements,
    encode,
    last_words,
    safe_text,
    speaks_tls,
    stranger,
)

DENIED = "DENIED Redis is running in protected mode because protected mode is enabled and no"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NOAUTH Authentication required.", "auth"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "auth"),
        ("ERR invalid password", "auth"),
        ("ERR AUTH <password> called without any password configured for the def", "auth"),
        ("NOPERM this user has no permissions to run the 'info' command or its", "no_permission"),
        ("NOPERM User ro has no permissions to run the 'config|get' command", "no_permission"),
        (
            "ERR unknown command `CONFIG`, with args beginning with: `GET`, `*`, ",
            "command_unavailable",
        ),
        (
            "ERR unknown command 'CONFIG', with args beginning with: 'GET' '*' ",
            "command_unavailable",
        ),
        ("ERR unknown subcommand 'GET'. Try CONFIG HELP.", "command_unavailable"),
        (DENIED, "protected_mode"),
        ("DENIED Running in protected mode because protected mode is", "protected_mode"),
        ("LOADING Redis is loading the dataset in memory", "loading"),
        ("LOADING Valkey is loading the dataset in memory", "loading"),
        ("LOADING Dragonfly is loading the dataset in memory", "loading"),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", "busy"),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently", "misconf"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "misconf"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "misconf"),
        ("NOREPLICAS Not enough good replicas to write.", "misconf"),
        ("READONLY You can't write against a read only replica.", "misconf"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is", "misconf"),
        ("ERR max number of clients reached", "max_clients"),
        ("ERR max number of clients + cluster connections reached", "max_clients"),
        ("CLUSTERDOWN Hash slot not served", "cluster"),
        ("MOVED 3999 127.0.0.1:6381", "cluster"),
        ("ASK 3999 127.0.0.1:6381", "cluster"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "cluster"),
        ("ERR SELECT is not allowed in cluster mode", "cluster"),
        ("ERR wrong number of arguments for 'hello' command", None),
        ("ERR This instance has cluster support disabled", None),
        ("BUSYGROUP Consumer Group name already exists", None),
    ],
)
def test_error_replies_by_their_prefix(text, reason):
    assert classify(text) == reason


def test_only_known_reasons_are_used():
    assert {reason for _, reason in PREFIXES} | LAST_WORDS <= REASONS


def test_a_repeated_password_is_never_shown():
    text = "ERR unknown command 'AUTH', with args beginning with: 'fleet' 'hunter2' "

    assert safe_text(text) == "ERR unknown command 'AUTH'"
    assert safe_text("ERR no hunter2\r\n\x1b[31mhere", ["hunter2", ""]) == "ERR no *** [31mhere"
    assert len(safe_text("x" * 100_000)) == 300


def test_last_words():
    full = hiredis.ReplyError("ERR max number of clients reached")

    assert last_words([b"PONG", full]) == ("max_clients", "ERR max number of clients reached")
    assert last_words([hiredis.ReplyError("NOAUTH Authentication required."), 1]) is None


@pytest.mark.parametrize(
    ("first_bytes", "name"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "an HTTP server"),
        (b"<html>", "an HTTP server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server"),
        (b"220 mail.example ESMTP\r\n", "an SMTP or FTP server"),
        (b"* OK IMAP4rev1 ready\r\n", "an IMAP server"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "a TLS server"),
        (b"\x00\x01", "something that is not Redis"),
    ],
)
def test_strangers(first_bytes, name):
    assert stranger(first_bytes) == name


def test_tls_records():
    assert speaks_tls(b"\x15\x03\x03\x00\x02\x02\x28")
    assert not speaks_tls(b"+PONG\r\n")


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"+PONG\r\n", 0),
        (b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n", 2),
        (b"*3\r\n*2\r\n:1\r\n:2\r\n*-1\r\n:3\r\n", 5),
        (b"%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", 4),
        (b"~7\r\n>8\r\n|9\r\n", 24),
        (b"$1\r\nXYZ*4294967295\r\n", 4294967295),  # hiredis skips YZ unread
        (b"used_memory_peak_perc:100.19%\r\n", 0),
        (b"*" + b"9" * 5000 + b"\r\n", 0),  # no number to hiredis, and none int() would read
        (b"a:~7\rb:>1\rc:|2\r", 10),
    ],
)
def test_elements_are_counted_before_they_are_allotted(data, count):
    assert declared_elements(data) == count


def test_encoding():
    assert encode("CONFIG", "GET", "save") == b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$4\r\nsave\r\n"
    assert encode("SELECT", 3) == b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
