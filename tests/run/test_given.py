"""Is a database or a broker that is not there told in one sentence, without its password?"""

import pytest

from run import given
from run.children import RunError

START, OURS = "start it, or unset", "to use the embedded one."
FAILED = 'connection failed: connection to server at "127.0.0.1", port 1 failed: Connection refused'
REFUSED = "Error 111 connecting to 127.0.0.1:1. Connection refused"
DATABASE_FORM = "it must read postgres://USER:PASSWORD@HOST:PORT/DATABASE."
BROKER_FORM = "it must read redis://:PASSWORD@HOST:PORT/NUMBER."


@pytest.mark.parametrize(
    ("check", "url", "told"),
    [
        (
            given.check_database,
            "postgres://u:secret@127.0.0.1:1/x",
            f"The database of DATABASE_URL is not reached ({FAILED}): {START} DATABASE_URL {OURS}",
        ),
        (
            given.check_database,
            "mysql://u:secret@127.0.0.1/x",
            f"DATABASE_URL names no PostgreSQL: {DATABASE_FORM}",
        ),
        (
            given.check_database,
            "postgres://u:secret@127.0.0.1:1/x?no=option",
            f"DATABASE_URL cannot be read: {DATABASE_FORM}",
        ),
        (
            given.check_database,
            "postgres://u:sec@ret@127.0.0.1:1/x",
            f"DATABASE_URL cannot be read: {DATABASE_FORM[:-1]}, with %40 for an @ in a password.",
        ),
        (
            given.check_broker,
            "redis://:sec@ret@127.0.0.1:1/0",
            f"The broker of BROKER_URL is not reached ({REFUSED}): {START} BROKER_URL {OURS}",
        ),
        (
            given.check_broker,
            "redis://:secret@127.0.0.1:1/0",
            f"The broker of BROKER_URL is not reached ({REFUSED}): {START} BROKER_URL {OURS}",
        ),
        (
            given.check_broker,
            "redis://:secret@127.0.0.1:port/0",
            f"BROKER_URL cannot be read: {BROKER_FORM}",
        ),
        (
            given.check_broker,
            "http://u:secret@127.0.0.1",
            f"BROKER_URL cannot be read: {BROKER_FORM}",
        ),
    ],
)
def test_what_is_not_there_is_told(check, url, told):
    with pytest.raises(RunError) as refused:
        check(url)

    assert str(refused.value) == told
