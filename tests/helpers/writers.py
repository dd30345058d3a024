"""A steady load of writes that knows what the store acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

from stores import Store, StoreUnavailable
from stores.contract import Outcome, Update
from tests.helpers.records import load_record, make_record


class Writer:
    """Adds one key after the other to a session; knows when each was acknowledged, or was not."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.record = make_record()
        self.acknowledged: dict[str, float] = {}
        self.failed: list[float] = []

    async def run(self, stop: asyncio.Event) -> None:
        for n in itertools.count():
            if stop.is_set():
                return
            try:
                outcome = await self.store.write([Update(self.record.id, {f"k{n}": n})])
                assert outcome == [Outcome.DONE]
                self.acknowledged[f"k{n}"] = time.monotonic()
            except StoreUnavailable:
                self.failed.append(time.monotonic())
                await asyncio.sleep(0.05)

    async def lost(self) -> list[float]:
        """Return when the keys that are not there any more had been acknowledged."""
        found = (await load_record(self.store, self.record.id)).data
        return [at for key, at in self.acknowledged.items() if key not in found]


async def until_written(writers: Sequence[Writer], more: int) -> None:
    """Return when each of the writers has had so many more writes acknowledged."""
    goals = [len(writer.acknowledged) + more for writer in writers]
    await _until(
        lambda: all(len(w.acknowledged) >= goal for w, goal in zip(writers, goals, strict=True))
    )


async def until_failed(writers: Sequence[Writer]) -> None:
    """Return when each of the writers has had another write refused."""
    before = [len(writer.failed) for writer in writers]
    await _until(lambda: all(len(w.failed) > n for w, n in zip(writers, before, strict=True)))


async def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline, "the load did not go on"
        await asyncio.sleep(0.02)
