import pytest

from checks.facts import NOT_READ, Engine, Missing
from checks.placement import Piece, Server, cli_name, conf_name, one_line, place, settings_in
from tests.checks.sample_rules import redis_facts

LINES = ["save 900 1", "save 300 10"]
NOW = (Piece('CONFIG SET save "900 1 300 10"', is_code=True),)
ARGUMENTS = Piece("--save 900 1 --save 300 10", is_code=True)


def prose(text):
    return Piece(text, is_code=False)


def code(text):
    return Piece(text, is_code=True)


@pytest.mark.parametrize(
    ("server", "pieces"),
    [
        (
            Server(Engine.VALKEY, "8.0.1", "v1", "/etc/valkey/valkey.conf"),
            (prose("In /etc/valkey/valkey.conf on v1, or run CONFIG REWRITE."),),
        ),
        (
            Server(Engine.MEMURAI, "4", "", "C:\\memurai.conf"),
            (prose("In C:\\memurai.conf, or run CONFIG REWRITE."),),
        ),
        (
            Server(Engine.REDIS, "7.0", "r1", ""),
            (
                prose(
                    "This server was started without a configuration file: "
                    "put it in the manifest, or give it as an argument:"
                ),
                ARGUMENTS,
            ),
        ),
        (
            Server(Engine.KEYDB, "6.3", "k1", NOT_READ),
            (
                prose(
                    "In keydb.conf on k1, or run CONFIG REWRITE if the server was started with "
                    "a file; if it was started without one, as an argument or in its manifest:"
                ),
                ARGUMENTS,
            ),
        ),
        (
            Server(Engine.AIVEN, "7.2", "a1", ""),
            (prose("Aiven is run by its provider: set it in the console there."),),
        ),
    ],
)
def test_where_lines_go_depends_on_how_the_server_was_started(server, pieces):
    assert tuple(place(LINES, NOW, server)) == pieces


def test_dragonfly_takes_flags():
    pieces = place(["maxmemory 100", "tcp-keepalive 300"], (), Server(Engine.DRAGONFLY))

    assert tuple(pieces) == (
        prose("As an argument, or in the manifest: Dragonfly rewrites no file."),
        code("--maxmemory=100 --tcp_keepalive=300"),
    )


@pytest.mark.parametrize(
    "now",
    [
        (),
        (prose("Add RAM first, then CONFIG SET save"),),
        (code("CONFIG SET maxmemory 100"),),
        (code("CONFIG GET save"),),
    ],
)
def test_config_rewrite_is_named_only_where_it_writes_the_setting(now):
    server = Server(Engine.REDIS, "7.0", "r1", "/etc/redis.conf")

    assert tuple(place(LINES, now, server)) == (prose("In /etc/redis.conf on r1."),)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((code("save 900 1\nsave 300 10"), prose("and then")), LINES),
        ((code("maxmemory-policy noeviction"),), ["maxmemory-policy noeviction"]),
        ((code("CONFIG REWRITE"),), []),
        ((code("--cache_mode=false"),), []),
        ((prose("save 900 1"),), []),
        ((), []),
    ],
)
def test_settings_are_told_from_commands(pieces, lines):
    assert settings_in(pieces) == lines


@pytest.mark.parametrize("text", ["a\r\nb", "a\x1b[b", "a\u2028b"])
def test_a_servers_words_stay_on_one_line(text):
    assert one_line(text).isprintable()


def test_a_server_that_did_not_answer_has_its_registered_host():
    server = Server.read(Missing("refused", "x"), host="redis-1")

    assert server == Server(Engine.UNKNOWN, "", "redis-1", NOT_READ)
    assert server.label == "Unknown engine"


def test_a_server_is_read_from_its_facts():
    facts = redis_facts(version="8.0.1", config_file="")

    assert Server.read(facts) == Server(Engine.VALKEY, "8.0.1", "10.0.0.7", "")
    assert Server.read(redis_facts()) == Server(Engine.VALKEY, "", "10.0.0.7", NOT_READ)


@pytest.mark.parametrize("engine", Engine)
def test_every_engine_has_a_client_and_a_file(engine):
    assert cli_name(engine).endswith("-cli")
    assert conf_name(engine).endswith(".conf")
