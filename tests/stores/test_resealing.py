"""Sealing with a newer key what is there, while others write: no change is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stores import EncryptedStore, MemoryStore, Store, StoreUnavailable
from stores.contract import (
    JSON,
    MAX_DATA,
    Change,
    Create,
    Delete,
    Outcome,
    Record,
    Resealed,
    Unopened,
    Unreadable,
    Update,
)
from tests.helpers.records import load_record, load_records, make_record
from tests.helpers.stores_for_tests import SpyStore

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

OLD, NEW = os.urandom(32), os.urandom(32)

DONE = Outcome.DONE


@asynccontextmanager
async def opened(inner: Store) -> AsyncIterator[tuple[EncryptedStore, EncryptedStore]]:
    """Yield the store as it was, and with the new key."""
    await inner.open()
    yield EncryptedStore(inner, {1: OLD}), EncryptedStore(inner, {2: NEW, 1: OLD})
    await inner.close()


async def reseal_all(store: EncryptedStore, limit: int = 100) -> list[Resealed]:
    steps = [await store.reseal(limit=limit)]
    while steps[-1].after is not None:
        steps.append(await store.reseal(steps[-1].after, limit))
    return steps


def left_of(steps: list[Resealed]) -> dict[bytes, str]:
    return {id: why for step in steps for id, why in step.left.items()}


@pytest.mark.gen_test(timeout=30)
async def test_a_change_while_it_seals_is_not_lost(own_store: Store) -> None:
    """Requests count up in records by turns while the step reads and writes; all counts stay."""
    async with opened(own_store) as (before, after):
        records = [make_record(data={"n": 0, "kept": [n], "gone": n}) for n in range(20)]
        await before.write([Create(record) for record in records])
        ids = [record.id for record in records]
        stop = asyncio.Event()
        written: dict[bytes, int] = dict.fromkeys(ids, 0)

        async def work(store: EncryptedStore, mine: list[bytes]) -> None:
            while not stop.is_set():
                updates = []
                for id in mine:
                    written[id] += 1
                    updates.append(Update(id, {"n": written[id]}, ["gone"]))
                assert await store.write(updates) == [DONE] * len(mine)
                await asyncio.sleep(0)

        async def seal() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                await reseal_all(after, limit=7)
            stop.set()

        # The one process seals with the old key still.
        await asyncio.gather(seal(), work(before, ids[::2]), work(after, ids[1::2]))
        assert not set(ids) & set(left_of(await reseal_all(after)))
        alone = EncryptedStore(after.inner, {2: NEW})
        found = await load_records(alone, ids)
        for n, id in enumerate(ids):
            assert found[id].data == {"n": written[id], "kept": [n]}
        await after.write([Delete(id) for id in ids])


class Meanwhile(SpyStore):
    """Lets something happen between the look at records and the write."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[Change] = []
        self.every_time = False

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        if self.changes:
            await self.inner.write(self.changes)
            if not self.every_time:
                self.changes = []
        return await super().write(changes)

    async def scan(self, after: str | None = None, limit: int = 500) -> Any:
        return await self.inner.scan(after, limit)


def sealed_by(store: EncryptedStore, update: Update) -> Change:
    change = store.sealed(update)
    assert change is not None
    return change


@pytest.mark.gen_test
async def test_what_changes_after_the_look_is_looked_at_again() -> None:
    inner = Meanwhile()
    async with opened(inner) as (before, after):
        record = make_record(data={"a": 1, "b": 2, "c": 3})
        await before.write([Create(record)])
        inner.changes = [sealed_by(before, Update(record.id, {"a": 10}, ["c"]))]
        (step,) = await reseal_all(after)
        assert (step.records, step.changed, step.left) == (1, 1, {})
        alone = EncryptedStore(inner, {2: NEW})
        assert (await load_record(alone, record.id)).data == {"a": 10, "b": 2}


@pytest.mark.gen_test
async def test_what_ends_after_the_look_stays_ended() -> None:
    inner = Meanwhile()
    async with opened(inner) as (before, after):
        record = make_record(data={"a": 1})
        await before.write([Create(record)])
        inner.changes = [Delete(record.id)]
        (step,) = await reseal_all(after)
        assert (step.changed, step.left) == (0, {})
        assert await after.load([record.id]) == {}


@pytest.mark.gen_test
async def test_what_never_rests_is_left_for_the_next_run() -> None:
    inner = Meanwhile()
    async with opened(inner) as (before, after):
        record = make_record(data={"a": 1})
        await before.write([Create(record)])
        numbers = iter(range(1000))

        async def write(changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
            await inner.inner.write([sealed_by(before, Update(record.id, {"a": next(numbers)}))])
            return await inner.inner.write(changes)

        inner.write = write  # type: ignore[method-assign]
        (step,) = await reseal_all(after)
        assert step.left == {record.id: "requests keep changing it"}
        assert isinstance((await after.load([record.id]))[record.id], Record)


@pytest.mark.gen_test
async def test_a_step_touches_only_what_is_stale() -> None:
    inner = SpyStore()
    inner.scan = inner.inner.scan  # type: ignore[method-assign]
    async with opened(inner) as (before, after):
        old, mixed, new = (make_record(data={"a": 1, "b": 2}) for _ in range(3))
        empty = make_record()
        await before.write([Create(old), Create(mixed), Create(empty)])
        await after.write([Create(new), Update(mixed.id, {"a": 10})])
        inner.calls.clear()
        (step,) = await reseal_all(after)
        assert (step.records, step.changed, step.left) == (4, 2, {})
        ((_, written),) = inner.calls
        assert {u.id: set(u.set) for u in written if isinstance(u, Update)} == {
            old.id: {"a", "b"},
            mixed.id: {"b"},
        }
        (again,) = await reseal_all(after)
        assert (again.records, again.changed) == (4, 0)
        assert [*(await load_records(EncryptedStore(inner, {2: NEW}), [old.id])).values()] == [old]


@pytest.mark.gen_test
async def test_plain_values_are_sealed_while_moving_in() -> None:
    async with opened(MemoryStore()) as (_, strict):
        data: dict[str, JSON] = {"a": [1, {"b": 2.0}], "c": None, "d": "x" * 1000}
        record = make_record(data=data)
        await strict.inner.write([Create(record)])
        assert left_of(await reseal_all(strict)) == {record.id: "a value is not sealed"}
        moving = EncryptedStore(strict.inner, {2: NEW}, accept_plain=True)
        (step,) = await reseal_all(moving)
        assert (step.changed, step.left) == (1, {})
        assert (await load_record(strict, record.id)).data == data


@pytest.mark.gen_test
async def test_what_cannot_be_sealed_is_told_and_stops_nothing() -> None:
    async with opened(MemoryStore()) as (before, after):
        fine, lost, large = (make_record(data={"a": 1}) for _ in range(3))
        await before.write([Create(fine)])
        await EncryptedStore(after.inner, {3: os.urandom(32)}).write([Create(lost)])
        large = large._replace(data={"a": "x" * (MAX_DATA - 100)})
        moving = EncryptedStore(after.inner, {2: NEW, 1: OLD}, accept_plain=True)
        await after.inner.write([Create(large)])
        (step,) = await reseal_all(moving)
        assert step.changed == 1
        assert step.left == {
            lost.id: "a value is sealed with key 3, which is not there",
            large.id: f"sealed, its values would take more than {MAX_DATA} bytes",
        }


@pytest.mark.gen_test
async def test_a_scan_shows_what_does_not_open() -> None:
    """So that an operator can find these; what they are besides their values is there."""
    async with opened(MemoryStore()) as (before, after):
        old, new = make_record(data={"a": 1}, user="ada"), make_record(data={"b": 2})
        await before.write([Create(old)])
        await after.write([Create(new)])
        alone = EncryptedStore(after.inner, {2: NEW})
        found = (await alone.scan()).found
        assert found[new.id] == new
        answer = found[old.id]
        assert isinstance(answer, Unopened)
        assert answer.record._replace(data={}) == old._replace(data={})
        assert str(answer) == "a value is sealed with key 1, which is not there"
        assert (await alone.count(exact=True)).number == 2


class Garbled(MemoryStore):
    async def scan(self, after: str | None = None, limit: int = 500) -> Any:
        page = await super().scan(after, limit)
        found: Mapping[bytes, Any] = {**page.found, b"id": Unreadable("it is garbled")}
        return page._replace(found=found)


@pytest.mark.gen_test
async def test_an_unreadable_record_is_left() -> None:
    async with opened(Garbled()) as (before, after):
        record = make_record(data={"a": 1})
        await before.write([Create(record)])
        (step,) = await reseal_all(after)
        assert (step.changed, step.left) == (1, {b"id": "it is garbled"})
