"""Asking the old store, whose trouble is nobody's whose session is in the new one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from stores.contract import (
    Change,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
    deadline,
)

Answer: TypeAlias = Record | Unreadable | StoreUnavailable

KEPT = 0.1
"""Part of the time-out that is kept back from the old store, to answer to all others in."""


class Aside:
    """A store whose errors stand in the place of each answer."""

    def __init__(self, store: Store, timeout: float | None) -> None:
        self._store = store
        self._kept = 0.0 if timeout is None else KEPT * timeout
        self._is_open = False
        self._opening = asyncio.Lock()

    async def opened(self) -> Store:
        """Return the store; open it first if it could not be before. Raises `StoreUnavailable`."""
        if not self._is_open:
            async with self._opening:
                if not self._is_open:
                    await self._store.open()
                    self._is_open = True
        return self._store

    async def close(self) -> None:
        self._is_open = False
        await self._store.close()

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Answer]:
        if not ids:
            return {}
        try:
            async with asyncio.timeout_at(self._limit()):
                return await (await self.opened()).load(ids)
        except (StoreUnavailable, TimeoutError) as error:
            return dict.fromkeys(ids, self._explained(error))

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        if not changes:
            return []
        try:
            async with asyncio.timeout_at(self._limit()):
                return await (await self.opened()).write(changes)
        except (StoreUnavailable, TimeoutError) as error:
            return [self._explained(error)] * len(changes)

    def _limit(self) -> float | None:
        limit = deadline.get()
        return None if limit is None else limit - self._kept

    def _explained(self, error: Exception) -> StoreUnavailable:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return StoreUnavailable(f"{self._store.name}: {reason}")
