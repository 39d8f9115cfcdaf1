"""Django's SMTP backend, listening to what the server says when it accepts a mail."""

from __future__ import annotations

import smtplib

from django.core.mail.backends.smtp import EmailBackend


class _Listening(smtplib.SMTP):
    """Keeps the answer to the last mail's data, which names it in the server's queue."""

    answer: tuple[int, bytes] = (0, b"")

    def data(self, msg: object) -> tuple[int, bytes]:
        self.answer = super().data(msg)  # type: ignore[arg-type]  # str or bytes, as smtplib says
        return self.answer


class _ListeningTls(_Listening, smtplib.SMTP_SSL):
    """The same on a port that speaks TLS from the first byte."""


class AnsweringBackend(EmailBackend):
    """Django's backend; `answer` is what the server said to the last mail it took."""

    @property
    def connection_class(self) -> type[_Listening]:
        """Choose by the settings whether TLS comes first."""
        return _ListeningTls if self.use_ssl else _Listening

    @property
    def answer(self) -> str:
        """Give code and text, on one line; "" before the first mail."""
        code, text = getattr(self.connection, "answer", (0, b""))
        return said(code, text) if code else ""


def said(code: int, text: bytes | str) -> str:
    """Write a server's answer on one line, at most 300 characters: it is somebody else's text."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    line = "".join(one if one.isprintable() else " " for one in words)
    return f"{code} {' '.join(line.split())}".strip()[:300]
