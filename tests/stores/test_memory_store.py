"""Sessions in memory: the contract, the bound on their number, expiry."""

from __future__ import annotations

import gc
import logging
import time
import tracemalloc
from typing import Any

import pytest

from app import SessionManager
from app.sessions.errors import SessionTooLarge
from stores import ConfigurationError, MemoryStore, Store
from stores.contract import Change, Create, Delete, Outcome, Update
from tests.helpers.records import make_record, make_rotation
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
    assert "the memory store is full (3 sessions, 0 users' lists, " in caplog.text


@pytest.mark.gen_test
async def test_sessions_that_never_came_back_are_evicted_first() -> None:
    """Then anonymous ones, then signed-in ones, each the least recently used first."""
    store = MemoryStore(max_sessions=7)
    users = [make_record(user="ada"), make_record(user="eve")]
    known = [make_record() for _ in range(3)]
    new = [make_record() for _ in range(2)]
    await store.write([Create(record) for record in (*users, *known, *new)])
    await store.load([known[1].id, known[0].id])
    await store.write([Update(known[2].id, {"n": 1})])
    for gone in (*new, known[1], known[0], known[2], users[0]):
        await store.load([])  # looking for nothing tells nothing
        latest = make_record(user="grace")
        await store.write([Create(latest)])
        assert await store.load([gone.id]) == {}
        assert len(store) == 7
    # A flood of clients that keep no cookie signs nobody out.
    await store.write([Create(make_record()) for _ in range(100)])
    assert list(await store.load([latest.id])) == [latest.id]


@pytest.mark.gen_test
async def test_a_sign_in_protects_a_session_and_its_end_does_not() -> None:
    store = MemoryStore(max_sessions=2)
    a, b = make_record(), make_record()
    await store.write([Create(a), Create(b)])
    await store.write([Update(a.id, rotation=make_rotation(a, user="ada"))])
    await store.write([Create(make_record()), Create(make_record())])
    assert list(await store.load([a.id, b.id])) == [a.id]


@pytest.mark.gen_test
@pytest.mark.parametrize("size", [10, 1000, 60_000])
async def test_the_store_takes_no_more_memory_than_it_may(size: int) -> None:
    """What tracemalloc sees is near what the store counts, and within its bound."""
    bound = 3_000_000
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        store = MemoryStore(max_bytes=bound)
        for n in range(4 * bound // (size + 300)):
            record = make_record(data={"kept": f"{n:010}" * (size // 10)})
            await store.write([Create(record)])
            await store.write([Update(record.id, {"more": n}, expires=record.expires + n % 900)])
        del record
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.8 * bound < store.size <= bound
    assert 0.7 * store.size < taken < 1.2 * store.size, (taken, store.size, len(store))
    while await store.sweep(time.time() + 10_000, 1000):
        pass
    assert (len(store), store.size) == (0, 0)


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


@pytest.mark.parametrize("bound", [0, 1.5, float("nan"), "5", None, True], ids=repr)
def test_a_bound_that_is_none_is_refused(bound: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"max_sessions is .*: give a whole number, 2 at "):
        MemoryStore(max_sessions=bound)
    with pytest.raises(ConfigurationError, match=r"max_bytes is .*: give a whole number, 1024 at "):
        MemoryStore(max_bytes=bound)


@pytest.mark.gen_test
async def test_a_record_over_the_whole_bound_evicts_nobody() -> None:
    store = MemoryStore(max_bytes=5000)
    small, large = make_record(user="ada"), make_record(data={"k": "x" * 6000})
    assert await store.write([Create(small)]) == [Outcome.DONE]
    assert await store.write([Create(large)]) == [Outcome.TOO_LARGE]
    assert await store.write([Update(small.id, {"k": "x" * 6000})]) == [Outcome.TOO_LARGE]
    rotation = make_rotation(small, user="eve")
    update = Update(small.id, {"k": "x" * 6000}, rotation=rotation)
    assert await store.write([update]) == [Outcome.TOO_LARGE]
    assert await store.load([small.id, large.id]) == {small.id: small}
    assert store.size < 1000


@pytest.mark.gen_test
async def test_a_session_that_its_store_cannot_hold_is_413() -> None:
    manager = SessionManager(MemoryStore(max_bytes=5000))
    session = await manager.load(None)
    session["k"] = "x" * 6000
    with pytest.raises(SessionTooLarge, match="too much for its store"):
        await session.commit()


@pytest.mark.gen_test
async def test_a_newcomer_does_not_evict_itself() -> None:
    """A store full of anonymous sessions that came back makes room for it."""
    store = MemoryStore(max_sessions=50)
    users = [make_record(user="ada") for _ in range(10)]
    await store.write([Create(record) for record in users])
    for _ in range(40):
        known = make_record()
        await store.write([Create(known)])
        await store.load([known.id])
    for _ in range(60):
        newcomer = make_record()
        await store.write([Create(newcomer)])
        assert len(store) == 50
        assert list(await store.load([newcomer.id])) == [newcomer.id]
    assert len(await store.load([record.id for record in users])) == 10


@pytest.mark.gen_test
async def test_newcomers_sign_nobody_out() -> None:
    store = MemoryStore(max_sessions=20)
    users = [make_record(user="ada") for _ in range(20)]
    await store.write([Create(record) for record in users])
    await store.write([Create(make_record()) for _ in range(100)])
    assert len(await store.load([record.id for record in users])) == 20


@pytest.mark.gen_test
@pytest.mark.parametrize("bounds", [{"max_sessions": 100}, {"max_bytes": 1_000_000}], ids=str)
async def test_a_flood_of_newcomers_takes_a_tenth_of_the_store(bounds: dict[str, int]) -> None:
    """They stay in it until they come back, whatever else is written."""
    store = MemoryStore(**bounds)
    known = [make_record(data={"kept": "x" * 9000}) for _ in range(100)]
    await store.write([Create(record) for record in known])
    await store.load([record.id for record in known])
    flood = [make_record(data={"kept": "x" * 9000}) for _ in range(300)]
    await store.write([Create(record) for record in flood])
    count = len(store)
    assert count in (100, 106)
    await store.write([Create(make_record(data={"kept": "x" * 9000}, user="eve"))])
    left = await store.load([record.id for record in known])
    assert len(left) >= 89
    new = await store.load([record.id for record in flood])
    assert 9 <= len(new) <= 11
    assert set(new) == {record.id for record in flood[-len(new) :]}


@pytest.mark.gen_test
async def test_what_is_larger_than_the_store_evicts_nobody() -> None:
    store = MemoryStore(max_bytes=20_000)
    record, other = make_record(user="ada"), make_record()
    large = {"kept": "x" * 30_000}
    await store.write([Create(record), Create(other)])
    changes: list[Change] = [
        Create(make_record(data=large)),
        Update(record.id, large),
        Update(bytes(16), or_create=make_record(id=bytes(16), data=large)),
    ]
    assert await store.write(changes) == [Outcome.TOO_LARGE] * 3
    assert await store.load([record.id, other.id, bytes(16)]) == {
        record.id: record,
        other.id: other,
    }
    while await store.sweep(time.time() + 1_000_000, 10):
        pass
    assert (len(store), store.size, store._bytes_of_new) == (0, 0, 0)


@pytest.mark.gen_test
async def test_a_session_larger_than_the_store_is_too_large() -> None:
    manager = SessionManager(MemoryStore(max_bytes=20_000))
    session = await manager.load(None)
    session["kept"] = "x" * 30_000
    with pytest.raises(SessionTooLarge):
        await session.commit()
