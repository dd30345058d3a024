"""All records of a manager's store, for those who operate it: counted, gone through, removed.

Whatever goes wrong in the store is `SessionUnavailable`, as for requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, TypeVar

from app.sessions.failures import failure, wrong
from app.sessions.gateway import Gateway
from app.sessions.soundness import flaw_of, is_sound
from stores.contract import (
    Change,
    Count,
    Delete,
    Outcome,
    Page,
    Record,
    Resealed,
    Resealing,
    Unopened,
    Unreadable,
)

Item = TypeVar("Item")

CHUNK = 500
"""Records that are asked for, or removed, at a time."""

RESEALED = 100
"""Records that are read and sealed anew at a time."""


Found: TypeAlias = Record | Unreadable | Unopened


class Records:
    """What is in the store, whoever's it is."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self._gateway = gateway
        self._store = gateway.store
        self._calls = gateway.counters.calls
        self._clock = clock

    def leave_expired(self) -> None:
        """Let no expired record be removed but by `sweep`; said before the store is opened."""
        self._gateway.sweeps = False

    async def scan(self, after: str | None = None, limit: int = CHUNK) -> Page:
        """Return the next step of a scan, see `Store.scan`, within the store's deadline."""
        page = await self._gateway.call("scan", self._store.scan, after, limit)
        if not isinstance(page, Page):
            raise wrong(self._store, "scan()", page, "a Page", self._calls["scan"])
        return page._replace(found={id: _sound(id, found) for id, found in page.found.items()})

    async def count(self) -> Count:
        """Return how many records there are, by the store's cheapest way.

        The store bounds each of the steps in which it counts; all of them may take longer.
        """
        await self._gateway.open()
        try:
            return await self._store.count()
        except BaseException as error:
            raise failure(self._store, error, self._calls["count"]) from None

    async def load(self, ids: Sequence[bytes]) -> dict[bytes, Found]:
        """Return the records with these ids, those that cannot be read or opened as such."""
        found: dict[bytes, Found] = {}
        for chunk in _chunks(ids):
            answers = await self._gateway.call("load", self._store.load, chunk)
            for id, answer in answers.items():
                if not isinstance(answer, Record | Unreadable | Unopened):
                    raise wrong(self._store, "load()", answer, "a Record", self._calls["load"])
                found[id] = _sound(id, answer)
        return found

    async def remove(self, ids: Iterable[bytes]) -> None:
        """Remove these records."""
        await self.write([Delete(id) for id in ids])

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply changes; return what became of each."""
        outcomes: list[Outcome] = []
        for chunk in _chunks(changes):
            outcomes += await self._gateway.write_all(chunk)
        return outcomes

    async def reseal(self, after: str | None = None, limit: int = RESEALED) -> Resealed:
        """Do one step of `Resealing`, within the store's deadline; the store is one."""
        assert isinstance(self._store, Resealing)
        return await self._gateway.call("write", self._store.reseal, after, limit)

    async def sweep(self, limit: int = CHUNK) -> int:
        """Remove at most *limit* expired records; return how many were removed."""
        return await self._gateway.call("sweep", self._store.sweep, self._clock(), limit)


def _sound(id: bytes, found: Found) -> Found:
    if not isinstance(found, Record) or is_sound(id, found):
        return found
    return Unreadable(flaw_of(found))


def _chunks(items: Sequence[Item]) -> Iterable[list[Item]]:
    return (list(items[start : start + CHUNK]) for start in range(0, len(items), CHUNK))
