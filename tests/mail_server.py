"""A real SMTP server on loopback that takes mails, or treats them as a test wants."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from tests.servers import free_port

logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclass
class Inbox:
    """What the server took, and how it answers: `answer` and `rcpt` to the data and a recipient.

    An answer of "hang" keeps the client waiting, "keep" takes the mail and does so, "drop" takes it
    and cuts the line before it says so, "slow" takes it and says so after a while.
    """

    answer: str = "250 2.0.0 queued"
    rcpt: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    first: list[str] = field(default_factory=list)  # these in turn, before any other
    answers: tuple[str, ...] = ()  # one of these by chance, if there are any
    chance: random.Random = field(default_factory=random.Random)
    port: int = 0

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802
        said = self.rcpt.get(address, "")
        if said:
            return said
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        said = self._choose()
        if said == "hang":
            server.transport.pause_reading()
            await server.loop.create_future()
        if said[0] in "2dsk":
            mail = message_from_bytes(envelope.content, policy=policy.default)
            mail["X-Rcpt-To"] = envelope.rcpt_tos[0]
            self.mails.append(mail)
        if said == "keep":
            await server.loop.create_future()
        if said == "slow":
            await asyncio.sleep(0.3)
            return "250 ok"
        if said == "drop":
            server.transport.abort()
            return "250 never heard"
        return said

    def _choose(self) -> str:
        if self.first:
            return self.first.pop(0)
        return self.chance.choice(self.answers) if self.answers else self.answer

    def subjects(self, to: str | None = None) -> list[str]:
        mails = self.mails if to is None else self.to(to)
        return [" ".join(one["Subject"].split()) for one in mails]  # it may be folded

    def to(self, address: str) -> list[EmailMessage]:
        return [one for one in self.mails if one["X-Rcpt-To"] == address]


@contextmanager
def mail_server(port: int = 0):
    """Serve until the block ends; yields the inbox."""
    inbox = Inbox(port=port or free_port())
    with serving(inbox):
        yield inbox


@contextmanager
def serving(inbox: Inbox):
    """Serve until the block ends; a server that died may be served again."""
    controller = Controller(inbox, hostname="127.0.0.1", port=inbox.port)
    controller.start()
    try:
        yield
    finally:
        controller.stop(no_assert=True)


def wait_until(what, timeout_s: float = 60.0) -> None:
    """Wait until what() holds; AssertionError where it does not."""
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
