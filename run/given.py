"""Services that somebody else runs: refuses a DATABASE_URL or BROKER_URL at which nobody answers."""

import psycopg
from celery import Celery
from celery.exceptions import OperationalError

from run.children import RunError

WITHIN_S = 5
OLDEST_POSTGRES = 15
DATABASE_FORM = "postgres://USER:PASSWORD@HOST:PORT/DATABASE"
BROKER_FORM = "redis://:PASSWORD@HOST:PORT/NUMBER"


def check_database(url: str) -> None:
    """Sign in to the database; raise RunError where it is not there or too old. Shows no password."""
    if not url.startswith(("postgres://", "postgresql://")):
        raise RunError(f"DATABASE_URL names no PostgreSQL: it must read {DATABASE_FORM}.")
    if url.partition("://")[2].partition("/")[0].count("@") > 1:  # it would tell of part of it
        raise RunError(
            f"DATABASE_URL cannot be read: it must read {DATABASE_FORM}, with %40 for an @ in a password."
        )
    try:
        with psycopg.connect(url, connect_timeout=WITHIN_S) as database:
            version = database.info.server_version // 10_000
    except psycopg.OperationalError as error:
        raise RunError(
            f"The database of DATABASE_URL is not reached ({first_line(error)}): "
            "start it, or unset DATABASE_URL to use the embedded one."
        ) from None
    except psycopg.Error:  # its text would show the address, with the password
        raise RunError(f"DATABASE_URL cannot be read: it must read {DATABASE_FORM}.") from None
    if version < OLDEST_POSTGRES:
        raise RunError(
            f"The database of DATABASE_URL is PostgreSQL {version}: "
            f"Pairkeeper needs {OLDEST_POSTGRES} or newer."
        )


def check_broker(url: str) -> None:
    """Sign in to the broker; raise RunError where it is not there. Shows no password."""
    limits = {"socket_connect_timeout": WITHIN_S, "socket_timeout": WITHIN_S}
    try:
        with Celery(broker=url, set_as_current=False).connection(
            transport_options=limits
        ) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=WITHIN_S)
    except OperationalError as error:
        raise RunError(
            f"The broker of BROKER_URL is not reached ({first_line(error)}): "
            "start it, or unset BROKER_URL to use the embedded one."
        ) from None
    except (KeyError, ValueError):
        raise RunError(f"BROKER_URL cannot be read: it must read {BROKER_FORM}.") from None


def first_line(error: Exception) -> str:
    """Cut an error's text to its first line, without a full stop."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")
