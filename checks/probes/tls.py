"""TLS over a socket we read ourselves, so that the kernel's stamps survive it."""

import ssl
from dataclasses import dataclass
from functools import lru_cache

from checks.facts import Reason

BUFFER_BYTES = 65_536


@dataclass(frozen=True)
class Tls:
    """How to trust the server: verified against the system's authorities by default.

    ca_pem, the text of a bundle, replaces them. server_name is the name wanted in the
    certificate, the host dialled where it is empty. verify=False takes any certificate.
    """

    ca_pem: str = ""
    server_name: str = ""
    verify: bool = True


class BundleError(ValueError):
    """The CA bundle holds no certificate that can be read."""


@lru_cache(maxsize=256)
def context(ca_pem: str, *, verify: bool) -> ssl.SSLContext:
    """Return the one context of a CA set: with the system's, each costs 21 ms to build."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif ca_pem:
        try:
            made.load_verify_locations(cadata=ca_pem)
        except (ssl.SSLError, ValueError) as error:
            raise BundleError(f"the CA bundle cannot be read: {_words(error)}") from None
    else:
        made.load_default_certs()
    return made


class TlsLayer:
    """One TLS client session between bytes from and bytes for a socket; it does no I/O."""

    def __init__(self, options: Tls, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context(options.ca_pem, verify=options.verify).wrap_bio(
            self._incoming, self._outgoing, server_hostname=options.server_name or host or None
        )

    def shake(self) -> bool:
        """Go on with the handshake; True when it is done. Raises ssl.SSLError."""
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def take(self, data: bytes) -> None:
        """Accept what the socket received."""
        self._incoming.write(data)

    def decrypted(self) -> bytes:
        """Return the plain bytes of all whole records taken. Raises ssl.SSLError."""
        parts = []
        try:
            while part := self._session.read(BUFFER_BYTES):
                parts.append(part)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass  # no more for now, or for ever: the socket's end will tell
        return b"".join(parts)

    def encrypt(self, data: bytes) -> bytes:
        """Return the records to send for these bytes."""
        self._session.write(data)
        return self._outgoing.read()

    def to_send(self) -> bytes:
        """Return what the session itself wants sent: handshake, alerts, key updates."""
        return self._outgoing.read()


def explain(error: ssl.SSLError) -> tuple[Reason, str]:
    """Turn an SSL error into a reason and a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls", f"the server's certificate was not accepted: {error.verify_message}"
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return "tls", "the server does not speak TLS on this port: try redis:// for rediss://"
    if error.reason and ("CERTIFICATE_REQUIRED" in error.reason):
        return "tls", "the server wants a client certificate"
    return "tls", f"TLS failed: {_words(error)}"


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error)
