"""Why a message was not taken: one class for every kind of channel."""

from __future__ import annotations


class Refused(Exception):
    """The receiving side did not take the message; `text` is its answer, without a secret.

    `permanent` says that the same message to the same address will be refused again; `unreached`
    that nothing can be sent there at present, whatever it says; `in_doubt` that no answer came
    after it was handed over, so that it may have been taken.
    """

    def __init__(
        self, text: str, *, permanent: bool, unreached: bool = False, in_doubt: bool = False
    ) -> None:
        super().__init__(text)
        self.text = text
        self.permanent = permanent
        self.unreached = unreached
        self.in_doubt = in_doubt
