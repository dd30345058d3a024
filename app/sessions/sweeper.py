"""Removing dead records from stores that do not do it themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.sessions.errors import SessionUnavailable

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two rounds."""

STEP = 500
"""Records removed before other work gets its turn."""


class Sweeper:
    """Lets the store remove what expired, round after round, in the loop that started it."""

    def __init__(
        self, sweep: Callable[[float, int], Awaitable[int]], clock: Callable[[], float]
    ) -> None:
        self._sweep = sweep
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._round: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._begin_round)

    def stop(self) -> None:
        """End, in the middle of a round if need be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._round is not None:
            self._round.cancel()

    def _begin_round(self) -> None:
        if self._round is None or self._round.done():
            self._round = asyncio.ensure_future(self.sweep())
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._begin_round)

    async def sweep(self) -> None:
        """Remove everything that is dead now, in small steps."""
        try:
            while await self._sweep(self._clock(), STEP) == STEP:
                await asyncio.sleep(0)
        except SessionUnavailable as error:
            log.warning("expired sessions were not removed: %s", error.what)
