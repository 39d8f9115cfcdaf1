"""Whatever a server answers: the visit ends, every rule has a verdict, and nothing is raised."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.address import RedisAddress
from checks.catalog import BY_ID
from checks.codec import facts_to_json, verdict_to_json
from checks.egress import EgressRules
from checks.evaluate import evaluate
from checks.facts import NOT_CONFIGURED, PairFacts, Vantage
from checks.probes.redis import RedisTarget, probe_redis
from checks.remedy import Server, observed, render
from checks.rule import Cadence, Outcome
from tests.loopback import serving
from tests.replaying import CAPTURES, answer, read_replies

READ = frozenset({Cadence.HEALTH, Cadence.LATENCY, Cadence.PERSISTENCE})
RULES = EgressRules(allow_loopback=True)
HONEST = read_replies(CAPTURES / "redis-7.0.15/compliant")
COMMANDS = sorted(HONEST)


def bulk(text):
    return b"$%d\r\n%s\r\n" % (len(text), text)


def array(items):
    return b"*%d\r\n%s" % (len(items), b"".join(items))


def spoiled(text, at, with_bytes):
    """Put other bytes into a text that a server once sent."""
    where = at % (len(text) + 1)
    return text[:where] + with_bytes + text[where + len(with_bytes) :]


LINE = st.binary(max_size=40).map(lambda text: text.replace(b"\r", b"").replace(b"\n", b""))
INFO = HONEST[("INFO",)].split(b"\r\n", 1)[1][:-2]
SCALAR = st.one_of(
    st.binary(max_size=200).map(bulk),
    LINE.map(lambda text: b"-" + text + b"\r\n"),
    LINE.map(lambda text: b"+" + text + b"\r\n"),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b":%d\r\n" % number),
    st.just(b"$-1\r\n"),
    st.builds(spoiled, st.just(INFO), st.integers(0, 10_000), st.binary(max_size=60)).map(bulk),
)
REPLY = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4).map(array), max_leaves=8)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(COMMANDS), REPLY, min_size=1))
def test_any_answers(lies):
    with serving(lambda connection: answer(connection, {**HONEST, **lies})) as port:
        target = RedisTarget(RedisAddress("127.0.0.1", port), rules=RULES, pings=2, timeout_s=2)
        facts = asyncio.run(probe_redis(target, READ)).facts
    pair = PairFacts(
        facts, NOT_CONFIGURED, Vantage("here", zone_location="a", emailengine_location="a")
    )

    json.dumps(facts_to_json(pair))
    for rule_id, verdict in evaluate(pair, frozenset(Cadence)).items():
        json.dumps(verdict_to_json(verdict))
        shown(rule_id, verdict, Server.read(facts))


def shown(rule_id, verdict, server):
    """Show the verdict as pages and mails do."""
    rule = BY_ID[rule_id]
    assert observed(rule, verdict)
    if verdict.outcome is Outcome.FAIL:
        assert render(rule, verdict.cause, verdict.evidence, server).do
