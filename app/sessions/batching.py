"""Putting together what many requests ask of a store at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from app.sessions.counters import BUSY, Calls
from app.sessions.errors import SessionUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Result = TypeVar("Result")

MAX_BATCH = 500
"""Items of one store call: a bound for the store's sake; a loop's turn rarely brings as many."""

MAX_BATCHES = 2
"""Calls of one kind in flight: while the store works on one, the next is put together."""


NEGLIGIBLE = 0.05
"""Part of the time-out that a request may have waited before without a deadline of its own."""


class _Waiter(NamedTuple, Generic[Item, Answer]):
    item: Item
    since: float
    future: asyncio.Future[Answer]


class Batcher(Generic[Item, Answer]):
    """Sends together what arrives in one turn of the loop, or while other batches are in flight.

    Nobody joins a batch that was already sent. As long as items come one by one, each goes at once.
    *send* gets a batch and the seconds that its first item has waited. *store* is for messages.
    *calls* is told of those who gave up waiting.
    """

    def __init__(
        self,
        send: Callable[[list[Item], float], Awaitable[Sequence[Answer]]],
        timeout: float | None,
        store: str,
        calls: Calls,
    ) -> None:
        self._send = send
        self._store = store
        self._calls = calls
        # An item that waited longer than this for a batch to end fails with it, so that nobody
        # waits longer than the time-out in all.
        self._timeout = float("inf") if timeout is None else timeout
        self._max_wait = self._timeout / 2
        self._waiting: list[_Waiter[Item, Answer]] = []
        self._sending: asyncio.Task[None] | None = None  # starts in the loop's next turn
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._last_was_single = True

    async def submit(self, item: Item, waited: float = 0.0) -> Answer:
        """Send *item*, alone or with others, and return what was answered to it.

        Its deadline is nearer by the seconds it has *waited* already. Raises `SessionUnavailable`.
        """
        if self._last_was_single and not self._in_flight and self._sending is None:
            self._in_flight = 1
            try:
                return (await self._send([item], waited))[0]
            finally:
                self._in_flight -= 1
                self._send_soon()
        future = self._enqueue(item)
        self._send_soon()
        try:
            if waited < self._timeout * NEGLIGIBLE:
                return await future
            return await self._in_time(future, waited)
        finally:
            del future  # a failed one refers to this frame

    async def submit_all(self, items: Sequence[Item], waited: float = 0.0) -> list[Answer]:
        """Send *items* together with others and return what was answered to each."""
        futures = [self._enqueue(item) for item in items]
        self._send_soon()
        try:
            return await self._in_time(asyncio.gather(*futures), waited)
        finally:
            del futures

    async def stop(self) -> None:
        """Give up what is in flight and what waits; who waits gets `SessionUnavailable`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sending = None  # which may not have begun
        for waiter in self._waiting:
            _fail(waiter.future, f"{self._store}: it was closed")
        self._waiting = []

    async def _in_time(self, answer: asyncio.Future[Result], waited: float) -> Result:
        """Await *answer* until a deadline of its own, for that of the batch is everybody's."""
        try:
            async with asyncio.timeout(self._timeout - waited):
                return await answer
        except TimeoutError:
            self._calls.failures[BUSY] += 1
            raise SessionUnavailable(f"{self._store}: no answer within {self._timeout} s") from None
        finally:
            del answer

    def _enqueue(self, item: Item) -> asyncio.Future[Answer]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append(_Waiter(item, loop.time(), future))
        return future

    def _send_soon(self) -> None:
        """See to it that those who wait are sent, as soon as a call may be."""
        if self._waiting and self._sending is None and self._in_flight < MAX_BATCHES:
            self._sending = asyncio.get_running_loop().create_task(self._send_waiting())
            self._tasks.add(self._sending)
            self._sending.add_done_callback(self._tasks.discard)

    async def _send_waiting(self) -> None:
        self._sending = None
        self._in_flight += 1
        time = asyncio.get_running_loop().time
        try:
            while self._waiting:
                now = time()
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                self._last_was_single = len(batch) == 1
                # What a request gave up while it waited was refused; it must not happen later.
                batch = [waiter for waiter in batch if not waiter.future.done()]
                while batch and now - batch[0].since > self._max_wait:
                    self._calls.failures[BUSY] += 1
                    _fail(
                        batch.pop(0).future,
                        f"{self._store}: it did not answer those before in time",
                    )
                if batch:
                    await self._send_batch(batch, now - batch[0].since)
        except BaseException:
            for waiter in self._waiting:
                _fail(waiter.future, f"{self._store}: it is not asked any more")
            self._waiting = []
            raise
        finally:
            self._in_flight -= 1

    async def _send_batch(self, batch: list[_Waiter[Item, Answer]], waited: float) -> None:
        try:
            answers = await self._send([waiter.item for waiter in batch], waited)
        except SessionUnavailable as error:
            what = error.what
        except BaseException as error:
            # Whatever it is, nobody may wait for an answer that never comes.
            what = f"{self._store}: it failed with {type(error).__name__}"
            for waiter in batch:
                _fail(waiter.future, what)
            raise
        else:
            for waiter, answer in zip(batch, answers, strict=True):
                if not waiter.future.done():
                    waiter.future.set_result(answer)
            return
        for waiter in batch:
            _fail(waiter.future, what)


def _fail(future: asyncio.Future[Answer], what: str) -> None:
    # An exception of its own for each: raised in several tasks, one would gather all their frames.
    if not future.done():
        future.set_exception(SessionUnavailable(what))
