"""What the clock of the servers shows, for what they refuse and remove by it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from stores.redis.cluster import Cluster
from stores.redis.exchange import OneServer

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds after which the clock is looked at again."""

TOLERANCE = 3.0
"""Seconds by which the clocks may differ without a warning."""


class ServerClock:
    """The clock of one server; of several, the one that is furthest ahead.

    The loop's clock measures from one look to the next, so that a step of ours changes nothing.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._ahead: float | None = None  # of the loop's clock
        self._looked = -math.inf
        self._looking: asyncio.Task[None] | None = None
        self._warned = False
        self.behind = 0.0
        """Seconds by which our wall clock is behind the servers'; never less than zero."""

    def when(self, at: float) -> bytes:
        """Return what the servers' clock shows at this time of the loop; b"" when nobody knows."""
        return b"" if self._ahead is None else b"%.3f" % (at + self._ahead)

    def look_in_time(self, servers: OneServer | Cluster, now: float) -> None:
        """Look at the clock in the background if the last look was long before *now*."""
        if now - self._looked > INTERVAL and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_quietly(servers))

    async def look(self, servers: OneServer | Cluster) -> None:
        """Ask each server for its time. Raises an error of redis-py when none is reached."""
        loop = asyncio.get_running_loop()
        asked = self._looked = loop.time()
        answers = await servers.send_to_each((b"TIME",))
        ours = time.time()
        clocks = [int(a[0]) + int(a[1]) / 1e6 for a in answers if not isinstance(a, Exception)]
        if not clocks:
            self._warn_of_ignorance(answers)
            return
        # At most so far ahead, so that nothing is refused in time, and at least so far behind.
        self._ahead = max(clocks) - asked
        self.behind = max(0.0, max(clocks) - ours)
        self._warn(max((clock - ours for clock in clocks), key=abs))

    async def close(self) -> None:
        """End what runs in the background."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_quietly(self, servers: OneServer | Cluster) -> None:
        # A write that the server does not answer says so itself.
        with suppress(RedisError, RedisClusterException, OSError):
            await self.look(servers)

    def _warn_of_ignorance(self, answers: list[Any]) -> None:
        if not self._warned and any(isinstance(answer, ResponseError) for answer in answers):
            self._warned = True
            log.warning(
                "store %s: the server does not tell its time, so a write that was given up may "
                "still be applied later; grant its user +time",
                self._store,
            )

    def _warn(self, difference: float) -> None:
        if abs(difference) <= TOLERANCE:
            self._warned = False
        elif not self._warned:
            self._warned = True
            log.warning(
                "store %s: the server's clock is %.1f s %s this machine's; let both follow NTP",
                self._store,
                abs(difference),
                "ahead of" if difference > 0 else "behind",
            )
