"""What is asked over connections of its own: a PING without signing in, and the Sentinels."""

import asyncio
from collections.abc import Iterable
from typing import Final

import hiredis

from checks.egress import EgressRules
from checks.facts import NOT_CONFIGURED, Missing, Sentinels
from checks.probes.connection import connect
from checks.probes.replies import Reply, classify, encode, safe_text
from checks.probes.wire import Endpoint, WireError

# Both are extras of a visit that has read the server already: what is slow here is not waited for.
OPEN_S: Final = 2.0
SENTINELS_S: Final = 2.0
MOST_SENTINELS: Final = 7
PING: Final = encode("PING")
# So a server answers who has not signed in, or whom it does not let in at all.
CLOSED: Final = frozenset({"auth", "no_permission", "protected_mode"})
DOWN: Final = frozenset({b"s_down", b"o_down", b"disconnected"})


async def ask_openly(endpoint: Endpoint, rules: EgressRules) -> bool | Missing:
    """Send one PING on a connection of its own without signing in; say whether it is answered.

    Costs the server one connection and one command, within OPEN_S seconds.
    """
    try:
        async with asyncio.timeout(OPEN_S), connect(endpoint, rules) as wire:
            return is_open((await wire.pipeline([PING]))[0])
    except WireError as error:
        return False if error.reason in CLOSED else Missing(error.reason, str(error))
    except TimeoutError:
        return Missing("timeout", f"a second connection got no answer within {OPEN_S:g} s")


def is_open(reply: Reply) -> bool | Missing:
    """Read the answer to a PING of nobody: what is refused for another reason was let in first."""
    if reply == b"PONG":
        return True
    if not isinstance(reply, hiredis.ReplyError):
        return Missing("protocol", "PING is not answered by PONG: this is no Redis")
    reason = classify(str(reply))
    if reason in CLOSED:
        return False
    if reason in ("misconf", "loading", "busy", "cluster"):
        return True
    return Missing(reason or "undetermined", safe_text(str(reply)))


async def ask_sentinels(
    addresses: Iterable[Endpoint], master: str, rules: EgressRules
) -> Sentinels | Missing:
    """Ask each registered Sentinel, at the same time, whether a failover would find a quorum.

    Costs each one connection and two commands, within SENTINELS_S seconds. One that does not
    answer counts as without a quorum, for that is what it is when it matters; one that asks for
    a password says nothing of it.
    """
    endpoints = list(addresses)[:MOST_SENTINELS]
    if not endpoints:
        return NOT_CONFIGURED
    said = await asyncio.gather(*(_ask_sentinel(one, master, rules) for one in endpoints))
    closed = next((one for one in said if isinstance(one, Missing)), None)
    if closed is not None:
        return closed
    answers = [one for one in said if isinstance(one, bool)]
    return Sentinels(len(endpoints), len(answers), sum(answers))


async def _ask_sentinel(
    endpoint: Endpoint, master: str, rules: EgressRules
) -> bool | Missing | None:
    """Say whether this Sentinel sees a quorum and the primary up; None = it does not answer."""
    commands = [encode("SENTINEL", "CKQUORUM", master), encode("SENTINEL", "MASTER", master)]
    try:
        async with asyncio.timeout(SENTINELS_S), connect(endpoint, rules) as wire:
            quorum, primary = await wire.pipeline(commands)
    except (WireError, TimeoutError):
        return None
    return _shut_out(endpoint, quorum) or has_quorum(quorum, primary)


def _shut_out(endpoint: Endpoint, reply: Reply) -> Missing | None:
    reason = classify(str(reply)) if isinstance(reply, hiredis.ReplyError) else None
    if reason not in CLOSED:
        return None
    text = f"Sentinel {endpoint.host}:{endpoint.port} lets us ask nothing: {safe_text(str(reply))}"
    return Missing(reason, text)


def has_quorum(quorum: Reply, primary: Reply) -> bool:
    """Read both answers: CKQUORUM says OK even of a primary that the Sentinel sees down."""
    if not isinstance(quorum, bytes) or not quorum.startswith(b"OK"):
        return False
    if not isinstance(primary, list) or b"flags" not in primary[::2]:
        return False
    flags = primary[primary.index(b"flags") + 1]
    return isinstance(flags, bytes) and not DOWN & set(flags.split(b","))
