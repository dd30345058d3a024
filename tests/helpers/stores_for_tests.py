"""Stores that watch, fail and wait on command, around a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from stores import MemoryStore, Store, StoreUnavailable
from stores.contract import Change, Count, Outcome, Page, Record, Unreadable


class SpyStore(Store):
    """Notes every operation in `calls`: ("load", [ids]), ("write", ["Create", ...]), ..."""

    timeout = 2.0
    shared = False

    def __init__(self, inner: Store | None = None) -> None:
        self.inner = MemoryStore() if inner is None else inner
        self.calls: list[tuple[str, list[object]]] = []

    @property
    def name(self) -> str:
        return "spy:"

    @property
    def kinds(self) -> list[str]:
        """The operations since the last look, as words: "load", "Create", "Update", "Delete"."""
        words: list[str] = []
        for operation, items in self.calls:
            if operation == "load":
                words.append("load")
            elif operation == "write":
                words += [type(item).__name__ for item in items]
        self.calls.clear()
        return words

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def ping(self) -> None:
        await self.inner.ping()

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        self.calls.append(("load", list(ids)))
        return await self.inner.load(ids)

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        self.calls.append(("write", list(changes)))
        return await self.inner.write(changes)

    async def sweep(self, now: float, limit: int) -> int:
        return await self.inner.sweep(now, limit)

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        self.calls.append(("scan", [after]))
        return await self.inner.scan(after, limit)

    async def count(self, *, exact: bool = False) -> Count:
        return await self.inner.count(exact=exact)


class FaultyStore(SpyStore):
    """Fails on demand.

    `fail[operation]` is an exception to raise instead of working; `fail_after[operation]` one to
    raise when the work is done; `gate[operation]` an event to wait for before working, and
    `waiting` the number of calls that do.
    """

    def __init__(self, inner: Store | None = None) -> None:
        super().__init__(inner)
        self.fail: dict[str, Exception | Callable[[], Exception]] = {}
        self.fail_after: dict[str, Exception] = {}
        self.gate: dict[str, asyncio.Event] = {}
        self.waiting = 0

    @property
    def name(self) -> str:
        return "faulty:"

    def break_down(self, *operations: str) -> None:
        """Let these operations (all, if none is named) fail from now on."""
        for operation in operations or ("open", "ping", "load", "write"):
            self.fail[operation] = StoreUnavailable("out of order")

    def mend(self) -> None:
        self.fail.clear()
        self.fail_after.clear()
        self.gate.clear()
        self.timeout = type(self).timeout

    async def _before(self, operation: str) -> None:
        if operation in self.gate:
            self.waiting += 1
            try:
                await self.gate[operation].wait()
            finally:
                self.waiting -= 1
        if operation in self.fail:
            error = self.fail[operation]
            raise error if isinstance(error, Exception) else error()

    def _after(self, operation: str) -> None:
        if operation in self.fail_after:
            raise self.fail_after[operation]

    async def open(self) -> None:
        await self._before("open")
        await super().open()

    async def ping(self) -> None:
        await self._before("ping")
        await super().ping()

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        await self._before("load")
        found = await super().load(ids)
        self._after("load")
        return found

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        await self._before("write")
        outcomes = await super().write(changes)
        self._after("write")
        return outcomes
