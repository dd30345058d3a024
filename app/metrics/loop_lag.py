"""How late the event loop is: what one handler that does not wait costs all other requests."""

from __future__ import annotations

import asyncio

INTERVAL = 0.25
"""Seconds between two looks."""

WINDOW = 15.0
"""Seconds for which a lag is remembered at least, and twice that at most: so that each is seen by
who looks every 15 seconds."""


class LoopLag:
    """Measures how much later than asked for a timer of the running loop is called."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._before = self._longest = 0.0  # of the last window, and of the present one
        self._window_ends = self._loop.time() + WINDOW
        self._look_again()

    @property
    def seconds(self) -> float:
        """The longest lag of the last seconds, one that is going on included."""
        return max(self._before, self._longest, self._loop.time() - self._timer.when())

    def stop(self) -> None:
        """Measure no longer."""
        self._timer.cancel()

    def _look_again(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self._longest = max(self._longest, now - self._timer.when())
        if now >= self._window_ends:
            self._before, self._longest = self._longest, 0.0
            self._window_ends = now + WINDOW
        self._look_again()
