"""The way to a store: opened when first used, in batches, within a deadline, failing in one way."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from app.sessions import token
from app.sessions.batching import Batcher
from app.sessions.errors import SessionUnavailable
from app.sessions.sweeper import Sweeper
from stores.contract import (
    Change,
    ConfigurationError,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
)

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


MAX_TOLD = 10_000
"""Unreadable records that the log tells of, each once."""


class Gateway:
    """All traffic of one manager with its store.

    Whatever goes wrong in the store, and taking longer than its `timeout`, is `SessionUnavailable`.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._never_waits = store.timeout is None  # so there is nothing to put together
        self._opened = False
        self._opening: asyncio.Task[None] | None = None
        self._loads = Batcher(self._send_loads, store.timeout, f"store {store.name}")
        self._writes = Batcher(self._send_writes, store.timeout, f"store {store.name}")
        self._sweeper = Sweeper(self._sweep, clock)
        self._told_unreadable: set[bytes] = set()

    async def load(self, id: bytes) -> Record | None:
        """Return the record of *id*, read after this call began; `None` if it cannot be read.

        Raises `SessionUnavailable`.
        """
        waited = 0.0 if self._opened else await self._open_first()
        if self._never_waits:
            try:
                answer = (await self.store.load((id,))).get(id)
            except Exception as error:
                raise self._unavailable(error) from None
        else:
            answer = await self._loads.submit(id, waited)
        return answer if answer is None or type(answer) is Record else self._resolve(id, answer)

    async def load_each(self, ids: Sequence[bytes]) -> list[Record | None]:
        """Return the record of each id, or `None`. Raises `SessionUnavailable`."""
        if not self._opened:
            await self.open()
        if self._never_waits:
            answers = await self._send_loads(ids)
        else:
            answers = await self._loads.submit_all(ids)
        return [self._resolve(id, answer) for id, answer in zip(ids, answers, strict=True)]

    async def write(self, change: Change, waited: float = 0.0) -> Outcome:
        """Apply *change*; when this returns, the store has acknowledged it.

        The deadline is nearer by the seconds that the request has *waited*. Raises
        `SessionUnavailable`.
        """
        if not self._opened:
            waited += await self._open_first()
        if self._never_waits:
            (answer,) = await self._send_writes((change,))
        else:
            answer = await self._writes.submit(change, waited)
        if isinstance(answer, StoreUnavailable):
            raise self._unavailable(answer)
        return answer

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

    async def _open_first(self) -> float:
        """Open the store; return the seconds that took."""
        began = time.monotonic()
        await self.open()
        return time.monotonic() - began

    async def _send_loads(
        self, ids: Sequence[bytes], waited: float = 0.0
    ) -> Sequence[Record | Unreadable | StoreUnavailable | None]:
        found = await self._guard(self.store.load(list(dict.fromkeys(ids))), waited)
        return [found.get(id) for id in ids]

    async def _send_writes(
        self, changes: Sequence[Change], waited: float = 0.0
    ) -> Sequence[Outcome | StoreUnavailable]:
        outcomes = await self._guard(self.store.write(changes), waited)
        if len(outcomes) != len(changes):  # nobody can tell which change has which
            raise SessionUnavailable(
                f"store {self.store.name}: write() returned {len(outcomes)} outcomes for "
                f"{len(changes)} changes; it must return one each"
            )
        return outcomes

    async def _sweep(self, now: float, limit: int) -> int:
        return await self._guard(self.store.sweep(now, limit))

    def _resolve(
        self, id: bytes, answer: Record | Unreadable | StoreUnavailable | None
    ) -> Record | None:
        """Return what was found; tell of a record that cannot be read, once.

        Raises what a part of the store failed with.
        """
        if isinstance(answer, StoreUnavailable):
            raise self._unavailable(answer)
        if not isinstance(answer, Unreadable):
            return answer
        if id not in self._told_unreadable and len(self._told_unreadable) < MAX_TOLD:
            self._told_unreadable.add(id)
            log.error(
                "store %s: the session %s cannot be read and counts as unknown: %s",
                self.store.name,
                token.public_id(id),
                answer.reason,
            )
        return None

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
