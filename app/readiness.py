"""Whether the service can work: asked of the stores once for all who ask at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from app.sessions.errors import SessionUnavailable
from app.sessions.manager import SessionManager

log = logging.getLogger(__name__)

GOOD_FOR = 1.0
"""Seconds for which an answer is given again."""


class Readiness:
    """Knows which managers' stores answer. The log says why one does not, when that begins."""

    def __init__(
        self, managers: Sequence[SessionManager], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stopping = False
        """Set when the service was told to stop: nothing new is to come here."""
        self._managers = managers
        self._clock = clock
        self._asking: asyncio.Task[list[str]] | None = None
        self._failing: list[str] = []
        self._asked = float("-inf")

    async def failing(self) -> list[str]:
        """Return the cookie names of the managers whose store does not answer."""
        if self._asking is None:
            if self._clock() - self._asked < GOOD_FOR:
                return self._failing
            self._asking = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> list[str]:
        try:
            results = await asyncio.gather(*map(_problem, self._managers))
            failing = [name for name, problem in results if problem]
            for name, problem in results:
                if problem and name not in self._failing:
                    log.warning("not ready: sessions of cookie %s: %s", name, problem)
                elif not problem and name in self._failing:
                    log.info("ready again: sessions of cookie %s", name)
            self._failing, self._asked = failing, self._clock()
            return failing
        finally:
            self._asking = None


async def _problem(manager: SessionManager) -> tuple[str, str]:
    try:
        await manager.ping()
    except SessionUnavailable as error:
        return manager.cookie.name, error.what
    return manager.cookie.name, ""
