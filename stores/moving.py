"""Serving while sessions move from one store to another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from stores import moving_scan
from stores.contract import (
    Change,
    ConfigurationError,
    Count,
    Outcome,
    Page,
    Record,
    Store,
    StoreUnavailable,
)
from stores.moving_changes import MovingChanges
from stores.moving_look import Answer, Aside
from stores.moving_mark import is_mark

log = logging.getLogger(__name__)


class MovingStore(Store):
    """The sessions of two stores: those in *new*, and those that only *old* has yet.

    A session is looked for in *new*, then in *old*. New ones begin in *new*; one that only *old*
    has is brought to *new* when it is changed, and stays in *old* as it was. The end of a session
    leaves a mark in *new* until the session would have expired, so that no copy of it that comes
    later opens anything.

    With `moves=False`, a change stays where the session is and new ones begin in *old*. All
    processes that serve have to be of this kind before the first one moves sessions:
    stores/README.md says in which order to deploy. Raises `ConfigurationError`.
    """

    def __init__(self, new: Store, old: Store, *, moves: bool = True) -> None:
        for name, store in (("new", new), ("old", old)):
            if not isinstance(store, Store):
                raise ConfigurationError(
                    f"MovingStore takes two stores, and {name} is {type(store).__name__}: "
                    "write MovingStore(open_store(new), open_store(old))"
                )
        if new is old:
            raise ConfigurationError("MovingStore takes two stores, and was given one twice")
        self.new = new
        self.old = old
        self.moves = moves
        self.timeout = max((t for t in (new.timeout, old.timeout) if t is not None), default=None)
        self.shared = new.shared and old.shared
        self.expires_itself = new.expires_itself and old.expires_itself
        self._old = Aside(old, self.timeout)

    @property
    def on_evict(self) -> set[Callable[[Record], None]] | None:
        return self.new.on_evict  # what the old one evicts may have been moved

    @property
    def name(self) -> str:
        return f"{self.new.name}, moving from {self.old.name}"

    async def open(self) -> None:
        await self.new.open()
        try:
            await self._old.opened()
        except StoreUnavailable as error:
            log.warning("the store %s, from which sessions move, is away: %s", self.old.name, error)

    async def close(self) -> None:
        try:
            await self.new.close()
        finally:
            await self._old.close()

    async def ping(self) -> None:
        """Return when the new store answers: without the old one, all others are served."""
        await self.new.ping()

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Answer]:
        found = dict(await self.new.load(ids))
        if absent := [id for id in ids if id not in found]:
            found.update(await self._old.load(absent))
        return {id: answer for id, answer in found.items() if not is_mark(answer)}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        if not changes:
            return []
        return await MovingChanges(self.new, self._old, changes, self.moves).run()

    async def sweep(self, now: float, limit: int) -> int:
        removed = 0
        if not self.new.expires_itself:
            removed += await self.new.sweep(now, limit)
        if not self.old.expires_itself and removed < limit:
            removed += await (await self._old.opened()).sweep(now, limit - removed)
        return removed

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        return await moving_scan.scan(self.new, await self._old.opened(), after, limit)

    async def count(self, *, exact: bool = False) -> Count:
        if exact:
            return await super().count(exact=True)
        # Most are in both at the end, and in the old one at the beginning.
        counts = [await store.count() for store in (self.new, await self._old.opened())]
        return Count(max(count.number for count in counts), False)
