"""What a store that moves sessions does when one of the two fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app import SessionUnavailable
from app.sessions.gateway import Gateway
from stores import MemoryStore, MovingStore, StoreUnavailable
from stores.contract import (
    Change,
    Create,
    Delete,
    Outcome,
    Update,
)
from stores.moving_mark import id_of_call
from tests.helpers.records import (
    load_record,
    make_record,
)
from tests.helpers.two_stores import Two, two

__all__ = ["two"]  # a fixture

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING


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
