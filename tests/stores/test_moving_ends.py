"""Ends of sessions while they move: marks, and records that cannot be read."""

from __future__ import annotations

import os

import pytest

from app import SessionManager
from app.sessions import token
from stores import MemoryStore, MovingStore, StoreUnavailable
from stores.contract import (
    ENDED,
    Create,
    Delete,
    Outcome,
    Record,
    Unopened,
    Unreadable,
    Update,
)
from tests.helpers.records import (
    load_record,
    make_record,
    make_rotation,
)
from tests.helpers.two_stores import Two, two

__all__ = ["two"]  # a fixture

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING


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


# What cannot be read


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
