"""Does this probe see anything at all? A look at itself and at the way out, when too much is silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from checks.dial import DialError, dial
from checks.egress import EgressRules

LOOPBACK: Final = "127.0.0.1"
LOOPBACK_ONLY: Final = EgressRules(allow_loopback=True)
# So many hosts do not fall silent at the same moment, unless what they share is us.
LEAST_HOSTS: Final = 3
SAMPLE: Final = 8


class Endpoint(NamedTuple):
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What there is to look at: what the operator says is always there, and some of the targets."""

    reference: Endpoint | None
    targets: tuple[Endpoint, ...]
    rules: EgressRules


Sight = Literal["accepted", "refused", "silent", "forbidden"]


class Look(NamedTuple):
    """What one endpoint did: `refused` is an answer of its host, `forbidden` our own egress rules'.

    A name that nobody could be asked for in time counts as forbidden: it says nothing of the way.
    """

    endpoint: Endpoint
    sight: Sight
    text: str = ""


async def blindness(outlook: Outlook) -> str:
    """Say why this probe is blind, or "" where it sees. Takes 4 s at most.

    Blind: it cannot connect to itself; or neither the reference nor any of the targets accepts a
    connection; or, without a reference, three hosts or more give no answer of any kind. One
    target that accepts proves that it sees. Fewer silent hosts prove nothing: they may be down.
    """
    try:
        await _look_at_oneself()
    except (DialError, OSError) as error:
        return f"this worker cannot connect to itself: {error}"
    ends = [*outlook.targets, *([outlook.reference] if outlook.reference else [])]
    looks = await asyncio.gather(*(_look(one, outlook.rules) for one in ends))
    theirs = _far(looks[: len(outlook.targets)])
    if any(look.sight == "accepted" for look in theirs):
        return ""
    reference = looks[-1] if outlook.reference else None
    if reference is not None and reference.sight != "forbidden":
        if reference.sight == "accepted":
            return ""
        return f"the reference is not reached, and no target is: {reference.text}"
    hosts = {look.endpoint.host for look in theirs}
    if len(hosts) < LEAST_HOSTS or any(look.sight != "silent" for look in theirs):
        return ""
    return f"none of {len(hosts)} hosts answers, such as {theirs[0].text}"


def _far(looks: Sequence[Look]) -> list[Look]:
    """Leave out what stands on this machine, where there is more: it says nothing of the way out."""
    asked = [look for look in looks if look.sight != "forbidden"]
    return [look for look in asked if not _is_here(look.endpoint.host)] or asked


def _is_here(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


async def _look(endpoint: Endpoint, rules: EgressRules) -> Look:
    try:
        dialed = await dial(endpoint.host, endpoint.port, rules)
    except DialError as error:
        if error.reason in ("blocked_address", "probe_blind"):
            return Look(endpoint, "forbidden", str(error))
        return Look(endpoint, "refused" if error.is_answer else "silent", str(error))
    dialed.sock.close()
    return Look(endpoint, "accepted")


async def _look_at_oneself() -> None:
    """Listen on loopback and connect there: files, sockets and the loop do their work."""
    with socket.create_server((LOOPBACK, 0)) as server:
        dialed = await dial(LOOPBACK, server.getsockname()[1], LOOPBACK_ONLY)
        dialed.sock.close()
