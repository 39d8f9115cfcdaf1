"""One visit to one Redis-compatible server, over one connection."""

import time
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final

import hiredis

from checks.facts import NOT_READ, Engine, Missing, RedisFacts, RoundTrips
from checks.probes.account import account_text, read_account, read_undeclared
from checks.probes.acl import acl_line as acl_line  # where the pages and the README look
from checks.probes.beside import ask_openly, ask_sentinels, is_open
from checks.probes.connection import connect
from checks.probes.engines import of_hello, of_host
from checks.probes.redis_commands import (
    ACL_RIGHT,
    CLIENT_LIST,
    CLUSTER_INFO,
    HEALTH,
    HEALTH_CONFIG,
    HELLO,
    INFO,
    MAXCLIENTS,
    PERSISTENCE_CONFIG,
    SNAPSHOT_CRON,
    TIME,
    UNDECLARED_KEYS,
    Command,
    auth,
    get_user,
)
from checks.probes.redis_config import (
    CONFIG_FIELDS,
    bull_text,
    read_clients,
    read_cluster,
    read_config,
    read_time,
    refused,
)
from checks.probes.redis_info import Fields, read_info, without_info
from checks.probes.redis_queues import BILLED, read_queues
from checks.probes.redis_target import VERIFIED as VERIFIED
from checks.probes.redis_target import LastSeen as LastSeen
from checks.probes.redis_target import Raw as Raw
from checks.probes.redis_target import RedisReading as RedisReading
from checks.probes.redis_target import RedisTarget as RedisTarget
from checks.probes.redis_target import endpoint, greeting, password_of, path_of
from checks.probes.replies import Reply, classify, safe_text
from checks.probes.stamps import NO_PINGS
from checks.probes.trips import round_trips
from checks.probes.wire import TooLate, Wire, WireError
from checks.rule import Cadence

# Over these no CLIENT LIST: at 350 bytes a line it would outgrow what we take (8 MiB).
MAX_LISTED_CLIENTS = 10_000
RAW_LIMIT = 65_536
MAX_INFO_BYTES = 262_144  # taking more apart would hold up the other visits


async def probe_redis(target: RedisTarget, cadences: AbstractSet[Cadence]) -> RedisReading:
    """Read one server over one connection: a pipelined batch, PINGs, and another batch where due.

    Sends read-only commands: PING, INFO and two CONFIG GETs; with the persistence cadence
    seven CONFIG GETs (eight before 6.2), CLIENT LIST and ACL GETUSER more, and where we sign in
    one PING without that over a connection of its own; with the latency cadence target.pings PINGs
    more, right after that batch. Costs the server about 0.1 ms of CPU, and 0.03 ms per PING for its wake-ups.
    Ends within target.timeout_s seconds of being connected, connecting within 7 s.
    A server that is down, slow or closed to us is a fact: the reading then holds Missing.
    """
    visit = _Visit(target, cadences)
    started = time.perf_counter()
    try:
        facts = await visit.read()
    except TooLate as error:
        facts = visit.cut_short(str(error))
    except WireError as error:
        facts = Missing(error.reason, _safe(target, str(error)))
    return RedisReading(
        facts,
        tuple(visit.raw),
        visit.is_widened,
        visit.is_connected,
        time.perf_counter() - started,
    )


class _Visit:
    """One visit under way: what was read so far."""

    def __init__(self, target: RedisTarget, cadences: AbstractSet[Cadence]) -> None:
        self._target = target
        self._address = target.address
        self._cadences = cadences
        self._fields: Fields = {}
        self._engine = Engine.UNKNOWN
        self._info_said: Missing | None = None
        self._signed_in: Missing | None = None
        self._nobody_said: bool | Missing = NOT_READ
        self._wire: Wire | None = None
        self._pings = NO_PINGS
        self._ping: str | Missing | None = None  # None = not answered yet
        self._asked: list[Command] = []  # of the second batch
        self.raw: list[tuple[str, str]] = []
        self._reads_persistence = False
        self.is_widened = False
        self.is_connected = False

    async def read(self) -> RedisFacts | Missing:
        """Visit, and put the facts together. Raises WireError."""
        target = self._target
        async with connect(
            endpoint(target), target.rules, answers_within_s=target.timeout_s
        ) as wire:
            self.is_connected, self._wire = True, wire
            facts = await self._read(wire)
        if isinstance(facts, Missing) or not self._reads_persistence:
            return facts
        return await self._beside(facts)

    async def _beside(self, facts: RedisFacts) -> RedisFacts:
        """Ask what wants a connection of its own, now that ours is closed."""
        target = self._target
        openly: bool | Missing
        if auth(self._address.user, password_of(target)) is None:
            # We signed in as nobody ourselves: that answer tells.
            openly = self._nobody_said
        else:
            openly = await ask_openly(endpoint(target), target.rules)
        sentinels = await ask_sentinels(target.sentinels, target.sentinel_master, target.rules)
        return replace(facts, is_open=openly, sentinels=sentinels)

    def cut_short(self, why: str) -> RedisFacts | Missing:
        """Give what came about before the time was up.

        A server that loads its dataset answers every few seconds at most: that it said so counts,
        and what it was asked after that is refused for the same reason.
        """
        said = self._heard() if self._ping is None else self._ping
        if not isinstance(said, Missing) or said.reason not in BETWEEN_WORK or self._wire is None:
            return Missing("timeout", why)
        if self._engine is Engine.UNKNOWN:
            return said
        late = f"{said.text}; no further answer came within {self._target.timeout_s:g} s"
        for command in self._asked:
            self._take(command, hiredis.ReplyError(late))
        missing = Missing(said.reason, late)
        if self._reads_queues():
            self._fields |= {"queues": missing, "deliveries": missing}
        if Cadence.LATENCY in self._cadences:
            self._fields["round_trips"] = missing
        return self._facts(self._wire, said)

    def _heard(self) -> Missing | None:
        """Find in a batch that was not answered to its end why it was not; None = it does not say."""
        for reply in () if self._wire is None else self._wire.heard:
            reason = classify(str(reply)) if isinstance(reply, hiredis.ReplyError) else None
            if reason in BETWEEN_WORK:
                return Missing(reason, safe_text(str(reply)))
        return None

    async def _read(self, wire: Wire) -> RedisFacts | Missing:
        self._ping = ping = await self._read_health(wire)
        if isinstance(ping, Missing) and self._is_shut(ping):
            return self._signed_in or ping
        await self._read_more(wire)
        if self._reads_queues():
            self._fields |= await self._read_queues(wire)
        if Cadence.LATENCY in self._cadences:
            self._fields["round_trips"] = self._round_trips(wire, ping)
        return self._facts(wire, ping)

    def _facts(self, wire: Wire, ping: str | Missing) -> RedisFacts:
        return RedisFacts(
            host=self._address.host or self._address.path,
            port=self._address.port,
            database=self._address.database,
            is_tls=self._address.is_tls,
            path=path_of(wire.address, self._target.own_networks),
            engine=self._engine,
            ping=self._signed_in or ping,
            **self._fields,
        )

    def _reads_queues(self) -> bool:
        """Tell whether EmailEngine's queues are due: with stats, which persistence brings along."""
        is_due = Cadence.STATS in self._cadences or Cadence.PERSISTENCE in self._cadences
        return self._target.queue_prefix is not None and (is_due or self.is_widened)

    async def _read_queues(self, wire: Wire) -> Fields:
        if self._engine is Engine.UPSTASH:
            return {"queues": BILLED, "deliveries": BILLED}
        prefix = self._target.queue_prefix or ""
        return await read_queues(
            wire, self._address.database, prefix, self._fields["server_time_s"]
        )

    async def _read_health(self, wire: Wire) -> str | Missing:
        """Sign in, send the batch of every visit, and time PINGs; return what the first one said."""
        before = greeting(self._target)
        times = self._target.pings if Cadence.LATENCY in self._cadences else 0
        replies, self._pings = await wire.exchange(
            [*before, *HEALTH_BYTES], times, lambda found: is_prompt(found[len(before)])
        )
        if len(before) > 1:
            self._signed_in = _auth_refusal(self._target, replies[0])
        ping, info, *config = replies[len(before) :]
        self._nobody_said = is_open(ping)
        self._take_info(info)
        self._take_config(HEALTH_CONFIG, config)
        return _pong(ping)

    def _is_shut(self, ping: Missing) -> bool:
        """Tell whether the server refused INFO too, or answers nothing like it: no facts then."""
        return self._engine is Engine.UNKNOWN and ping.reason in SHUT

    def _take_info(self, reply: Reply) -> None:
        self._info_said = refused(INFO, reply)
        if self._info_said is None and not isinstance(reply, bytes):
            self._info_said = Missing("protocol", "INFO answers no text")
        elif self._info_said is None and len(reply) > MAX_INFO_BYTES:
            self._info_said = Missing("too_large", f"INFO answers {len(reply)} bytes")
        if self._info_said is not None:
            self._fields = without_info(self._info_said)
            return
        self._engine, self._fields = read_info(reply, self._address.host)
        self.raw.append(("INFO", _raw(reply)))

    def _take_config(self, commands: Sequence[Command], replies: Iterable[Reply]) -> None:
        for command, reply in zip(commands, replies, strict=False):
            name, value, raw = read_config(command, reply)
            # INFO of a replica tells replica-read-only too; CONFIG may be closed.
            if not isinstance(value, Missing) or name not in self._fields:
                self._fields[name] = value
            if raw is not None:
                self.raw.append(raw)

    async def _read_more(self, wire: Wire) -> None:
        """Send, in one more batch, what is due beyond health or what INFO left open."""
        self._asked = commands = self._wanted()
        if not commands:
            return
        replies = await wire.pipeline([command.encoded for command in commands])
        self._asked = []
        for command, reply in zip(commands, replies, strict=True):
            self._take(command, reply)

    def _wanted(self) -> list[Command]:
        commands: list[Command] = []
        if self._info_said is not None:
            commands.append(HELLO)
        if self._fields.get("cluster_enabled") is True:
            commands.append(CLUSTER_INFO)
        self._reads_persistence = Cadence.PERSISTENCE in self._cadences or self._must_widen()
        if self._reads_persistence:
            commands += self._persistence()
        return commands

    def _persistence(self) -> list[Command]:
        commands = [*PERSISTENCE_CONFIG, get_user(self._address.user)]
        if isinstance(self._fields["server_time_s"], Missing):
            commands.append(TIME)
        if self._info_said is None and isinstance(self._fields["maxclients"], Missing):
            commands.append(MAXCLIENTS)
        if self._engine is Engine.DRAGONFLY:
            commands += [SNAPSHOT_CRON, UNDECLARED_KEYS]
        clients = self._fields["connected_clients"]
        if isinstance(clients, int) and clients > MAX_LISTED_CLIENTS:
            text = f"{clients} clients: CLIENT LIST is read up to {MAX_LISTED_CLIENTS}"
            self._fields["bull_clients"] = Missing("too_large", text)
        else:
            commands.append(CLIENT_LIST)
        return commands

    def _must_widen(self) -> bool:
        """Tell whether the server restarted, or blocked clients left, since the last visit."""
        last = self._target.last
        if last is None or self._info_said is not None:
            return False
        run_id, blocked = self._fields["run_id"], self._fields["blocked_clients"]
        has_restarted = isinstance(run_id, str) and run_id != last.run_id
        has_lost = isinstance(blocked, int) and blocked < last.blocked_clients
        self.is_widened = has_restarted or has_lost
        return self.is_widened

    def _take(self, command: Command, reply: Reply) -> None:
        """Turn the reply of the second batch's command into fields."""
        if command.parameter in CONFIG_FIELDS:
            self._take_config([command], [reply])
        elif command is HELLO:
            found = of_host(self._address.host) or of_hello(reply)
            self._engine = found or Engine.UNKNOWN
        elif command is CLIENT_LIST:
            self._fields.update(read_clients(command, reply))
            self.raw.append((command.text, bull_text(reply)[:RAW_LIMIT]))
        elif command is CLUSTER_INFO:
            self._fields.update(read_cluster(command, reply))
        elif command.right == ACL_RIGHT:
            self._fields.update(read_account(command, reply))
            self.raw.append((command.text, account_text(self._fields["account"])))
        elif command is UNDECLARED_KEYS:
            self._fields.update(read_undeclared(command, reply))
        elif command is TIME:
            self._fields.update(read_time(command, reply))

    def _round_trips(self, wire: Wire, ping: str | Missing) -> RoundTrips | Missing:
        """Sum up what was measured; nothing is where PING is answered only between other work."""
        if isinstance(ping, Missing) and ping.reason in BETWEEN_WORK:
            return ping
        return round_trips(self._pings, wire) if self._pings.rtts_us else NOT_READ


# Who refuses for these answers only now and then.
BETWEEN_WORK: Final = frozenset({"loading", "busy"})
HEALTH_BYTES: Final = tuple(command.encoded for command in HEALTH)
# What a server refuses everything for; others, such as MISCONF and NOPERM, may concern PING alone.
SHUT: Final = frozenset({"auth", "busy", "loading", "protected_mode", "max_clients", "protocol"})


def is_prompt(reply: Reply) -> bool:
    """Tell by its answer to the first PING whether a server lets us time more of them."""
    return not isinstance(reply, hiredis.ReplyError) or classify(str(reply)) not in SHUT


def _safe(target: RedisTarget, text: str) -> str:
    return safe_text(text, (password_of(target),))


def _pong(reply: Reply) -> str | Missing:
    if reply == b"PONG":
        return "PONG"
    if isinstance(reply, hiredis.ReplyError):
        return Missing(classify(str(reply)) or "undetermined", safe_text(str(reply)))
    return Missing("protocol", "PING is not answered by PONG: this is no Redis")


def _auth_refusal(target: RedisTarget, reply: Reply) -> Missing | None:
    """Turn a refused AUTH into Missing, without the password that some servers repeat."""
    if not isinstance(reply, hiredis.ReplyError):
        return None
    reason = classify(str(reply))
    # A server without AUTH does not take our credentials either.
    return Missing(reason if reason in SHUT else "auth", _safe(target, str(reply)))


def _raw(reply: Any) -> str:
    return str(reply[:RAW_LIMIT].decode("utf-8", "replace")).replace("\0", "?")
