"""All records of a manager's store, for those who operate it: counted, gone through, removed.

Whatever goes wrong in the store is `SessionUnavailable`, as for requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from app.sessions.gateway import Gateway
from app.sessions.soundness import flaw_of, is_sound
from stores.contract import Change, Count, Delete, Outcome, Page, Record, Unreadable

Item = TypeVar("Item")

CHUNK = 500
"""Records that are asked for, or removed, at a time."""


class Records:
    """What is in the store, whoever's it is."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self._gateway = gateway
        self._clock = clock

    async def scan(self, after: str | None = None, limit: int = CHUNK) -> Page:
        """Return the next step of a scan, see `Store.scan`, within the store's deadline."""
        page = await self._gateway.call(self._gateway.store.scan, after, limit)
        return page._replace(found={id: _sound(id, found) for id, found in page.found.items()})

    async def count(self) -> Count:
        """Return how many records there are, by the store's cheapest way.

        The store bounds each of the steps in which it counts; all of them may take longer.
        """
        return await self._gateway.call(self._gateway.store.count, bounded=False)

    async def load(self, ids: Sequence[bytes]) -> dict[bytes, Record | Unreadable]:
        """Return the records with these ids, the unreadable ones as such."""
        found: dict[bytes, Record | Unreadable] = {}
        for chunk in _chunks(ids):
            answers = await self._gateway.call(self._gateway.store.load, chunk)
            for id, answer in answers.items():
                if isinstance(answer, Exception):
                    raise self._gateway.unavailable(answer)
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

    async def sweep(self, limit: int = CHUNK) -> int:
        """Remove at most *limit* expired records; return how many were removed."""
        return await self._gateway.call(self._gateway.store.sweep, self._clock(), limit)


def _sound(id: bytes, found: Record | Unreadable) -> Record | Unreadable:
    if isinstance(found, Unreadable) or is_sound(id, found):
        return found
    return Unreadable(flaw_of(found))


def _chunks(items: Sequence[Item]) -> Iterable[list[Item]]:
    return (list(items[start : start + CHUNK]) for start in range(0, len(items), CHUNK))
