"""What every store must do; a subclass of `StoreContract` with a `store` fixture runs it on one.

The store may be shared with other tests: each uses records of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stores.contract import Create, Delete, Outcome, Store, Update
from tests.helpers.records import load_records, make_record, make_rotation, same_record
from tests.store_contract_conditions import ConditionsContract
from tests.store_contract_expectations import ExpectationsContract
from tests.store_contract_scans import ScansContract
from tests.store_contract_updates import UpdatesContract
from tests.store_contract_values import ValuesContract

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING


class StoreContract(
    ValuesContract, UpdatesContract, ConditionsContract, ExpectationsContract, ScansContract
):
    """The suite. Override `store` with a fixture that makes one, not opened."""

    @pytest.fixture
    def store(self) -> Store:
        pytest.fail("a subclass of StoreContract has a fixture of the name `store`")

    @pytest.fixture
    def opened(self, io_loop: Any, store: Store) -> Iterator[Store]:
        """The store, open in the loop of the test."""
        io_loop.run_sync(store.open)
        yield store
        io_loop.run_sync(store.close)

    # Its own life

    @pytest.mark.gen_test
    async def test_it_answers_when_open_and_opens_twice_without_harm(self, opened: Store) -> None:
        await opened.open()
        await opened.ping()

    @pytest.mark.gen_test
    async def test_it_is_closed_twice_and_before_it_is_opened(self, store: Store) -> None:
        await store.close()
        await store.open()
        await store.ping()
        await store.close()
        await store.close()

    @pytest.mark.gen_test
    async def test_it_can_be_opened_again(self, store: Store) -> None:
        await store.open()
        await store.close()
        await store.open()
        record = make_record()
        assert await store.write([Create(record)]) == [DONE]
        assert list(await store.load([record.id])) == [record.id]
        await store.close()

    def test_name_timeout_and_shared_are_of_their_types(self, store: Store) -> None:
        assert store.name
        assert store.name.isprintable()
        assert store.timeout is None or store.timeout > 0
        assert store.shared in (True, False)

    # Create and load

    @pytest.mark.gen_test
    async def test_what_was_created_is_loaded_as_it_was(self, opened: Store) -> None:
        full = make_record(
            data={"name": "Ada", "cart": [{"sku": "x", "price": 9.5}]},
            user="ada@example.org",
            persistent=False,
            former_hash=os.urandom(32),
            rotated=time.time() - 5.25,
        )
        bare = make_record()
        assert await opened.write([Create(full), Create(bare)]) == [DONE, DONE]
        found = await load_records(opened, [full.id, bare.id])
        assert same_record(full, found[full.id])
        assert same_record(bare, found[bare.id])

    @pytest.mark.gen_test
    async def test_unknown_ids_are_left_out(self, opened: Store) -> None:
        record = make_record()
        await opened.write([Create(record)])
        found = await opened.load([os.urandom(16), record.id, bytes(16)])
        assert list(found) == [record.id]
        assert await opened.load([os.urandom(16)]) == {}

    @pytest.mark.gen_test
    async def test_nothing_is_asked_or_changed_by_an_empty_list(self, opened: Store) -> None:
        assert await opened.load([]) == {}
        assert list(await opened.write([])) == []

    @pytest.mark.gen_test
    async def test_hundreds_are_created_loaded_and_removed_at_a_time(self, opened: Store) -> None:
        records = [make_record(data={"n": n}) for n in range(500)]
        assert await opened.write([Create(record) for record in records]) == [DONE] * 500
        found = await load_records(opened, [record.id for record in records])
        assert [found[record.id].data for record in records] == [{"n": n} for n in range(500)]
        assert await opened.write([Delete(record.id) for record in records]) == [DONE] * 500
        assert await opened.load([record.id for record in records]) == {}

    @pytest.mark.gen_test
    async def test_a_taken_id_is_told_and_nothing_of_it_changes(self, opened: Store) -> None:
        first = make_record(data={"n": 1})
        second = make_record(id=first.id, data={"n": 2})
        other = make_record()
        await opened.write([Create(first)])
        assert await opened.write([Create(second), Create(other)]) == [EXISTS, DONE]
        found = await load_records(opened, [first.id, other.id])
        assert same_record(first, found[first.id])
        assert same_record(other, found[other.id])

    @pytest.mark.gen_test
    async def test_ids_of_any_bytes_are_told_apart(self, opened: Store) -> None:
        tail = os.urandom(13)
        heads = [b"\x00\x00\x00", b"\xff\xff\xff", b"Aa ", b"aA ", b"'\"\\", b"%_\n", b" aA"]
        records = [make_record(id=h + tail, data={"n": n}) for n, h in enumerate(heads)]
        assert await opened.write([Create(record) for record in records]) == [DONE] * len(heads)
        found = await load_records(opened, [record.id for record in records])
        assert [found[r.id].data["n"] for r in records] == list(range(len(heads)))
        await opened.write([Delete(record.id) for record in records])

    # Delete

    @pytest.mark.gen_test
    async def test_what_was_deleted_stays_so(self, opened: Store) -> None:
        record = make_record(data={"n": 1})
        await opened.write([Create(record)])
        assert await opened.write([Delete(record.id)]) == [DONE]
        assert await opened.load([record.id]) == {}
        assert await opened.write([Delete(record.id)]) == [DONE]
        for late in (
            Update(record.id, {"n": 2}),
            Update(record.id, expires=record.expires + 100),
            Update(record.id, rotation=make_rotation(record)),
        ):
            assert await opened.write([late]) == [MISSING]
        assert await opened.load([record.id]) == {}

    @pytest.mark.gen_test
    async def test_nothing_survives_a_delete_among_concurrent_changes(self, opened: Store) -> None:
        records = [make_record(data={"n": 0}) for _ in range(20)]
        await opened.write([Create(record) for record in records])
        calls = []
        for n, record in enumerate(records):
            calls.append(opened.write([Update(record.id, {"n": n}), Delete(record.id)]))
            calls.append(opened.write([Update(record.id, rotation=make_rotation(record))]))
            calls.append(opened.write([Update(record.id, expires=record.expires + 9)]))
        answers = await asyncio.gather(*calls)
        assert {o for answer in answers for o in answer} <= {DONE, MISSING}
        assert await opened.load([record.id for record in records]) == {}

    # Expiry

    @pytest.mark.gen_test
    async def test_an_expired_record_is_no_error(self, opened: Store) -> None:
        """An expired record is no error, whether it is still there or not."""
        dead = make_record(expires=time.time() - 60)
        assert await opened.write([Create(dead)]) == [DONE]
        found = await load_records(opened, [dead.id])
        assert list(found) in ([], [dead.id])
        assert all(record.expires < time.time() for record in found.values())
        (outcome,) = await opened.write([Update(dead.id, {"n": 1})])
        assert outcome in (DONE, MISSING)
        assert await opened.write([Delete(dead.id)]) == [DONE]

    @pytest.mark.gen_test
    async def test_a_sweep_removes_in_steps_what_expired_alone(self, opened: Store) -> None:
        now = time.time()
        dead = [make_record(created=now - 900, expires=now - 300) for _ in range(25)]
        living = [make_record(data={"n": n}) for n in range(5)]
        await opened.write([Create(record) for record in (*dead, *living)])
        while removed := await opened.sweep(now, 10):
            assert removed <= 10
        found = await opened.load([record.id for record in living])
        assert len(found) == 5
        swept = await opened.load([record.id for record in dead])
        if not opened.expires_itself:  # else the server removes them in its own time
            assert swept == {}
