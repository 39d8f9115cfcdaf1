"""Why a message was not taken: one class for every kind of channel."""

from __future__ import annotations


class Refused(Exception):
    """The receiving side did not take the message; `text` is its answer, without a secret.

    `permanent` says that the same message to the same address will be refused again.
    """

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.text = text
        self.permanent = permanent
