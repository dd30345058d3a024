"""What a store that moves sessions asks of the two stores, and what it does when one fails."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from app import SessionManager, SessionUnavailable
from app.sessions import token
from app.sessions.gateway import Gateway
from stores import ConfigurationError, MemoryStore, MovingStore, StoreUnavailable, open_store
from stores.contract import (
    ENDED,
    Change,
    Create,
    Delete,
    Outcome,
    Record,
    Store,
    Unopened,
    Unreadable,
    Update,
)
from stores.moving_mark import id_of_call
from tests.helpers.process import ROOT
from tests.helpers.records import (
    load_record,
    load_records,
    make_record,
    make_rotation,
    same_record,
)
from tests.helpers.stores_for_tests import FaultyStore

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING


class Two(NamedTuple):
    store: MovingStore
    new: FaultyStore
    old: FaultyStore

    @property
    def kinds(self) -> tuple[list[str], list[str]]:
        """What was asked of the new store and of the old one since the last look."""
        return self.new.kinds, self.old.kinds


@pytest.fixture
def two() -> Two:
    new, old = FaultyStore(), FaultyStore()
    return Two(MovingStore(new, old), new, old)


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


# Ends


@pytest.mark.gen_test
@pytest.mark.parametrize("where", ["new", "old", "both"])
async def test_an_end_leaves_a_mark_and_no_value(two: Two, where: str) -> None:
    record = make_record(data={"private": "x"}, user="ada", former_hash=bytes(32), rotated=5.0)
    for name, store in (("new", two.new), ("old", two.old)):
        if where in (name, "both"):
            await store.inner.write([Create(record)])
    assert await two.store.write([Delete(record.id)]) == [DONE]
    assert await two.store.load([record.id]) == {}
    assert await two.old.load([record.id]) == {}
    mark = await load_record(two.new, record.id)
    assert (mark.secret_hash, mark.user, dict(mark.data)) == (ENDED, None, {})
    assert mark.expires > record.expires
    # Neither a copier nor a late request revives it, and a second end is none.
    assert await two.new.write([Create(record)]) == [EXISTS]
    late = [Update(record.id, {"n": 1}), Update(record.id, rotation=make_rotation(record))]
    assert await two.store.write(late) == [MISSING, MISSING]
    assert await two.store.write([Create(record)]) == [EXISTS]
    assert await two.store.write([Delete(record.id)]) == [DONE]
    assert await two.store.load([record.id]) == {}


@pytest.mark.gen_test
async def test_the_end_of_what_is_in_no_store_leaves_nothing(two: Two) -> None:
    assert await two.store.write([Delete(bytes(16))]) == [DONE]
    assert await two.new.load([bytes(16)]) == {}


@pytest.mark.gen_test
async def test_a_mark_opens_nothing_when_the_move_is_over(two: Two) -> None:
    id, secret = token.new_id(), token.new_secret()
    record = make_record(id=id, secret_hash=token.hash_secret("session", secret))
    await two.old.inner.write([Create(record)])
    cookie = f"session={token.encode(id, secret)}"
    manager = SessionManager(two.store)
    assert (await manager.load(cookie)).live
    await two.store.write([Delete(id)])
    for store in (two.store, two.new.inner):
        assert not (await SessionManager(store).load(cookie)).live


@pytest.mark.gen_test
async def test_a_record_that_ended_is_begun_anew_if_asked(two: Two) -> None:
    """A user's record has the same id each time, and may be removed when it cannot be read."""
    blank = make_record(secret_hash=bytes(32))
    await two.old.inner.write([Create(blank._replace(data={"former": 1}))])
    await two.store.write([Delete(blank.id)])
    joins = [Update(blank.id, {key: 1}, or_create=blank, limit=1000) for key in "ab"]
    assert await two.store.write(joins) == [DONE, DONE]
    found = await load_record(two.store, blank.id)
    assert (found.secret_hash, dict(found.data)) == (bytes(32), {"a": 1, "b": 1})
    too_large = Update(os.urandom(16), {"k": "x" * 2000}, limit=1000, or_create=blank)
    assert await two.store.write([too_large]) == [Outcome.TOO_LARGE]


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


# When a store fails


@pytest.mark.gen_test
async def test_the_old_stores_trouble_is_not_the_new_ones(two: Two) -> None:
    here, there, begun = make_record(), make_record(), make_record()
    await two.new.inner.write([Create(here)])
    await two.old.inner.write([Create(there)])
    two.old.break_down()
    found = await two.store.load([here.id, there.id])
    assert found[here.id] == here
    assert isinstance(found[there.id], StoreUnavailable)
    outcomes = await two.store.write(
        [Update(here.id, {"n": 1}), Update(there.id, {"n": 1}), Create(begun), Delete(here.id)]
    )
    assert (outcomes[0], outcomes[2]) == (DONE, DONE)
    # An end that the old store did not hear of is none yet, though the mark is there.
    assert all(isinstance(outcomes[i], StoreUnavailable) for i in (1, 3))
    assert await two.store.load([here.id]) == {}
    two.old.mend()
    assert await two.store.write([Update(there.id, {"n": 1})]) == [DONE]


@pytest.mark.gen_test
async def test_a_session_that_cannot_be_moved_is_nobody_elses(two: Two) -> None:
    stuck, other = make_record(), make_record()
    await two.old.inner.write([Create(stuck), Create(other)])

    class Picky(MemoryStore):
        async def write(self, changes: Sequence[Change]) -> Sequence[Any]:
            refused = {stuck.id, id_of_call(stuck.id)}
            told = await super().write([c for c in changes if c.id not in refused])
            rest = iter(told)
            return [
                StoreUnavailable("no room") if change.id in refused else next(rest)
                for change in changes
            ]

    two.new.inner = Picky()
    outcomes = await two.store.write([Update(r.id, {"n": 1}) for r in (stuck, other)])
    assert isinstance(outcomes[0], StoreUnavailable)
    assert outcomes[1] is DONE
    assert dict((await load_record(two.store, stuck.id)).data) == {}
    assert dict((await load_record(two.store, other.id)).data) == {"n": 1}


@pytest.mark.gen_test
async def test_it_opens_and_answers_without_the_old_store(
    two: Two, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = make_record(), make_record()
    await two.new.inner.write([Create(here)])
    await two.old.inner.write([Create(there)])
    two.old.break_down()
    await two.store.open()
    assert "faulty:, from which sessions move, is away: out of order" in caplog.text
    await two.store.ping()
    assert await two.store.load([here.id]) == {here.id: here}
    with pytest.raises(StoreUnavailable):
        await two.store.scan()
    with pytest.raises(StoreUnavailable):
        await two.store.sweep(0.0, 5)
    two.old.mend()
    assert await two.store.load([there.id]) == {there.id: there}
    two.new.break_down()
    for operation in (two.store.open, two.store.ping):
        with pytest.raises(StoreUnavailable):
            await operation()


@pytest.mark.gen_test(timeout=10)
async def test_an_old_store_that_hangs_takes_its_time_only(two: Two) -> None:
    here, there = make_record(), make_record()
    await two.new.inner.write([Create(here)])
    await two.old.inner.write([Create(there)])
    two.store.timeout = 0.3
    store = MovingStore(two.new, two.old)
    store.timeout = 0.3
    gateway = Gateway(store)
    two.old.gate["load"] = asyncio.Event()
    found = await asyncio.gather(
        gateway.load_each([here.id, there.id]),
        *(gateway.load(id) for id in (here.id, there.id)),
        return_exceptions=True,
    )
    assert found[1] == here
    assert isinstance(found[0], SessionUnavailable)
    assert isinstance(found[2], SessionUnavailable)
    two.old.mend()
    await gateway.close()


@pytest.mark.gen_test
async def test_the_new_stores_trouble_is_everybodys(two: Two) -> None:
    record = make_record()
    await two.old.inner.write([Create(record)])
    two.new.break_down()
    with pytest.raises(StoreUnavailable):
        await two.store.load([record.id])
    with pytest.raises(StoreUnavailable):
        await two.store.write([Delete(record.id)])
    two.new.mend()
    assert await two.store.load([record.id]) == {record.id: record}


class UnreadableStore(MemoryStore):
    """Cannot read what it has."""

    async def load(self, ids: object) -> dict[bytes, Unreadable]:  # type: ignore[override]
        found = await super().load(ids)  # type: ignore[arg-type]
        return {id: Unreadable("it is garbled") for id in found}


@pytest.mark.gen_test
async def test_what_cannot_be_read_is_not_moved_and_can_end() -> None:
    old, record = UnreadableStore(), make_record()
    store = MovingStore(MemoryStore(), old)
    await old.write([Create(record)])
    (answer,) = (await store.load([record.id])).values()
    assert isinstance(answer, Unreadable)
    (outcome,) = await store.write([Update(record.id, {"n": 1})])
    assert isinstance(outcome, StoreUnavailable)
    assert "garbled" in str(outcome)
    assert await store.write([Create(record)]) == [EXISTS]
    assert await store.write([Delete(record.id)]) == [DONE]
    assert await store.load([record.id]) == await old.load([record.id]) == {}
    assert await store.new.write([Create(record)]) == [EXISTS]


@pytest.mark.gen_test
async def test_what_the_new_store_cannot_read_can_end() -> None:
    new, old, record = UnreadableStore(), MemoryStore(), make_record()
    store = MovingStore(new, old)
    await new.write([Create(record)])
    assert await store.write([Delete(record.id)]) == [DONE]
    assert await store.load([record.id]) == {}


class UnopenedStore(MemoryStore):
    """Has not the key for what it has."""

    async def load(self, ids: object) -> dict[bytes, Unopened]:  # type: ignore[override]
        found = await super().load(ids)  # type: ignore[arg-type]
        return {id: Unopened("no such key", record) for id, record in found.items()}


@pytest.mark.gen_test
@pytest.mark.parametrize("where", ["new", "old"])
async def test_what_does_not_open_stays_unless_it_is_named(where: str) -> None:
    sealed, other, record = UnopenedStore(), MemoryStore(), make_record()
    await sealed.write([Create(record)])
    store = MovingStore(sealed, other) if where == "new" else MovingStore(other, sealed)
    (answer,) = (await store.load([record.id])).values()
    assert isinstance(answer, Unopened)
    assert await store.write([Create(record)]) == [EXISTS]
    (outcome,) = await store.write([Update(record.id, {"n": 1})])
    assert isinstance(outcome, Unopened)
    assert await store.write([Delete(record.id)]) == [DONE]
    assert await other.load([record.id]) == {} or where == "old"
    (mark,) = (await store.new.load([record.id])).values()
    assert isinstance(mark, Record | Unopened)
    assert (mark.record if isinstance(mark, Unopened) else mark).secret_hash == ENDED


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
