"""What a store that moves sessions asks of the two stores, and what it is."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import pytest

from stores import ConfigurationError, MemoryStore, MovingStore, open_store
from stores.contract import (
    Create,
    Delete,
    Outcome,
    Record,
    Store,
    Update,
)
from tests.helpers.process import ROOT
from tests.helpers.records import (
    load_record,
    load_records,
    make_record,
    make_rotation,
    same_record,
)
from tests.helpers.two_stores import Two, two

__all__ = ["two"]  # a fixture

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING


# What it asks


@pytest.mark.gen_test
async def test_the_old_store_is_not_asked_for_what_is_moved(two: Two) -> None:
    records = [make_record() for _ in range(3)]
    await two.new.inner.write([Create(record) for record in records])
    assert len(await two.store.load([record.id for record in records])) == 3
    assert two.kinds == (["load"], [])
    updates = [Update(record.id, {"n": 1}) for record in records]
    assert await two.store.write(updates) == [DONE] * 3
    assert two.kinds == (["load", "Update", "Update", "Update"], [])


@pytest.mark.gen_test
async def test_one_call_each_finds_what_is_in_either_store(two: Two) -> None:
    here, there = make_record(), make_record()
    await two.new.inner.write([Create(here)])
    await two.old.inner.write([Create(there)])
    found = await load_records(two.store, [here.id, there.id, bytes(16)])
    assert found == {here.id: here, there.id: there}
    assert [call[0] for call in (*two.new.calls, *two.old.calls)] == ["load", "load"]
    assert two.old.calls == [("load", [there.id, bytes(16)])]


@pytest.mark.gen_test
async def test_a_batch_is_moved_in_one_batch(two: Two) -> None:
    records = [make_record(data={"kept": n}) for n in range(50)]
    await two.old.inner.write([Create(record) for record in records])
    updates = [Update(record.id, {"n": n}) for n, record in enumerate(records)]
    assert await two.store.write(updates) == [DONE] * 50
    assert [call[0] for call in two.new.calls] == ["load", "write", "write", "write"]
    assert [call[0] for call in two.old.calls] == ["load"]
    for n, record in enumerate(records):
        expected = record._replace(data={"kept": n, "n": n})
        assert same_record(expected, await load_record(two.new, record.id))
        assert same_record(record, await load_record(two.old, record.id))
    assert isinstance(two.new.inner, MemoryStore)
    assert len(two.new.inner) == 50  # of the calls, none is left


@pytest.mark.gen_test
async def test_a_new_session_begins_in_the_new_store(two: Two) -> None:
    record = make_record()
    assert await two.store.write([Create(record)]) == [DONE]
    assert two.kinds == (["Create"], ["load"])
    assert list(await two.new.load([record.id])) == [record.id]
    there = make_record()
    await two.old.inner.write([Create(there)])
    assert await two.store.write([Create(there)]) == [EXISTS]


@pytest.mark.gen_test
async def test_a_read_moves_nothing(two: Two) -> None:
    record = make_record()
    await two.old.inner.write([Create(record)])
    assert await two.store.load([record.id]) == {record.id: record}
    assert two.kinds == (["load"], ["load"])
    assert await two.new.load([record.id]) == {}


# What is moved


@pytest.mark.gen_test
async def test_a_change_that_is_refused_moves_nothing(two: Two) -> None:
    record = make_record(data={"kept": "x" * 50})
    await two.old.inner.write([Create(record)])
    stale = make_rotation(make_record())
    refused = [
        Update(record.id, {"n": 1}, rotation=stale),
        Update(record.id, {"n": "y" * 100}, limit=100),
    ]
    assert await two.store.write(refused) == [Outcome.CONFLICT, Outcome.TOO_LARGE]
    assert await two.new.load([record.id]) == {}
    assert same_record(record, await load_record(two.store, record.id))


@pytest.mark.gen_test
async def test_a_rotation_moves_with_what_the_token_was(two: Two) -> None:
    record = make_record(former_hash=b"f" * 32, rotated=time.time() - 5, authenticated=7.0)
    await two.old.inner.write([Create(record)])
    assert await two.store.write([Update(record.id, seen=5.0)]) == [DONE]
    assert same_record(record._replace(seen=5.0), await load_record(two.new, record.id))
    rotation = make_rotation(record, user="ada", expected_rotated=record.rotated)
    assert await two.store.write([Update(record.id, rotation=rotation)]) == [DONE]
    found = await load_record(two.store, record.id)
    assert (found.secret_hash, found.former_hash) == (rotation.secret_hash, record.secret_hash)
    assert await two.store.write([Update(record.id, rotation=rotation)]) == [Outcome.CONFLICT]


# All of them


@pytest.mark.gen_test
async def test_a_scan_returns_what_is_in_both_stores_once(two: Two) -> None:
    old, new, moved, ended = ([make_record() for _ in range(8)] for _ in range(4))
    await two.old.inner.write([Create(record) for record in (*old, *moved, *ended)])
    await two.new.inner.write([Create(record) for record in new])
    await two.store.write([Update(record.id, {"moved": 1}) for record in moved])
    await two.store.write([Delete(record.id) for record in ended])
    found: dict[bytes, object] = {}
    after, steps = None, 0
    while steps == 0 or after is not None:
        page = await two.store.scan(after, 5)
        assert not found.keys() & page.found.keys()
        found |= page.found
        after, steps = page.after, steps + 1
        # What moves between two steps neither comes again nor is left out.
        await two.store.write([Update(record.id, {"n": steps}) for record in old[steps:][:1]])
    assert found.keys() == {record.id for record in (*old, *new, *moved)}
    for record in moved:
        there = found[record.id]
        assert isinstance(there, Record)
        assert there.data == {"moved": 1}
    assert await two.store.count(exact=True) == (24, True)
    assert not (await two.store.count()).is_exact


# What it is


def test_it_is_what_both_stores_are() -> None:
    memory = open_store("memory:")
    mongo = open_store("mongodb://user:secret@host/app")
    postgres = open_store("postgresql://user:secret@host/app")
    store = MovingStore(postgres, mongo)
    assert store.name == "postgresql://host/app, moving from mongodb://host/app"
    assert (store.shared, store.timeout) == (True, 2.0)
    assert not MovingStore(postgres, memory).shared
    assert MovingStore(memory, MemoryStore()).timeout is None
    assert (store.expires_itself, MovingStore(mongo, postgres).expires_itself) == (False, False)
    assert MovingStore(mongo, open_store("redis://host")).expires_itself
    assert MovingStore(memory, mongo).on_evict is memory.on_evict


def test_it_is_written_as_shown() -> None:
    shown = re.findall(r"```python\n(MovingStore.*)\n```", (ROOT / "stores/README.md").read_text())
    names = {"MovingStore": MovingStore, "open_store": open_store}
    (store,) = (
        eval(line, {**names, "options": SimpleNamespace(store="memory:")}) for line in shown
    )
    assert store.name == "memory, moving from mongodb://localhost/myapp"


@pytest.mark.parametrize("other", ["mongodb://host/app", None])
def test_what_is_no_store_is_refused(other: object) -> None:
    with pytest.raises(ConfigurationError, match=r"open_store\(new\), open_store\(old\)"):
        MovingStore(MemoryStore(), other)  # type: ignore[arg-type]
    store: Store = MemoryStore()
    with pytest.raises(ConfigurationError, match="one twice"):
        MovingStore(store, store)


@pytest.mark.gen_test
async def test_a_sweep_cleans_both_stores(two: Two) -> None:
    now = time.time()
    for store in (two.new, two.old):
        dead = [make_record(created=now - 900, expires=now - 300) for _ in range(7)]
        await store.inner.write([Create(record) for record in dead])
    assert [await two.store.sweep(now, 10) for _ in range(3)] == [10, 4, 0]
