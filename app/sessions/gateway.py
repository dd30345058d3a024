"""The way to a store: opened when first used, in batches, within a deadline, failing in one way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, NoReturn, TypeVar

from app.sessions.batching import Batcher
from app.sessions.counters import Calls, Counters
from app.sessions.errors import SessionUnavailable
from app.sessions.events import Events
from app.sessions.failures import failure, is_cancelled, refuse, too_late, wrong
from app.sessions.soundness import is_sound
from app.sessions.sweeper import Sweeper
from app.sessions.unreadable import UnreadableRecords
from stores.contract import (
    Change,
    Count,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Unopened,
    Unreadable,
    deadline,
)

Answer = TypeVar("Answer")


class Gateway:
    """All traffic of one manager with its store.

    Whatever goes wrong in the store, and taking longer than its `timeout`, is `SessionUnavailable`.
    *since* is the moment (`time.monotonic`) from which that time counts, this call's by default.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.time,
        events: Events | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.store = store
        self._events = events or Events("", clock)
        self.counters = counters or Counters()
        calls = self.counters.calls
        self._load_calls, self._write_calls = calls["load"], calls["write"]
        self._never_waits = store.timeout is None  # so there is nothing to put together
        self.closed = False
        """Whether it was closed and no request has begun since: those in flight open nothing."""
        self.sweeps = True
        """Whether expired records are removed in the background."""
        self._opened = False
        self._opening: asyncio.Task[None] | None = None
        name = f"store {store.name}"
        self._loads = Batcher(self._send_loads, store.timeout, name, self._load_calls)
        self._writes = Batcher(self._send_writes, store.timeout, name, self._write_calls)
        self._sweeper = Sweeper(self._sweep, clock)
        self.unreadable = UnreadableRecords(store, self._events, self._load_calls)

    @property
    def is_open(self) -> bool:
        return self._opened

    async def load(self, id: bytes, since: float | None = None) -> Record | None:
        """Return the record of *id*, read after this call began; `None` if it cannot be read.

        Raises `SessionUnavailable`.
        """
        if not self._opened:
            since = await self._open_for(since)
        if self._never_waits:
            began = perf_counter()
            try:
                answer = (await self.store.load((id,))).get(id)
            except BaseException as error:
                raise failure(self.store, error, self._load_calls) from None
            finally:
                self._load_calls.note(perf_counter() - began, 1)
        else:
            answer = await self._loads.submit(id, _passed(since))
        if answer is None or (type(answer) is Record and is_sound(id, answer)):
            return answer
        return self.unreadable.resolve(id, answer)

    async def is_unreadable(self, id: bytes, since: float | None = None) -> bool:
        """Tell whether there is a record of *id* that cannot be read.

        Raises `SessionUnavailable`.
        """
        if not self._opened:
            since = await self._open_for(since)
        (answer,) = await self._send_loads((id,), _passed(since))
        return answer is not None and self.unreadable.resolve(id, answer) is None

    async def load_each(
        self, ids: Sequence[bytes], since: float | None = None, *, opened: bool = True
    ) -> list[Record | None]:
        """Return the record of each id, or `None`. Raises `SessionUnavailable`.

        Who looks at no value says so by *opened*: then a record whose values do not open is
        returned as it is kept.
        """
        if not self._opened:
            since = await self._open_for(since)
        if self._never_waits:
            answers = await self._send_loads(ids)
        else:
            answers = await self._loads.submit_all(ids, _passed(since))
        if not opened:
            answers = [a.record if isinstance(a, Unopened) else a for a in answers]
        resolve = self.unreadable.resolve
        return [resolve(id, answer) for id, answer in zip(ids, answers, strict=True)]

    async def write(self, change: Change, since: float | None = None) -> Outcome:
        """Apply *change*; when this returns, the store has acknowledged it.

        Raises `SessionUnavailable`.
        """
        if not self._opened:
            since = await self._open_for(since)
        if self._never_waits:
            began = perf_counter()
            try:
                outcomes = await self.store.write((change,))
                outcome = outcomes[0] if len(outcomes) == 1 else refuse(len(outcomes), 1)
            except BaseException as error:
                raise failure(self.store, error, self._write_calls) from None
            finally:
                self._write_calls.note(perf_counter() - began, 1)
        else:
            outcome = await self._writes.submit(change, _passed(since))
        if type(outcome) is Outcome:
            return outcome
        self._raise_wrong(outcome)

    async def write_all(
        self, changes: Sequence[Change], since: float | None = None
    ) -> list[Outcome]:
        """Apply *changes* together, in any order; return what became of each.

        Raises `SessionUnavailable` if that is not known of one of them.
        """
        if len(changes) == 1:
            return [await self.write(changes[0], since)]
        if not changes:
            return []
        if not self._opened:
            since = await self._open_for(since)
        if self._never_waits:
            answers = await self._send_writes(changes, 0.0)
        else:
            answers = await self._writes.submit_all(changes, _passed(since))
        return [
            answer if type(answer) is Outcome else self._raise_wrong(answer) for answer in answers
        ]

    async def ping(self) -> None:
        """Return when the store is open and answers."""
        since = time.monotonic()
        if not self._opened:
            await self.open()
        await self._call(self.counters.calls["ping"], 1, _passed(since), self.store.ping)

    async def call(
        self, name: str, operation: Callable[..., Awaitable[Answer]], *arguments: Any
    ) -> Answer:
        """Await a further operation, which counts as *name*. Raises `SessionUnavailable`."""
        since = None if self._opened else await self._open_for(None)
        return await self._call(self.counters.calls[name], 1, _passed(since), operation, *arguments)

    async def count(self) -> int | None:
        """Return about how many records there are; `None` where only a look at all would tell."""
        if type(self.store).count is Store.count:
            return None
        answer = await self.call("count", self.store.count)
        if not isinstance(answer, Count):
            raise wrong(self.store, "count()", answer, "a Count", self.counters.calls["count"])
        return answer.number

    async def open(self) -> None:
        """Open the store unless it is open; who comes while it is being opened waits along."""
        self.closed = False
        if self._opened:
            return
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        opening = self._opening
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled() and not is_cancelled():
                raise SessionUnavailable(f"store {self.store.name}: it was closed") from None
            raise

    async def close(self) -> None:
        """Close the store; a request that begins later opens it again."""
        self.closed = True
        self._sweeper.stop()
        if self._opening is not None:
            self._opening.cancel()
        self._opened = False
        await self._loads.stop()
        await self._writes.stop()
        if self.store.on_evict is not None:
            self.store.on_evict.discard(self._events.tell_evicted)
        await self.store.close()

    async def _open_for(self, since: float | None) -> float:
        """Open the store for a call that waits *since* then, or since now; return which."""
        if self.closed:
            raise SessionUnavailable(f"store {self.store.name}: it was closed")
        since = time.monotonic() if since is None else since
        await self.open()
        return since

    async def _open(self) -> None:
        try:
            await self._call(self.counters.calls["open"], 1, 0.0, self.store.open)
            self._opened = True
            if self.store.on_evict is not None:
                self.store.on_evict.add(self._events.tell_evicted)
            if self.sweeps and not self.store.expires_itself:
                self._sweeper.start()
        finally:
            self._opening = None

    async def _send_loads(
        self, ids: Sequence[bytes], waited: float = 0.0
    ) -> Sequence[Record | Unreadable | StoreUnavailable | None]:
        distinct = list(dict.fromkeys(ids))
        found = await self._call(self._load_calls, len(distinct), waited, self.store.load, distinct)
        try:
            return [found.get(id) for id in ids]
        except Exception as error:
            raise failure(self.store, error, self._load_calls) from None

    async def _send_writes(
        self, changes: Sequence[Change], waited: float
    ) -> Sequence[Outcome | StoreUnavailable]:
        # A tuple, which no store can empty or reorder.
        outcomes = await self._call(
            self._write_calls, len(changes), waited, self.store.write, tuple(changes)
        )
        try:
            if len(outcomes) != len(changes):
                refuse(len(outcomes), len(changes))
            return list(outcomes)
        except Exception as error:
            raise failure(self.store, error, self._write_calls) from None

    async def _sweep(self, now: float, limit: int) -> int:
        calls = self.counters.calls["sweep"]
        removed = await self._call(calls, 1, 0.0, self.store.sweep, now, limit)
        if isinstance(removed, int):  # a store of one's own may forget to return it
            self.counters.swept += removed
        return removed

    def _raise_wrong(self, outcome: object) -> NoReturn:
        raise wrong(self.store, "write()", outcome, "an Outcome", self._write_calls)

    async def _call(
        self,
        calls: Calls,
        items: int,
        waited: float,
        operation: Callable[..., Awaitable[Answer]],
        *arguments: Any,
    ) -> Answer:
        """Await a store operation; its deadline is nearer by the seconds already waited."""
        timeout = self.store.timeout
        if timeout is not None and waited >= timeout:
            raise too_late(self.store, calls)
        began = perf_counter()
        try:
            if timeout is None:
                return await operation(*arguments)
            async with asyncio.timeout(timeout - waited) as limit:
                before = deadline.set(limit.when())
                del limit  # it refers to the task, which may fail and refer to this frame
                try:
                    return await operation(*arguments)
                finally:
                    deadline.reset(before)
        except BaseException as error:
            raise failure(self.store, error, calls) from None
        finally:
            calls.note(perf_counter() - began, items)


def _passed(since: float | None) -> float:
    return 0.0 if since is None else time.monotonic() - since
