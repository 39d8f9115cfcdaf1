"""A real server under a remedy: reads it, judges it, and pastes what the remediation says."""

import asyncio
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import redis as client

from checks.address import parse_redis_url
from checks.catalog import BY_ID
from checks.deltas import Memory, compare
from checks.egress import EgressRules
from checks.evaluate import evaluate
from checks.facts import NOT_CONFIGURED, Missing, PairFacts, RedisFacts, Since, Vantage
from checks.policy import lay, parse
from checks.probes.redis import VERIFIED, RedisTarget, probe_redis
from checks.probes.tls import Tls
from checks.probes.wire import Endpoint
from checks.remedy import Piece, RenderedRemediation, Server, render
from checks.rule import Cadence, Rule, Verdict
from tests import servers

RULES = EgressRules(allow_loopback=True, allow_unix=True)
READ = frozenset({Cadence.HEALTH, Cadence.LATENCY, Cadence.PERSISTENCE})
# redis-cli writes an error reply as it came: a word in capitals, then what is wrong.
ERROR = re.compile(r"(\(error\)|[A-Z]{3,} |AUTH failed)")
WITHIN_S = 60.0
MASTER = "mail"  # as the Sentinels of these tests call the primary
A_MINUTE_AGO = Since(last_visit_s=60.0, last_answer_s=60.0)


@dataclass
class Patient:
    """One server in treatment. A person's doings may move it: another URL, another account.

    at is another server on which the person pastes, where the remediation says so.
    password is for all who talk to it; account and secret are the portal's own, where it has one.

    told is the prose that is followed, said what the last command answered; with_it are servers
    and clients that end with it; end_trouble stops whoever makes the trouble from outside. known is
    what the portal knows beside the reading; memory what its last visit remembers, where the fault
    wants two.
    """

    server: servers.Server
    fault: "Fault"
    url: str
    with_it: ExitStack
    start: Callable[..., Any]
    password: str = field(default="", repr=False)
    at: str = ""
    account: str = ""
    secret: str = field(default="", repr=False)
    told: str = ""
    said: str = ""
    end_trouble: Callable[[], object] = bool
    tls: Tls = VERIFIED
    sentinels: tuple[Endpoint, ...] = ()
    known: dict[str, Any] = field(default_factory=dict)
    memory: Memory | None = None

    def __post_init__(self) -> None:
        self.known = dict(self.fault.known)

    @property
    def rule(self) -> Rule:
        return BY_ID[self.fault.rule]

    def read(self) -> PairFacts:
        """Visit it as the portal does."""
        address = replace(parse_redis_url(self.url), user=self.account)
        target = RedisTarget(
            address,
            self.secret or self.password,
            tls=self.tls,
            rules=RULES,
            sentinels=self.sentinels,
            sentinel_master=MASTER,
        )
        facts = asyncio.run(probe_redis(target, READ)).facts
        known = {"since": self._compared(facts), **self.known}
        return replace(PairFacts(facts, NOT_CONFIGURED, Vantage("here")), **known)

    def _compared(self, facts: RedisFacts | Missing) -> Since | Missing:
        """Compare with the last visit; a fault that wants no memory is judged at first sight."""
        if not self.fault.remembers:
            return Missing("first_visit", "this is the first visit")
        since, self.memory = compare(A_MINUTE_AGO, self.memory, facts, NOT_CONFIGURED, time.time())
        return since

    def judge(self) -> tuple[PairFacts, Verdict]:
        """Read it, and judge it by the fault's rule."""
        facts = self.read()
        policy = lay(parse({self.rule.id: dict(self.fault.limits)}))
        return facts, evaluate(facts, frozenset(Cadence), policy)[self.rule.id]

    def prescribed(self, facts: PairFacts, verdict: Verdict) -> RenderedRemediation:
        """Render the remediation for this very server."""
        limits = replace(self.rule.limits, **self.fault.limits)
        server = Server.read(facts.redis, host="127.0.0.1")
        return render(self.rule, verdict.cause, verdict.evidence, server, limits)

    def paste(self, line: str) -> str:
        """Give a line to the command-line client as a person would; an error reply fails the test."""
        self.said = pasted(self.at or self.url, line, self.password)
        is_wanted = self.fault.answers and self.said.startswith(self.fault.answers)
        assert is_wanted or not ERROR.match(self.said), f"{line}: {self.said}"
        return self.said

    def follow(self, pieces: tuple[Piece, ...]) -> None:
        """Do step by step what is written: paste the code, let the person do what the prose says."""
        for piece in pieces:
            if piece.is_code:
                self.paste(piece.text)
            for phrase, act in self.fault.person.items():
                if not piece.is_code and phrase in piece.text:
                    self.told = piece.text
                    act(self)
        self.at = ""

    def admin(self) -> client.Redis:
        """Talk to the server beside the remedy; closes with the patient."""
        options = {"password": self.password} if self.password else {}
        return self.with_it.enter_context(client.Redis.from_url(self.url, **options))

    def settings(self) -> dict[str, str]:
        """Return the whole configuration of the running server."""
        found: dict[str, str] = until(lambda: self.admin().config_get("*"))
        return found

    def restart(self, arguments: str) -> None:
        """Stop the server and start it again with these arguments in place of what they set."""
        words = shlex.split(arguments)
        kept = without(list(self.server.child.argv), {word for word in words if is_option(word)})
        self.server.stop()
        self.server.child = replace(self.server.child, argv=[*kept, *words])
        self.server.start()
        assert until(lambda: self.admin().ping())


Act = Callable[[Patient], None]


def started_so(_: Patient) -> None:
    """Leave the server as it was started: its options are the fault."""


@dataclass(frozen=True)
class Fault:
    """A bad condition of a real server, and the remediation that must mend it.

    spoil puts it in place. person maps a phrase of the remediation's prose to what a person does
    there. limits are the policy it is judged by, where the default would take an hour to reach.
    known is what the portal knows beside the reading: parts of PairFacts. answers is the error
    that a command of the remediation's verification must be given. remembers: each visit is
    compared with the one before. only_on names the servers, by the
    beginnings of their names, where the condition can be had at all, not_on those where it cannot.
    """

    rule: str
    cause: str = ""
    options: tuple[str, ...] = ()
    spoil: Act = started_so
    person: Mapping[str, Act] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    answers: str = ""
    remembers: bool = False
    only_on: tuple[str, ...] = ()
    not_on: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.rule} {self.cause}".strip()

    def is_on(self, server: str) -> bool:
        """Tell whether the condition can be put in place on the server of this name."""
        is_named = not self.only_on or server.startswith(self.only_on)
        return is_named and not (self.not_on and server.startswith(self.not_on))


def pasted(url: str, line: str, password: str = "") -> str:
    """Give a line to redis-cli as it stands."""
    address = parse_redis_url(url)
    where = ["-s", address.path] if address.path else ["-p", str(address.port)]
    signing_in = ["--no-auth-warning", "-a", password] if password else []
    done = subprocess.run(
        [str(servers.redis_program().with_name("redis-cli")), *where, *signing_in],
        input=f"{line}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def until(wanted: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Look again and again until it is as wanted; return the last look."""
    ends_at = time.monotonic() + within_s
    while not (found := _tried(wanted)) and time.monotonic() < ends_at:
        time.sleep(0.05)
    return found


def _tried(wanted: Callable[[], Any]) -> Any:
    try:
        return wanted()
    except (client.ConnectionError, client.BusyLoadingError):
        return None


def is_option(word: str) -> bool:
    return word.startswith("--")


def without(words: list[str], named: set[str]) -> list[str]:
    """Leave out the options that come anew, with their values."""
    kept: list[str] = []
    is_left_out = False
    for word in words:
        is_left_out = word in named if is_option(word) else is_left_out
        if not is_left_out:
            kept.append(word)
    return kept
