"""The dead-man's switch: a call after each good cycle, so that somebody outside notices silence."""

from __future__ import annotations

import asyncio

import aiohttp

from checks.egress import EgressRules
from checks.probes.http import session

TIMEOUT_S = 10


class SwitchError(Exception):
    """The dead-man's switch did not answer with a 2xx; the text holds neither address nor answer."""


def call(url: str, rules: EgressRules) -> None:
    """Ask for the address once, by the egress rules, following no redirect; SwitchError otherwise."""
    asyncio.run(_call(url, rules))


async def _call(url: str, rules: EgressRules) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            session(rules) as client,
            client.get(url, allow_redirects=False, timeout=timeout) as answer,
        ):
            status = answer.status
    except TimeoutError:
        raise SwitchError(f"no answer within {TIMEOUT_S} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SwitchError(f"no connection: {type(error).__name__}") from None
    if not 200 <= status < 300:
        raise SwitchError(f"it answered with status {status}")
