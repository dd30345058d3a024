"""The way to a store: opened when first used, in batches, within a deadline, failing in one way."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar

from app.sessions.batching import Batcher
from app.sessions.errors import SessionUnavailable
from app.sessions.events import Events
from app.sessions.soundness import flaw_of, is_sound
from app.sessions.sweeper import Sweeper
from app.sessions.unreadable import UnreadableRecords
from stores.contract import (
    Change,
    ConfigurationError,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
    deadline,
)

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Gateway:
    """All traffic of one manager with its store.

    Whatever goes wrong in the store, and taking longer than its `timeout`, is `SessionUnavailable`.
    *since* is the moment (`time.monotonic`) from which that time counts, this call's by default.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.time, events: Events | None = None
    ) -> None:
        self.store = store
        self._events = events or Events("", clock)
        self._never_waits = store.timeout is None  # so there is nothing to put together
        self.closed = False
        """Whether it was closed and no request has begun since: those in flight open nothing."""
        self._opened = False
        self._opening: asyncio.Task[None] | None = None
        name = f"store {store.name}"
        self._loads = Batcher(self._send_loads, store.timeout, name)
        self._writes = Batcher(self._send_writes, store.timeout, name)
        self._sweeper = Sweeper(self._sweep, clock)
        self._unreadable = UnreadableRecords(store.name, self._events)

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
            try:
                answer = (await self.store.load((id,))).get(id)
            except BaseException as error:
                raise self._failure(error) from None
        else:
            answer = await self._loads.submit(id, _passed(since))
        if answer is None or (type(answer) is Record and is_sound(id, answer)):
            return answer
        return self._resolve(id, answer)

    async def load_each(
        self, ids: Sequence[bytes], since: float | None = None
    ) -> list[Record | None]:
        """Return the record of each id, or `None`. Raises `SessionUnavailable`."""
        if not self._opened:
            since = await self._open_for(since)
        if self._never_waits:
            answers = await self._send_loads(ids)
        else:
            answers = await self._loads.submit_all(ids, _passed(since))
        return [self._resolve(id, answer) for id, answer in zip(ids, answers, strict=True)]

    async def write(self, change: Change, since: float | None = None) -> Outcome:
        """Apply *change*; when this returns, the store has acknowledged it.

        Raises `SessionUnavailable`.
        """
        if not self._opened:
            since = await self._open_for(since)
        if self._never_waits:
            try:
                outcomes = await self.store.write((change,))
                outcome = outcomes[0] if len(outcomes) == 1 else self._refuse(len(outcomes), 1)
            except BaseException as error:
                raise self._failure(error) from None
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
        await self._call(_passed(since), self.store.ping)

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
            if opening.cancelled() and not _is_cancelled():
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
            await self._call(0.0, self.store.open)
            self._opened = True
            if self.store.on_evict is not None:
                self.store.on_evict.add(self._events.tell_evicted)
            if not self.store.expires_itself:
                self._sweeper.start()
        finally:
            self._opening = None

    async def _send_loads(
        self, ids: Sequence[bytes], waited: float = 0.0
    ) -> Sequence[Record | Unreadable | StoreUnavailable | None]:
        found = await self._call(waited, self.store.load, list(dict.fromkeys(ids)))
        try:
            return [found.get(id) for id in ids]
        except Exception as error:
            raise self._failure(error) from None

    async def _send_writes(
        self, changes: Sequence[Change], waited: float
    ) -> Sequence[Outcome | StoreUnavailable]:
        # A tuple, which no store can empty or reorder.
        outcomes = await self._call(waited, self.store.write, tuple(changes))
        try:
            if len(outcomes) != len(changes):
                self._refuse(len(outcomes), len(changes))
            return list(outcomes)
        except Exception as error:
            raise self._failure(error) from None

    async def _sweep(self, now: float, limit: int) -> int:
        return await self._call(0.0, self.store.sweep, now, limit)

    def _refuse(self, outcomes: int, changes: int) -> Any:
        # Nobody can tell which change has which.
        raise StoreUnavailable(
            f"write() returned {outcomes} outcomes for {changes} changes; it must return one each"
        )

    def _resolve(self, id: bytes, answer: object) -> Record | None:
        """Return what was found; tell of a record that cannot be read, once.

        Raises what a part of the store failed with.
        """
        if answer is None:
            return answer
        if isinstance(answer, Record):
            if is_sound(id, answer):
                return answer
            answer = Unreadable(flaw_of(answer))
        if not isinstance(answer, Unreadable):
            raise self._wrong("load()", answer, "a Record")
        self._unreadable.tell(id, answer.reason)
        return None

    def _raise_wrong(self, outcome: object) -> NoReturn:
        raise self._wrong("write()", outcome, "an Outcome")

    def _wrong(self, operation: str, answer: object, right: str) -> SessionUnavailable:
        """Return what to raise for an answer that is a part of the store's error, or no answer."""
        if not isinstance(answer, StoreUnavailable):
            what = f"{operation} returned a {type(answer).__name__} where {right} belongs"
            answer = StoreUnavailable(what)
        return self._unavailable(answer)

    async def _call(
        self, waited: float, operation: Callable[..., Awaitable[Answer]], *arguments: Any
    ) -> Answer:
        """Await a store operation; its deadline is nearer by the seconds already waited."""
        timeout = self.store.timeout
        try:
            if timeout is None:
                return await operation(*arguments)
            if waited >= timeout:
                raise TimeoutError
            async with asyncio.timeout(timeout - waited) as limit:
                before = deadline.set(limit.when())
                del limit  # it refers to the task, which may fail and refer to this frame
                try:
                    return await operation(*arguments)
                finally:
                    deadline.reset(before)
        except BaseException as error:
            raise self._failure(error) from None

    def _failure(self, error: BaseException) -> BaseException:
        """Return what to raise for what a store raised: its own error, unless that ends the task.

        A `CancelledError` that nobody asked for is the store's own.
        """
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            return error
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            return error
        return self._unavailable(error)

    def _unavailable(self, error: BaseException) -> SessionUnavailable:
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


def _passed(since: float | None) -> float:
    return 0.0 if since is None else time.monotonic() - since


def _is_cancelled() -> bool:
    """Tell whether somebody cancelled the task that runs."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
