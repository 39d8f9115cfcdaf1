"""Room for so many visits at once, and waiting for it."""

from __future__ import annotations

import threading


class Space:
    """Counts what is in hand: at most `most` visits, or one shard that is larger. For any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    def take(self, count: int, within_s: float | None = None) -> bool:
        """Wait until so many fit, at most this long (None: for ever), and take their room."""
        with self._changed:
            fits = self._changed.wait_for(
                lambda: self._taken + count <= max(self._most, count), within_s
            )
            self._taken += count if fits else 0
            return fits

    def free(self, count: int) -> None:
        """Give room back."""
        with self._changed:
            self._taken -= count
            self._changed.notify_all()

    def wait_until_empty(self, within_s: float) -> None:
        """Wait until nothing is in hand, at most this long."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0, within_s)
