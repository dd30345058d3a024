"""The way to a store: opened when first used, in batches, within a deadline, failing in one way."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.sessions.errors import SessionUnavailable
from stores.contract import Change, ConfigurationError, Outcome, Record, Store, StoreUnavailable

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MAX_BATCH = 500
"""Items of one store call: a bound for the store's sake; a loop's turn rarely brings as many."""

MAX_BATCHES = 2
"""Calls of one kind on their way to the store: while it works on one, the next is put together."""


class Gateway:
    """All traffic of one manager with its store.

    Whatever goes wrong in the store, and taking longer than its `timeout`, is `SessionUnavailable`.
    """

    def __init__(self, store: Store, opened: Callable[[], None] = lambda: None) -> None:
        self.store = store
        self._tell_opened = opened
        self._direct = store.timeout is None  # it never waits, so there is nothing to gather
        self._opened = False
        self._opening: asyncio.Task[None] | None = None
        self._loads = _Gatherer(self._send_loads, store.timeout)
        self._writes = _Gatherer(self._send_writes, store.timeout)

    async def load(self, id: bytes) -> Record | None:
        """Return the record of *id*, read after this call began."""
        if not self._opened:
            await self.open()
        if self._direct:
            try:
                answer = (await self.store.load((id,))).get(id)
            except Exception as error:
                raise self._unavailable(error) from None
            return self._or_raise(answer)
        return self._or_raise(await self._loads.ask(id))

    async def load_each(self, ids: Sequence[bytes]) -> list[Record | None]:
        """Return the record of each id, from one call of the store."""
        if not self._opened:
            await self.open()
        return [self._or_raise(answer) for answer in await self._send_loads(ids)]

    async def write(self, change: Change) -> Outcome:
        """Apply *change*; when this returns, the store has acknowledged it."""
        if not self._opened:
            await self.open()
        if self._direct:
            try:
                outcomes = await self.store.write((change,))
            except Exception as error:
                raise self._unavailable(error) from None
            return self._or_raise(outcomes[0])
        return self._or_raise(await self._writes.ask(change))

    async def sweep(self, now: float, limit: int) -> int:
        """Let the store remove up to *limit* dead records; return how many it did."""
        return await self._guard(self.store.sweep(now, limit))

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
        if self._opening is not None:
            self._opening.cancel()
        self._opened = False
        await self.store.close()

    async def _open(self) -> None:
        try:
            await self._guard(self.store.open())
            self._opened = True
            self._tell_opened()
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


class _Gatherer(Generic[Item, Answer]):
    """Sends together what arrives in one turn of the loop, or while other batches are on their way.

    Nobody joins a batch that was already sent. As long as items come one by one, each goes at once.
    """

    def __init__(
        self,
        send: Callable[[list[Item], float], Awaitable[Sequence[Answer]]],
        timeout: float | None,
    ) -> None:
        self._send = send
        # Who has waited longer than this for a batch to end fails with it, so that nobody waits
        # longer than the time-out in all.
        self._patience = float("inf") if timeout is None else timeout / 2
        self._waiting: list[tuple[Item, float, asyncio.Future[Answer]]] = []
        self._gathering: asyncio.Task[None] | None = None  # sends in the loop's next turn
        self._on_their_way = 0
        self._lone = True  # the last batch was of one item

    async def ask(self, item: Item) -> Answer:
        """Send *item*, alone or with others, and return what was answered to it."""
        if self._lone and not self._on_their_way and self._gathering is None:
            self._on_their_way = 1
            try:
                return (await self._send([item], 0.0))[0]
            finally:
                self._on_their_way -= 1
                self._gather()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, loop.time(), future))
        self._gather()
        try:
            return await future
        finally:
            del future  # a failed one refers to this frame

    def _gather(self) -> None:
        """See to it that those who wait are sent, as soon as a call may be."""
        if self._waiting and self._gathering is None and self._on_their_way < MAX_BATCHES:
            self._gathering = asyncio.get_running_loop().create_task(self._send_waiting())

    async def _send_waiting(self) -> None:
        self._gathering = None
        self._on_their_way += 1
        time = asyncio.get_running_loop().time
        try:
            while self._waiting:
                now = time()
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                self._lone = len(batch) == 1
                while batch and now - batch[0][1] > self._patience:
                    _fail(batch.pop(0)[2], "it did not answer those before in time")
                if batch:
                    await self._send_batch(batch, now - batch[0][1])
        finally:
            self._on_their_way -= 1

    async def _send_batch(
        self, batch: list[tuple[Item, float, asyncio.Future[Answer]]], waited: float
    ) -> None:
        try:
            answers = await self._send([item for item, _, _ in batch], waited)
        except SessionUnavailable as error:
            for _, _, future in batch:
                _fail(future, error.what)
            return
        for (_, _, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)


def _fail(future: asyncio.Future[Answer], what: str) -> None:
    # An exception of its own for each: raised in several tasks, one would gather all their frames.
    if not future.done():
        future.set_exception(SessionUnavailable(what))
