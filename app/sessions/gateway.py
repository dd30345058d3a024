"""The way to a store: opened when first used, in batches, within a deadline, failing in one way."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from app.sessions.batching import Batcher
from app.sessions.errors import SessionUnavailable
from app.sessions.sweeper import Sweeper
from stores.contract import Change, ConfigurationError, Outcome, Record, Store, StoreUnavailable

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Gateway:
    """All traffic of one manager with its store.

    Whatever goes wrong in the store, and taking longer than its `timeout`, is `SessionUnavailable`.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._never_waits = store.timeout is None  # so there is nothing to put together
        self._opened = False
        self._opening: asyncio.Task[None] | None = None
        self._loads = Batcher(self._send_loads, store.timeout)
        self._writes = Batcher(self._send_writes, store.timeout)
        self._sweeper = Sweeper(self._sweep, clock)

    async def load(self, id: bytes) -> Record | None:
        """Return the record of *id*, read after this call began."""
        if not self._opened:
            await self.open()
        if self._never_waits:
            try:
                answer = (await self.store.load((id,))).get(id)
            except Exception as error:
                raise self._unavailable(error) from None
            return self._or_raise(answer)
        return self._or_raise(await self._loads.submit(id))

    async def load_each(self, ids: Sequence[bytes]) -> list[Record | None]:
        """Return the record of each id, from one call of the store."""
        if not self._opened:
            await self.open()
        return [self._or_raise(answer) for answer in await self._send_loads(ids)]

    async def write(self, change: Change) -> Outcome:
        """Apply *change*; when this returns, the store has acknowledged it."""
        if not self._opened:
            await self.open()
        if self._never_waits:
            try:
                outcomes = await self.store.write((change,))
            except Exception as error:
                raise self._unavailable(error) from None
            return self._or_raise(outcomes[0])
        return self._or_raise(await self._writes.submit(change))

    async def ping(self) -> None:
        """Return when the store is open and answers."""
        if not self._opened:
            await self.open()
        await self._guard(self.store.ping())

    async def open(self) -> None:
        """Open the store unless it is open; who comes while it is being opened waits along."""
        if self._opened:
            return
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close the store; it is opened again if it is used again."""
        self._sweeper.stop()
        if self._opening is not None:
            self._opening.cancel()
        self._opened = False
        await self.store.close()

    async def _open(self) -> None:
        try:
            await self._guard(self.store.open())
            self._opened = True
            self._sweeper.start()
        finally:
            self._opening = None

    async def _send_loads(
        self, ids: Sequence[bytes], waited: float = 0.0
    ) -> Sequence[Record | StoreUnavailable | None]:
        found = await self._guard(self.store.load(list(dict.fromkeys(ids))), waited)
        return [found.get(id) for id in ids]

    async def _send_writes(
        self, changes: Sequence[Change], waited: float = 0.0
    ) -> Sequence[Outcome | StoreUnavailable]:
        return await self._guard(self.store.write(changes), waited)

    async def _sweep(self, now: float, limit: int) -> int:
        return await self._guard(self.store.sweep(now, limit))

    def _or_raise(self, answer: Answer | StoreUnavailable) -> Answer:
        """Return *answer*; raise what a part of the store failed with."""
        if isinstance(answer, StoreUnavailable):
            raise self._unavailable(answer)
        return answer

    async def _guard(self, operation: Awaitable[Answer], waited: float = 0.0) -> Answer:
        """Await a store operation; its deadline is nearer by the seconds already waited."""
        timeout = self.store.timeout
        try:
            if timeout is None:
                return await operation
            async with asyncio.timeout(timeout - waited):
                return await operation
        except Exception as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> SessionUnavailable:
        if isinstance(error, StoreUnavailable | ConfigurationError):
            reason = str(error)
        elif isinstance(error, TimeoutError):
            reason = f"no answer within {self.store.timeout} s"
        else:
            # Not the error's text: a driver's may quote what it was given.
            reason = f"it failed with {type(error).__name__}"
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("store %s: %s\n%s", self.store.name, reason, frames)
        return SessionUnavailable(f"store {self.store.name}: {reason}")
