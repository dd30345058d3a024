"""Sessions in memory: the contract, the bound on their number, expiry."""

from __future__ import annotations

import logging
import time

import pytest

from stores import ConfigurationError, MemoryStore, Store
from stores.contract import Create, Delete, Update
from tests.helpers.records import make_record
from tests.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


@pytest.mark.gen_test
async def test_a_full_store_evicts_the_least_recently_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full store evicts the least recently used session, and the log says so."""
    store = MemoryStore(max_sessions=3)
    a, b, c, d = (make_record(data={"n": n}) for n in range(4))
    await store.write([Create(a), Create(b), Create(c)])
    await store.load([a.id])
    await store.write([Update(b.id, {"n": 9})])
    with caplog.at_level(logging.WARNING):
        await store.write([Create(d)])
    assert set(await store.load([a.id, b.id, c.id, d.id])) == {a.id, b.id, d.id}
    assert len(store) == 3
    assert "the memory store is full (3 sessions)" in caplog.text


@pytest.mark.gen_test
async def test_thousands_of_evictions_leave_a_few_lines_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore(max_sessions=10)
    with caplog.at_level(logging.WARNING):
        for _ in range(2110):
            await store.write([Create(make_record())])
    assert len(store) == 10
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 3


@pytest.mark.gen_test
async def test_a_sweep_goes_by_the_extended_time() -> None:
    store = MemoryStore()
    now = time.time()
    short, extended = make_record(expires=now + 60), make_record(expires=now + 60)
    await store.write([Create(short), Create(extended)])
    await store.write([Update(extended.id, expires=now + 600)])
    assert await store.sweep(now + 240, 10) == 1
    assert list(await store.load([short.id, extended.id])) == [extended.id]
    assert await store.sweep(now + 900, 10) == 1
    assert len(store) == 0


@pytest.mark.gen_test
async def test_sweeps_go_step_by_step_between_other_changes() -> None:
    """Sweeps take what died in one minute step by step, between other changes."""
    store = MemoryStore()
    died = 600_000.0
    dead = [make_record(expires=died) for _ in range(20)]
    alive = make_record(expires=died + 3600)
    await store.write([Create(record) for record in (*dead, alive)])
    assert await store.sweep(died + 120, 7) == 7
    left = list(await store.load([record.id for record in dead]))
    assert len(left) == 13
    late = make_record(expires=died + 1)
    await store.write([Delete(left[0]), Create(late)])
    assert [await store.sweep(died + 120, 7) for _ in range(3)] == [7, 6, 0]
    assert list(await store.load([r.id for r in (*dead, late, alive)])) == [alive.id]
    await store.write([Create(late)])  # into the minute that had been emptied
    assert await store.sweep(died + 120, 7) == 1


def test_a_store_for_no_session_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        MemoryStore(max_sessions=0)
