"""What goes to a store together, what goes at once, and what waits no longer."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence

import pytest

from app import SessionUnavailable
from app.sessions import sweeper
from app.sessions.batching import MAX_BATCH, MAX_BATCHES
from app.sessions.gateway import Gateway
from stores import ConfigurationError, StoreUnavailable
from stores.contract import Change, Create, Outcome, Record, Unreadable, Update
from tests.helpers.records import make_record
from tests.helpers.steps import until
from tests.helpers.stores_for_tests import FaultyStore


class GatedStore(FaultyStore):
    """Each call waits until it is let go; `sent` has the numbers of items of all so far."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[int] = []
        self.going: list[asyncio.Event] = []

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        self.sent.append(len(ids))
        self.going.append(asyncio.Event())
        await self.going[-1].wait()
        return await super().load(ids)

    async def let_go(self, call: int) -> None:
        self.going[call].set()
        await turns()


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def load(gateway: Gateway, number: int) -> list[asyncio.Task[Record | None]]:
    """Ask for that many records in one turn of the loop."""
    return [asyncio.ensure_future(gateway.load(os.urandom(16))) for _ in range(number)]


@pytest.mark.gen_test
async def test_a_lone_load_is_sent_before_the_turn_ends() -> None:
    store = GatedStore()
    gateway = Gateway(store)
    await gateway.open()
    task = asyncio.ensure_future(gateway.load(bytes(16)))
    await asyncio.sleep(0)  # the task's own first turn
    assert store.sent == [1]
    await store.let_go(0)
    assert await task is None


@pytest.mark.gen_test
async def test_what_arrives_in_one_turn_goes_together() -> None:
    store = GatedStore()
    gateway = Gateway(store)
    await gateway.open()
    tasks = load(gateway, 20)
    await turns()
    assert store.sent == [1, 19]  # the first could not know that it is not alone
    await store.let_go(0)
    await store.let_go(1)
    tasks += load(gateway, 20)
    await turns()
    assert store.sent == [1, 19, 20]  # but now it does
    await store.let_go(2)
    assert await asyncio.gather(*tasks) == [None] * 40


@pytest.mark.gen_test
async def test_nobody_joins_what_was_sent_and_calls_are_few() -> None:
    """Nobody joins what was sent, and few calls are in flight."""
    store = GatedStore()
    gateway = Gateway(store)
    await gateway.open()
    tasks = load(gateway, 1)
    for number in (2, 3, 4):
        await turns()
        tasks += load(gateway, number)
    await turns()
    assert MAX_BATCHES == 2
    assert store.sent == [1, 2]
    await store.let_go(1)  # the two that are on their way end in any order
    assert store.sent == [1, 2, 7]
    tasks += load(gateway, 1)
    await turns()
    assert store.sent == [1, 2, 7]
    await store.let_go(0)
    await store.let_go(2)
    await store.let_go(3)
    assert store.sent == [1, 2, 7, 1]
    assert await asyncio.gather(*tasks) == [None] * 11


@pytest.mark.gen_test
async def test_a_batch_is_bounded() -> None:
    store = GatedStore()
    gateway = Gateway(store)
    await gateway.open()
    tasks = load(gateway, 1 + 2 * MAX_BATCH)
    await turns()
    await store.let_go(1)
    assert store.sent == [1, MAX_BATCH, MAX_BATCH]
    await store.let_go(0)
    await store.let_go(2)
    assert len(await asyncio.gather(*tasks)) == 1 + 2 * MAX_BATCH


@pytest.mark.gen_test
async def test_one_id_asked_for_many_times_is_loaded_once() -> None:
    store = GatedStore()
    gateway = Gateway(store)
    record = make_record()
    await gateway.write(Create(record))
    tasks = [asyncio.ensure_future(gateway.load(record.id)) for _ in range(5)]
    await turns()
    assert store.sent == [1, 1]
    await store.let_go(0)
    await store.let_go(1)
    assert await asyncio.gather(*tasks) == [record] * 5


@pytest.mark.gen_test
async def test_a_read_after_an_acknowledged_write_sees_it() -> None:
    store = FaultyStore()
    gateway = Gateway(store)
    record = make_record(data={"n": 0})
    await gateway.write(Create(record))

    async def write_and_read(n: int) -> None:
        assert await gateway.write(Update(record.id, {f"k{n}": n})) is Outcome.DONE
        found = await gateway.load(record.id)
        assert found is not None
        assert found.data[f"k{n}"] == n

    await asyncio.gather(*(write_and_read(n) for n in range(50)))


@pytest.mark.gen_test
async def test_each_of_a_failed_batch_fails_with_an_error_of_its_own() -> None:
    store = FaultyStore()
    gateway = Gateway(store)
    await gateway.open()
    store.break_down("load")
    errors = await asyncio.gather(*load(gateway, 5), return_exceptions=True)
    assert [type(error) for error in errors] == [SessionUnavailable] * 5
    assert len({id(error) for error in errors}) == 5
    assert {error.what for error in errors} == {"store faulty:: out of order"}  # type: ignore[union-attr]
    store.mend()
    assert await gateway.load(bytes(16)) is None


class PartlyDown(GatedStore):
    """Cannot reach the server that has the ids which begin with a zero byte."""

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        await super().load(ids)
        return {id: StoreUnavailable("node 1 is down") for id in ids if id[0] == 0}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        down = StoreUnavailable("node 1 is down")
        return [down if change.id[0] == 0 else Outcome.DONE for change in changes]


@pytest.mark.gen_test
async def test_a_part_of_the_store_that_is_down_fails_alone() -> None:
    """Where a part of the store is down, its own records fail and no others."""
    store = PartlyDown()
    gateway = Gateway(store)
    await gateway.open()
    ids = [bytes(15) + b"1", b"1" * 16, bytes(16), b"2" * 16]
    tasks = [asyncio.ensure_future(gateway.load(id)) for id in ids]
    await turns()
    assert store.sent == [1, 3]
    await store.let_go(0)
    await store.let_go(1)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [SessionUnavailable, type(None)] * 2
    assert "store faulty:: node 1 is down" in str(answers[0])
    writes = [gateway.write(Update(id)) for id in ids]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SessionUnavailable, Outcome] * 2
    each = asyncio.ensure_future(gateway.load_each(ids))
    await turns()
    await store.let_go(2)
    with pytest.raises(SessionUnavailable):
        await each


@pytest.mark.gen_test
async def test_nobody_waits_longer_than_the_deadline_in_all() -> None:
    store = GatedStore()
    store.timeout = 0.2
    gateway = Gateway(store)
    await gateway.open()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    tasks = load(gateway, 3)
    await turns()
    tasks += load(gateway, 3)  # these wait for one of those before to fail
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [SessionUnavailable] * 6
    assert 0.19 < loop.time() - begun < 1
    assert len(store.sent) == 2


@pytest.mark.gen_test
async def test_a_lone_load_that_is_cancelled_leaves_the_way_free() -> None:
    store = GatedStore()
    gateway = Gateway(store)
    await gateway.open()
    (task,) = load(gateway, 1)
    await turns()
    task.cancel()
    await turns()
    assert task.cancelled()
    (task,) = load(gateway, 1)
    await turns()
    await store.let_go(1)
    assert await task is None


@pytest.mark.gen_test
async def test_another_shape_is_told_and_of_a_bug_its_kind_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A store of another shape says so; a bug says only its kind."""
    store = FaultyStore()
    gateway = Gateway(store)
    store.fail["open"] = ConfigurationError("the table has other columns; name another")
    with pytest.raises(SessionUnavailable) as raised:
        await gateway.load(bytes(16))
    assert raised.value.what == "store faulty:: the table has other columns; name another"
    store.fail["open"] = KeyError("a secret")
    with caplog.at_level(logging.DEBUG), pytest.raises(SessionUnavailable) as raised:
        await gateway.load(bytes(16))
    assert raised.value.what == "store faulty:: it failed with KeyError"
    assert "a secret" not in caplog.text
    assert "in open" in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("expires_itself", [True, False])
async def test_a_store_that_expires_records_itself_is_not_swept(
    monkeypatch: pytest.MonkeyPatch, expires_itself: bool
) -> None:
    """Another one is, one round at a time."""
    monkeypatch.setattr(sweeper, "INTERVAL", 0.0)
    store = FaultyStore()
    store.expires_itself = expires_itself
    rounds = 0
    go = asyncio.Event()

    async def sweep(now: float, limit: int) -> int:
        nonlocal rounds
        rounds += 1
        await go.wait()
        return 0

    store.sweep = sweep  # type: ignore[method-assign]
    gateway = Gateway(store)
    await gateway.open()
    await turns(50)
    assert rounds == (0 if expires_itself else 1)
    go.set()
    if not expires_itself:
        await until(lambda: rounds > 2, "more rounds")
    await gateway.close()
