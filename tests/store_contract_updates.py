"""How every store must change records: a part of `tests.store_contract`."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest

from stores.contract import Create, Delete, Outcome, Store, Update
from tests.helpers.records import load_record, load_records, make_record, make_rotation, same_record

DONE, EXISTS, MISSING, CONFLICT = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING, Outcome.CONFLICT


class UpdatesContract:
    """Changes of records that are there, and rotations."""

    # Update

    @pytest.mark.gen_test
    async def test_an_update_touches_only_the_keys_it_names(self, opened: Store) -> None:
        record = make_record(data={"kept": [1], "changed": 1, "removed": 1}, user="ada")
        await opened.write([Create(record)])
        update = Update(record.id, {"changed": {"deep": 2}, "added": None}, ["removed", "absent"])
        assert await opened.write([update]) == [DONE]
        expected = record._replace(data={"kept": [1], "changed": {"deep": 2}, "added": None})
        assert same_record(expected, await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_an_update_that_changes_nothing_is_done(self, opened: Store) -> None:
        record = make_record(data={"n": 1})
        await opened.write([Create(record)])
        for update in (
            Update(record.id, {"n": 1}),
            Update(record.id, unset=["absent"]),
            Update(record.id, expires=record.expires),
            Update(record.id, expires=record.expires - 100),
        ):
            assert await opened.write([update]) == [DONE]
        assert same_record(record, await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_nothing_that_is_missing_is_created_by_an_update(self, opened: Store) -> None:
        absent, created = make_record(), make_record()
        updates = [
            Update(absent.id, {"n": 1}),
            Update(absent.id, unset=["n"]),
            Update(absent.id, expires=absent.expires),
            Update(absent.id, rotation=make_rotation(absent)),
        ]
        for update in updates:
            assert await opened.write([update]) == [MISSING]
        assert await opened.write([*updates, Create(created)]) == [MISSING] * 4 + [DONE]
        assert list(await opened.load([absent.id, created.id])) == [created.id]

    @pytest.mark.gen_test
    async def test_life_is_extended_and_never_shortened(self, opened: Store) -> None:
        record = make_record(data={"n": 1})
        await opened.write([Create(record)])
        later = record.expires + 50
        assert await opened.write([Update(record.id, expires=later)]) == [DONE]
        assert await opened.write([Update(record.id, {"n": 2}, expires=later - 20)]) == [DONE]
        expected = record._replace(expires=later, data={"n": 2})
        assert same_record(expected, await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_different_keys_changed_in_one_call_all_win(self, opened: Store) -> None:
        record = make_record(data={"old": 0})
        await opened.write([Create(record)])
        updates = [Update(record.id, {f"k{n}": n}, expires=record.expires + n) for n in range(30)]
        assert await opened.write([*updates, Update(record.id, unset=["old"])]) == [DONE] * 31
        expected = record._replace(
            data={f"k{n}": n for n in range(30)}, expires=record.expires + 29
        )
        assert same_record(expected, await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_different_keys_changed_in_concurrent_calls_all_win(self, opened: Store) -> None:
        record = make_record(data={f"old{n}": n for n in range(20)})
        await opened.write([Create(record)])
        calls = [opened.write([Update(record.id, {f"k{n}": n}, [f"old{n}"])]) for n in range(20)]
        assert await asyncio.gather(*calls) == [[DONE]] * 20
        found = await load_record(opened, record.id)
        assert found.data == {f"k{n}": n for n in range(20)}

    @pytest.mark.gen_test
    async def test_concurrent_calls_do_not_block_each_other(self, opened: Store) -> None:
        """Concurrent calls over the same records do not block each other."""
        records = [make_record() for _ in range(10)]
        await opened.write([Create(record) for record in records])
        orders = [records, records[::-1], records[5:] + records[:5], records[::2] + records[1::2]]
        calls = [
            opened.write([Update(r.id, {f"k{n}": n}) for r in order])
            for n, order in enumerate(orders * 3)
        ]
        assert await asyncio.gather(*calls) == [[DONE] * 10] * 12
        found = await load_records(opened, [record.id for record in records])
        assert all(r.data == {f"k{n}": n for n in range(12)} for r in found.values())

    @pytest.mark.gen_test
    async def test_of_one_key_the_later_acknowledged_value_stays(self, opened: Store) -> None:
        record = make_record()
        await opened.write([Create(record)])
        for n in range(10):
            await opened.write([Update(record.id, {"n": n})])
            assert (await load_record(opened, record.id)).data == {"n": n}

    @pytest.mark.gen_test
    async def test_outcomes_come_in_the_order_of_the_changes(self, opened: Store) -> None:
        taken, free, rotated = make_record(), make_record(), make_record()
        await opened.write([Create(taken), Create(rotated)])
        outcomes = await opened.write(
            [
                Update(os.urandom(16), {"n": 1}),
                Create(make_record(id=taken.id)),
                Update(rotated.id, {"n": 1}, rotation=make_rotation(free)),
                Create(free),
                Update(taken.id, {"n": 1}),
                Delete(os.urandom(16)),
                Update(os.urandom(16), unset=["n"]),
            ]
        )
        assert outcomes == [MISSING, EXISTS, CONFLICT, DONE, DONE, DONE, MISSING]

    # Rotation

    @pytest.mark.gen_test
    async def test_a_rotation_replaces_the_secret_and_what_goes_with_it(
        self, opened: Store
    ) -> None:
        record = make_record(data={"kept": 1, "removed": 1})
        await opened.write([Create(record)])
        rotation = make_rotation(record, user="ada", persistent=False)
        update = Update(record.id, {"n": 1}, ["removed"], record.expires + 9, rotation)
        assert await opened.write([update]) == [DONE]
        found = await load_record(opened, record.id)
        assert same_record(update.applied_to(record), found)
        assert (found.secret_hash, found.former_hash, found.user, found.persistent) == (
            rotation.secret_hash,
            record.secret_hash,
            "ada",
            False,
        )
        second = make_rotation(found, user=None)
        assert await opened.write([Update(record.id, rotation=second)]) == [DONE]
        assert (await load_record(opened, record.id)).user is None

    @pytest.mark.gen_test
    async def test_a_rotation_from_another_secret_changes_nothing(self, opened: Store) -> None:
        record = make_record(data={"n": 1, "m": 1})
        await opened.write([Create(record)])
        stale = make_rotation(make_record(), user="mallory")
        update = Update(record.id, {"n": 2}, ["m"], record.expires + 50, stale)
        assert await opened.write([update]) == [CONFLICT]
        assert same_record(record, await load_record(opened, record.id))

    @pytest.mark.gen_test
    @pytest.mark.parametrize("in_one_call", [True, False])
    async def test_of_concurrent_rotations_one_wins(self, opened: Store, in_one_call: bool) -> None:
        record = make_record()
        await opened.write([Create(record)])
        rotations = [make_rotation(record, user=f"user{n}") for n in range(8)]
        updates = [Update(record.id, {f"k{n}": n}, rotation=r) for n, r in enumerate(rotations)]
        if in_one_call:
            outcomes = list(await opened.write(updates))
        else:
            answers = await asyncio.gather(*(opened.write([update]) for update in updates))
            outcomes = [outcome for answer in answers for outcome in answer]
        assert Counter(outcomes) == {DONE: 1, CONFLICT: 7}
        winner = outcomes.index(DONE)
        expected = updates[winner].applied_to(record)
        assert same_record(expected, await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_a_change_without_rotation_lands_on_a_rotated_record(self, opened: Store) -> None:
        record = make_record()
        await opened.write([Create(record)])
        rotation = make_rotation(record)
        await opened.write([Update(record.id, rotation=rotation)])
        assert await opened.write([Update(record.id, {"late": 1})]) == [DONE]
        found = await load_record(opened, record.id)
        assert (found.secret_hash, found.data) == (rotation.secret_hash, {"late": 1})
