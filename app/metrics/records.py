"""How many records the stores have: asked seldom, so that no number of scrapes costs them much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from app.sessions.errors import SessionUnavailable
from app.sessions.manager import SessionManager

GOOD_FOR = 60.0
"""Seconds for which a number, or that there is none, is told again."""

PATIENCE = 0.5
"""Seconds for which a scrape waits for the stores; a later answer is for the next one."""


class RecordEstimates:
    """The last number of each manager's store."""

    def __init__(
        self,
        managers: Sequence[SessionManager],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._managers = managers
        self._clock = clock
        self._numbers: dict[SessionManager, int | None] = {}
        self._asked: dict[SessionManager, float] = {}
        self._asking: dict[SessionManager, asyncio.Task[None]] = {}

    def of(self, manager: SessionManager) -> int | None:
        """Return about how many records the store of *manager* has, if that is known."""
        return self._numbers.get(manager)

    async def refresh(self) -> None:
        """Ask those whose number is too old, one question to each at a time."""
        now = self._clock()
        for manager in self._managers:
            is_old = now - self._asked.get(manager, float("-inf")) >= GOOD_FOR
            if is_old and manager not in self._asking:
                self._asked[manager] = now
                self._asking[manager] = asyncio.ensure_future(self._ask(manager))
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=PATIENCE)

    async def stop(self) -> None:
        """Wait for no answer any more."""
        for task in tuple(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _ask(self, manager: SessionManager) -> None:
        try:
            self._numbers[manager] = await manager.estimate()
        except SessionUnavailable:  # it is counted among the store's failures
            self._numbers[manager] = None
        finally:
            del self._asking[manager]
