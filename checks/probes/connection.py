"""A conversation for the time of a `with`: dialled, let through the gate, and always closed."""

from checks.dial import Dialed, DialError, dial, dial_unix
from checks.egress import EgressRules
from checks.gate import exchanging
from checks.probes.wire import MAX_REPLY_BYTES, Endpoint, Wire, WireError

HANDSHAKE_TIMEOUT_S = 3.0


def connect(
    endpoint: Endpoint,
    rules: EgressRules,
    *,
    max_reply_bytes: int = MAX_REPLY_BYTES,
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
    answers_within_s: float | None = None,
) -> "Connection":
    """Connect, wait for a place among the 64 that exchange data, shake hands; always close.

    Sends nothing of Redis itself. Resolving and connecting end within 2 s each, what follows
    within answers_within_s, or else by the caller's asyncio.timeout. Use it as an async context
    manager, which gives the Wire and raises WireError, for a DialError too.
    """
    return Connection(endpoint, rules, max_reply_bytes, handshake_timeout_s, answers_within_s)


class Connection:
    """A connection for the time of a `with`; a generator would cost a visit twice as much."""

    def __init__(
        self,
        endpoint: Endpoint,
        rules: EgressRules,
        max_reply_bytes: int,
        handshake_timeout_s: float,
        answers_within_s: float | None,
    ) -> None:
        self._endpoint, self._rules = endpoint, rules
        self._max_reply_bytes = max_reply_bytes
        self._handshake_timeout_s, self._answers_within_s = handshake_timeout_s, answers_within_s
        self._gate = exchanging()
        self._token: object = None

    async def __aenter__(self) -> "Wire":
        endpoint = self._endpoint
        self._wire = wire = Wire(await _dial(endpoint, self._rules), self._max_reply_bytes)
        try:
            self._token = await self._gate.enter()
            if endpoint.tls is not None:
                await wire.shake_hands(endpoint.tls, endpoint.host, self._handshake_timeout_s)
        except BaseException:
            self._close()
            raise
        if self._answers_within_s is not None:
            wire.expect(self._answers_within_s)
        return wire

    async def __aexit__(self, *_raised: object) -> None:
        self._close()

    def _close(self) -> None:
        self._gate.leave(self._token)
        self._wire.close()


async def _dial(endpoint: Endpoint, rules: EgressRules) -> Dialed:
    try:
        if endpoint.unix_path:
            return await dial_unix(endpoint.unix_path, rules)
        return await dial(endpoint.host, endpoint.port, rules)
    except DialError as error:
        raise WireError(error.reason, str(error)) from None
