"""One visit: what is sent when, what a refusal makes of it, and how it ends in time."""

import asyncio
import time
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.address import RedisAddress
from checks.egress import EgressRules
from checks.facts import NOT_READ, Account, Engine, Missing, RedisFacts
from checks.probes import acl
from checks.probes.redis import LastSeen, RedisTarget, acl_line, probe_redis
from checks.probes.redis_commands import ALL, RIGHTS
from checks.probes.redis_target import path_of
from checks.rule import Cadence
from tests.loopback import saying, serving, shut_port
from tests.replaying import CAPTURES, OK, answer, captured, read_replies

RULES = EgressRules(allow_loopback=True)
HEALTH = frozenset({Cadence.HEALTH})
PERSISTENCE = HEALTH | {Cadence.PERSISTENCE}
COMPLIANT = read_replies(CAPTURES / "redis-7.0.15/compliant")
RUN_ID = "5f5c5cb2f8b9d9b43d6e8e01ed1c8ac6c4b8f8e3"


def visit(talk, cadences=HEALTH, user="", password="", **options):
    with serving(talk) as port:
        address = RedisAddress("127.0.0.1", port, user=user)
        target = RedisTarget(address, password, rules=RULES, **options)
        return asyncio.run(probe_redis(target, cadences))


class Recorder(dict):
    """The compliant server, and the commands it was asked."""

    def __init__(self, **replies):
        super().__init__(COMPLIANT)
        self.update({tuple(words.split("_")): reply for words, reply in replies.items()})
        self.asked = []

    def get(self, words, default=OK):
        self.asked.append(" ".join(words))
        return super().get(words, default)

    def __call__(self, connection):
        answer(connection, self)


def with_info(**fields):
    """The compliant server's INFO with some fields changed."""
    text = COMPLIANT[("INFO",)].split(b"\r\n", 1)[1].removesuffix(b"\r\n")
    lines = [line.partition(b":") for line in text.split(b"\r\n")]
    changed = {name.encode(): str(value).encode() for name, value in fields.items()}
    text = b"\r\n".join(name + mark + changed.get(name, value) for name, mark, value in lines)
    return b"$%d\r\n%s\r\n" % (len(text), text)


def test_a_health_visit_sends_this_and_no_more():
    server = Recorder()
    reading = visit(server)

    assert server.asked == [
        "CLIENT SETNAME pairkeeper",
        "PING",
        "INFO",
        "CONFIG GET stop-writes-on-bgsave-error",
        "CONFIG GET min-replicas-to-write",
    ]
    assert [name for name, _ in reading.raw] == [
        "INFO",
        "CONFIG GET stop-writes-on-bgsave-error",
        "CONFIG GET min-replicas-to-write",
    ]
    assert reading.raw[1][1] == "stop-writes-on-bgsave-error yes"
    assert (reading.widened, reading.is_connected) == (False, True)
    assert reading.facts.bull_clients.reason == "undetermined"


def test_a_persistence_visit_asks_for_named_parameters_one_by_one():
    server = Recorder()
    reading = visit(server, PERSISTENCE)

    assert server.asked[5:] == [
        "CONFIG GET save",
        "CONFIG GET appendfsync",
        "CONFIG GET tcp-keepalive",
        "CONFIG GET timeout",
        "CONFIG GET proto-max-bulk-len",
        "CONFIG GET client-output-buffer-limit",
        "CONFIG GET replica-read-only",
        "ACL GETUSER default",
        "CLIENT LIST",
    ]
    assert reading.facts.bull_clients == ()


@pytest.mark.usefixtures("kernel_stamps")
def test_a_latency_visit_measures():
    server = Recorder()
    facts = visit(server, HEALTH | {Cadence.LATENCY}, pings=4).facts
    trips = facts.round_trips

    assert server.asked.count("PING") == 5  # in the batch, which warms up, and four
    assert (trips.count, trips.clock, trips.retransmits) == (4, "kernel", 0)
    assert 0 < trips.min_us <= trips.median_us <= trips.p95_us <= trips.max_us
    assert 0 < trips.network_us <= trips.connect_us


@pytest.mark.parametrize(
    ("last", "fields", "is_widened"),
    [
        (None, {}, False),
        (LastSeen(RUN_ID, 7), {"blocked_clients": 7}, False),
        (LastSeen(RUN_ID, 7), {"blocked_clients": 8}, False),
        (LastSeen(RUN_ID, 7), {"blocked_clients": 6}, True),
        (LastSeen("another", 7), {"blocked_clients": 7}, True),
        (LastSeen("another", 7), {"run_id": "", "blocked_clients": "x"}, True),
    ],
)
def test_a_restart_or_lost_workers_widen_a_health_visit(last, fields, is_widened):
    server = Recorder(INFO=with_info(**{"run_id": RUN_ID, **fields}))
    reading = visit(server, last=last)

    assert reading.widened is is_widened
    assert ("CLIENT LIST" in server.asked) is is_widened


def test_a_widened_visit_is_no_wider_than_a_due_one():
    server = Recorder(INFO=with_info(run_id="new"))
    reading = visit(server, PERSISTENCE, last=LastSeen("old", 0))

    assert (reading.widened, server.asked.count("CLIENT LIST")) == (False, 1)


def test_a_crowd_of_clients_is_not_listed():
    server = Recorder(INFO=with_info(connected_clients=10_001))
    facts = visit(server, PERSISTENCE).facts

    assert "CLIENT LIST" not in server.asked
    assert facts.bull_clients == Missing(
        "too_large", "10001 clients: CLIENT LIST is read up to 10000"
    )


def test_an_endless_info_is_not_read():
    server = Recorder(INFO=b"$300000\r\n%s\r\n" % (b"\r\n" * 150_000))
    facts = visit(server).facts

    assert facts.used_memory_bytes == Missing("too_large", "INFO answers 300000 bytes")
    assert facts.ping == "PONG"


COMMON = st.sampled_from(
    [b"+PONG\r\n", b"+OK\r\n", b"$-1\r\n", b"*-1\r\n", b"*2\r\n$4\r\nsave\r\n$3\r\n1 1\r\n", b":1\r\n",
     b"-ERR no\r\n", b"-NOPERM no\r\n", b"$13\r\nredis_version\r\n", b"*2\r\n:1\r\n*1\r\n+x\r\n"]
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.one_of(COMMON, COMMON, COMMON, st.binary(max_size=20)), max_size=20))
def test_whatever_is_answered_is_a_reading(replies):
    reading = visit(saying(b"".join(replies)), frozenset(Cadence), pings=1, timeout_s=0.05)

    assert isinstance(reading.facts, Missing | RedisFacts)


def test_dragonfly_is_asked_for_its_own_schedule():
    server = Recorder(INFO=b"$26\r\ndragonfly_version:df-v1.30\r\n")
    server[("CONFIG", "GET", "snapshot_cron")] = (
        b"*2\r\n$13\r\nsnapshot_cron\r\n$9\r\n0 * * * *\r\n"
    )
    facts = visit(server, PERSISTENCE).facts

    assert (facts.engine, facts.version) == (Engine.DRAGONFLY, "1.30")
    assert facts.snapshot_cron == "0 * * * *"


# As Redis 6.0.16 answers, whose INFO does not tell it.
SIXTY = b"*2\r\n$10\r\nmaxclients\r\n$2\r\n60\r\n"


@pytest.mark.parametrize(
    ("field", "cadences", "is_asked", "told"),
    [
        ("maxclients", PERSISTENCE, False, NOT_READ),
        ("other", HEALTH, False, NOT_READ),
        ("other", PERSISTENCE, True, 60),
    ],
)
def test_maxclients_is_asked_for_where_info_does_not_tell(field, cadences, is_asked, told):
    info = COMPLIANT[("INFO",)].replace(b"\r\nmaxclients:", f"\r\n{field:10}:".encode())
    server = Recorder(INFO=info if field == "other" else COMPLIANT[("INFO",)])
    server[("CONFIG", "GET", "maxclients")] = SIXTY
    facts = visit(server, cadences).facts

    assert ("CONFIG GET maxclients" in server.asked) is is_asked
    assert facts.config_maxclients == told
    assert isinstance(facts.maxclients, Missing) is (field == "other")


@pytest.mark.parametrize(("user", "sent"), [("", "AUTH hunter2"), ("app", "AUTH app hunter2")])
def test_signing_in(user, sent):
    server = Recorder()
    reading = visit(server, user=user, password="hunter2")

    assert server.asked[:2] == [sent, "CLIENT SETNAME pairkeeper"]
    assert reading.facts.ping == "PONG"
    assert "hunter2" not in repr(reading)


def test_a_password_in_the_address_serves_too():
    server = Recorder()
    with serving(server) as port:
        address = RedisAddress("127.0.0.1", port, password="hunter2")
        asyncio.run(probe_redis(RedisTarget(address, rules=RULES), HEALTH))

    assert server.asked[0] == "AUTH hunter2"


NOAUTH = b"-NOAUTH Authentication required.\r\n"


def test_a_wrong_password():
    refused = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    replies = {("AUTH", "hunter2"): refused}
    facts = visit(lambda wire: answer(wire, Shut(replies, NOAUTH)), password="hunter2").facts

    assert facts == Missing("auth", "WRONGPASS invalid username-password pair or user is disabled.")


class Shut(dict):
    """A server that refuses all but what is named."""

    def __init__(self, replies, refusal):
        super().__init__(replies)
        self.refusal = refusal

    def get(self, words, _default):
        return super().get(words, self.refusal)


def test_a_password_that_an_open_server_does_not_want():
    refused = b"-ERR AUTH <password> called without any password configured\r\n"
    facts = visit(Recorder(AUTH_hunter2=refused), password="hunter2").facts

    assert facts.ping == Missing(
        "auth", "ERR AUTH <password> called without any password configured"
    )
    assert facts.maxmemory_policy == "noeviction"


def test_a_server_that_repeats_the_password_is_not_quoted():
    refused = b"-ERR unknown command `AUTH`, with args beginning with: `hunter2`, \r\n"
    reading = visit(Recorder(AUTH_hunter2=refused), password="hunter2")

    assert reading.facts.ping.reason == "auth"
    assert "hunter2" not in repr(reading)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"-BUSY Redis is busy running a script.\r\n", "busy"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "loading"),
        (b"-NOAUTH Authentication required.\r\n", "auth"),
        (b"+PING?\r\n", "protocol"),
    ],
)
def test_a_server_that_refuses_everything_has_no_facts(words, reason):
    facts = visit(lambda wire: answer(wire, Shut({}, words))).facts

    assert facts.reason == reason


def test_a_refused_ping_alone_is_a_fact():
    facts = visit(Recorder(PING=b"-MISCONF Errors writing to the AOF file\r\n")).facts

    assert facts.ping == Missing("misconf", "MISCONF Errors writing to the AOF file")
    assert facts.used_memory_bytes > 0


@pytest.mark.parametrize(
    ("name", "reason", "is_connected"),
    [
        ("redis-7.0.15/maxclients-reached", "max_clients", True),
        ("redis-7.0.15/protected-mode-denied", "protected_mode", True),
        ("valkey-8.0.1/protected-mode-denied", "protected_mode", True),
    ],
)
def test_a_greeting_that_is_a_refusal(name, reason, is_connected):
    reading = visit(captured(name))

    assert (reading.facts.reason, reading.is_connected) == (reason, is_connected)


def test_nobody_there():
    with shut_port() as port:
        target = RedisTarget(RedisAddress("127.0.0.1", port), rules=RULES)
        reading = asyncio.run(probe_redis(target, HEALTH))

    assert (reading.facts.reason, reading.is_connected) == ("refused", False)


def test_an_address_that_the_rules_deny():
    target = RedisTarget(RedisAddress("169.254.169.254"), rules=RULES)

    facts = asyncio.run(probe_redis(target, HEALTH)).facts
    assert facts == Missing("blocked_address", "169.254.169.254 is a cloud metadata service")


def test_a_hung_server_costs_its_deadline_and_no_more():
    started = time.perf_counter()
    reading = visit(hanging, timeout_s=HUNG_S)

    assert reading.facts == Missing("timeout", "connected, but no full answer within 1 s")
    assert reading.is_connected
    assert HUNG_S <= time.perf_counter() - started < HANGS_S / 2


# What a server says before it hangs has to come within this; a busy machine may hold it up a little.
HUNG_S, HANGS_S = 1.0, 30.0


def hanging(connection):
    connection.recv(1)
    time.sleep(HANGS_S)


def test_a_server_that_hangs_half_way():
    def talk(connection):
        server = Recorder()
        while data := connection.recv(65_536):
            if b"save" in data and b"appendfsync" in data:
                time.sleep(HANGS_S)
            connection.sendall(b"".join(replies_to(data, server)))

    assert visit(talk, PERSISTENCE, timeout_s=HUNG_S).facts.reason == "timeout"


LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
SAID = "LOADING Redis is loading the dataset in memory"


def test_a_server_that_loads_and_answers_the_first_batch_alone_is_loading():
    def talk(connection):
        server = Recorder(PING=LOADING, INFO=with_info(loading=1))
        connection.sendall(b"".join(replies_to(connection.recv(65_536), server)))
        connection.recv(65_536)
        time.sleep(HANGS_S)

    every = PERSISTENCE | {Cadence.LATENCY}
    facts = visit(talk, every, timeout_s=HUNG_S, queue_prefix="").facts

    assert facts.ping == Missing("loading", SAID)
    assert (facts.is_loading, facts.version) == (True, "7.0.15")
    late = f"{SAID}; no further answer came within 1 s"
    assert facts.save == Missing("loading", f"CONFIG GET save is refused: {late}")
    assert facts.bull_clients == Missing("loading", f"CLIENT LIST is refused: {late}")
    assert facts.account.reason == "loading"
    assert facts.queues == facts.deliveries == facts.round_trips == Missing("loading", late)


@pytest.mark.parametrize(
    ("said", "reason"),
    [(LOADING, "loading"), (b"-BUSY Redis is busy running a script.\r\n", "busy")],
)
def test_a_server_that_says_why_and_falls_silent_is_believed(said, reason):
    def talk(connection):
        connection.recv(65_536)
        connection.sendall(OK + said)  # CLIENT SETNAME, PING; never INFO
        time.sleep(HANGS_S)

    assert visit(talk, PERSISTENCE, timeout_s=HUNG_S).facts.reason == reason


def replies_to(data, server):
    lines = [
        b"CLIENT SETNAME",
        b"PING",
        b"INFO",
        b"stop-writes-on-bgsave-error",
        b"min-replicas-to-write",
    ]
    known = {b"PING": ("PING",), b"INFO": ("INFO",)}
    for line in lines:
        if line.split()[-1] in data:
            words = known.get(line, ("CONFIG", "GET", line.decode()))
            yield server.get(words)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/run/redis.sock", "unix"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("192.168.0.1", "private"),
        ("fd00::1", "private"),
        ("100.64.0.1", "private"),
        ("8.8.8.8", "public"),
        ("2a00:1450::1", "public"),
    ],
)
def test_kinds_of_path(address, path):
    assert path_of(address) == path


def test_an_operators_own_network_is_private():
    own = (ip_network("203.0.114.0/24"),)

    assert path_of("203.0.114.7", own) == "private"
    assert path_of("203.0.115.7", own) == "public"


# --- Who we are, and what is asked apart


def test_without_credentials_our_own_ping_tells_that_redis_is_open():
    server = Recorder()

    assert visit(server, PERSISTENCE).facts.is_open is True
    assert server.asked.count("PING") == 1


def test_with_a_password_nobody_is_asked_on_a_second_connection():
    server = Recorder(AUTH_secret=OK)
    facts = visit(server, PERSISTENCE, password="secret").facts

    assert facts.is_open is True
    assert server.asked.count("PING") == 2
    assert server.asked[-1] == "PING"


def test_a_health_visit_asks_nobody():
    server = Recorder(AUTH_secret=OK)

    assert visit(server, password="secret").facts.is_open == NOT_READ
    assert server.asked.count("PING") == 1


def test_our_account_is_read_without_its_hashes():
    said = b"".join(
        [
            b"*8\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$9\r\npasswords\r\n*1\r\n$4\r\nbeef\r\n",
            b"$8\r\ncommands\r\n$18\r\n-@all +ping +@read\r\n$4\r\nkeys\r\n$9\r\n~a:* %R~b\r\n",
        ]
    )
    server = Recorder(ACL_GETUSER_default=said)
    reading = visit(server, PERSISTENCE)

    assert reading.facts.account == Account("default", ("+ping", "+@read"), ("~a:*", "%R~b"))
    assert ("ACL GETUSER default", "commands +ping +@read\nkeys ~a:* %R~b") in reading.raw
    assert "beef" not in str(reading.raw)


def test_dragonfly_alone_is_asked_to_run_a_script():
    info = with_info(os="Linux").replace(
        b"redis_version:", b"dragonfly_version:df-v1.2.3\r\nredis_version:"
    )
    text = info.split(b"\r\n", 1)[1].removesuffix(b"\r\n")
    script = "return redis.call('EXISTS', 'pairkeeper:probe:' .. ARGV[1])"
    server = Recorder(INFO=b"$%d\r\n%s\r\n" % (len(text), text))
    server[("EVAL", script, "0", "x")] = b":0\r\n"

    assert visit(server, PERSISTENCE).facts.allows_undeclared_keys is True
    server[("EVAL", script, "0", "x")] = b"-ERR script tried accessing undeclared key\r\n"
    assert visit(server, PERSISTENCE).facts.allows_undeclared_keys is False
    server[("EVAL", script, "0", "x")] = b"-NOPERM no\r\n"
    assert "grant +eval" in visit(server, PERSISTENCE).facts.allows_undeclared_keys.text
    assert visit(Recorder(), PERSISTENCE).facts.allows_undeclared_keys == NOT_READ


def test_the_account_has_the_rights_of_the_commands_and_no_other():
    assert RIGHTS == (
        "acl|getuser", "client|list", "client|setname", "cluster|info", "config|get", "hello", "info",
        "ping", "time",
    )  # fmt: skip
    apart = {"acl|getuser", "client|setname"}
    assert {command.right for command in ALL} | apart == set(RIGHTS)
    assert not any(command.text in ("CONFIG GET *", "INFO everything") for command in ALL)


@pytest.mark.parametrize(
    ("engine", "line"),
    [
        (Engine.REDIS, ("ACL SETUSER pairkeeper on >CHOOSE-A-PASSWORD resetkeys -@all"
         " +acl|getuser +client|list +client|setname +cluster|info +config|get +hello +info +ping +time")),
        (Engine.KEYDB, ("ACL SETUSER pairkeeper on >CHOOSE-A-PASSWORD resetkeys -@all"
         " +acl|getuser +client|list +client|setname +cluster|info +config|get +hello +info +ping +time")),
        (Engine.DRAGONFLY, ("ACL SETUSER pairkeeper on >CHOOSE-A-PASSWORD resetkeys"
         " ~pairkeeper:probe:*"
         " -@all +client +cluster +config +eval +exists +hello +info +ping +time")),
        (Engine.UPSTASH, ("ACL SETUSER pairkeeper on >CHOOSE-A-PASSWORD resetkeys"
         " -@all +acl|getuser +client|list +client|setname +cluster|info +hello +info +ping +time")),
    ],
)  # fmt: skip
def test_the_line_that_makes_the_account(engine, line):
    assert acl_line(engine) == acl.ACL_LINES[engine] == line


def test_managed_engines_make_it_on_their_own_command_line():
    line = acl_line(Engine.ELASTICACHE, user="watcher")

    assert line.startswith("aws elasticache create-user --user-id watcher --user-name watcher ")
    assert "config|get" not in line
    assert acl_line(Engine.MEMORYDB).startswith("aws memorydb create-user --user-name pairkeeper ")


def test_every_engine_has_a_line():
    assert set(acl.ACL_LINES) == set(Engine)
