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

from app import values
from stores.contract import Create, Delete, Outcome, Record, Store, Update
from tests.records import make_record, make_rotation

DONE, EXISTS, MISSING, CONFLICT = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING, Outcome.CONFLICT

KEYS = [
    *(
        "",
        " ",
        ".",
        "a.b",
        "$set",
        "$",
        "%",
        "%2E",
        "\x00",
        "a\x00b",
        "'",
        '"',
        "\\",
        "`",
        "__proto__",
    ),
    *(
        "d:x",
        "user",
        "secret",
        "_id",
        "zoë",
        "日本",
        "\N{GRINNING FACE}",
        "\u2028",
        "\uffff",
        "0",
        "-1",
    ),
    *("Key", "key", "key ", "[0]", "{}", "a" * 1000),
]
"""Keys that some database takes for something else, or for each other."""

VALUES = [
    *(None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 1.0, 0.1, 1e308, 5e-324, 2.0**53, -1e-7, 1e22),
    *(
        "",
        "1",
        "null",
        "\x00",
        "a\x00",
        "\u2028\u2029",
        "\N{GRINNING FACE}",
        "\ufdd0",
        "'; --",
        "$x",
    ),
    *([], {}, [[]], [{}], {"": {}}, [None, [None]], {"a": [1, {"b": [2.5, "c"]}]}),
]
"""Values that some database or encoding changes on the way."""


def nested(depth: int) -> Any:
    """Return a list in a list in a list, *depth* deep."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def same_record(expected: Record, found: Record) -> bool:
    """Tell whether all is equal, 1 not being 1.0 or True; times to a millisecond."""
    times = {"created": 0.0, "expires": 0.0, "rotated": None}
    return (
        values.same(dict(expected.data), dict(found.data))
        and expected._replace(data={}, **times) == found._replace(data={}, **times)
        and (expected.rotated is None) == (found.rotated is None)
        and abs(expected.created - found.created) <= 0.001
        and abs(expected.expires - found.expires) <= 0.001
        and abs((expected.rotated or 0) - (found.rotated or 0)) <= 0.001
    )


class StoreContract:
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

    def test_its_name_is_one_line_and_its_settings_are_of_their_types(self, store: Store) -> None:
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
        found = await opened.load([full.id, bare.id])
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
        found = await opened.load([record.id for record in records])
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
        found = await opened.load([first.id, other.id])
        assert same_record(first, found[first.id])
        assert same_record(other, found[other.id])

    @pytest.mark.gen_test
    async def test_ids_of_any_bytes_are_told_apart(self, opened: Store) -> None:
        tail = os.urandom(13)
        heads = [b"\x00\x00\x00", b"\xff\xff\xff", b"Aa ", b"aA ", b"'\"\\", b"%_\n", b" aA"]
        records = [make_record(id=h + tail, data={"n": n}) for n, h in enumerate(heads)]
        assert await opened.write([Create(record) for record in records]) == [DONE] * len(heads)
        found = await opened.load([record.id for record in records])
        assert [found[r.id].data["n"] for r in records] == list(range(len(heads)))
        await opened.write([Delete(record.id) for record in records])

    # What a session may hold

    @pytest.mark.gen_test
    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    async def test_any_key_is_kept_changed_and_removed(self, opened: Store, key: str) -> None:
        others = {"x": 1, "a": {"b": 2}}
        record = make_record(data={**others, key: 0})
        await opened.write([Create(record)])
        value = {key: [{key: 1}]}
        assert await opened.write([Update(record.id, set={key: value})]) == [DONE]
        found = (await opened.load([record.id]))[record.id]
        assert values.same({**others, key: value}, dict(found.data))
        assert await opened.write([Update(record.id, unset=[key])]) == [DONE]
        assert (await opened.load([record.id]))[record.id].data == others

    @pytest.mark.gen_test
    async def test_all_keys_are_kept_beside_each_other(self, opened: Store) -> None:
        data = {key: n for n, key in enumerate(KEYS)}
        created, updated = make_record(data=data), make_record()
        await opened.write([Create(created), Create(updated)])
        await opened.write([Update(updated.id, set=data)])
        found = await opened.load([created.id, updated.id])
        assert found[created.id].data == data
        assert found[updated.id].data == data

    @pytest.mark.gen_test
    @pytest.mark.parametrize("value", VALUES, ids=ascii)
    async def test_any_value_comes_back_equal_and_of_its_type(
        self, opened: Store, value: Any
    ) -> None:
        created, updated = make_record(data={"v": value, "l": [value]}), make_record()
        await opened.write([Create(created), Create(updated)])
        await opened.write([Update(updated.id, set={"v": value, "l": [value]})])
        for found in (await opened.load([created.id, updated.id])).values():
            assert values.same({"v": value, "l": [value]}, dict(found.data))

    @pytest.mark.gen_test
    async def test_the_deepest_nesting_is_kept(self, opened: Store) -> None:
        deep = nested(values.MAX_DEPTH)
        values.check(deep, "deep")
        record = make_record(data={"deep": deep})
        await opened.write([Create(record)])
        await opened.write([Update(record.id, set={"again": deep})])
        assert (await opened.load([record.id]))[record.id].data == {"deep": deep, "again": deep}

    @pytest.mark.gen_test
    async def test_a_large_session_is_kept(self, opened: Store) -> None:
        record = make_record(data={"text": "ä" * 30_000, "many": list(range(1000))})
        await opened.write([Create(record)])
        assert same_record(record, (await opened.load([record.id]))[record.id])

    @pytest.mark.gen_test
    @pytest.mark.parametrize("user", ["ada", "Ada", "zoë \N{GRINNING FACE}", "'; --", "u" * 255])
    async def test_any_user_is_kept(self, opened: Store, user: str) -> None:
        created, signed_in = make_record(user=user), make_record()
        await opened.write([Create(created), Create(signed_in)])
        rotation = make_rotation(signed_in, user=user)
        assert await opened.write([Update(signed_in.id, rotation=rotation)]) == [DONE]
        found = await opened.load([created.id, signed_in.id])
        assert [record.user for record in found.values()] == [user, user]

    # Update

    @pytest.mark.gen_test
    async def test_an_update_touches_only_the_keys_it_names(self, opened: Store) -> None:
        record = make_record(data={"kept": [1], "changed": 1, "removed": 1}, user="ada")
        await opened.write([Create(record)])
        update = Update(record.id, {"changed": {"deep": 2}, "added": None}, ["removed", "absent"])
        assert await opened.write([update]) == [DONE]
        expected = record._replace(data={"kept": [1], "changed": {"deep": 2}, "added": None})
        assert same_record(expected, (await opened.load([record.id]))[record.id])

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
        assert same_record(record, (await opened.load([record.id]))[record.id])

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
        assert same_record(expected, (await opened.load([record.id]))[record.id])

    @pytest.mark.gen_test
    async def test_different_keys_changed_in_one_call_all_win(self, opened: Store) -> None:
        record = make_record(data={"old": 0})
        await opened.write([Create(record)])
        updates = [Update(record.id, {f"k{n}": n}, expires=record.expires + n) for n in range(30)]
        assert await opened.write([*updates, Update(record.id, unset=["old"])]) == [DONE] * 31
        expected = record._replace(
            data={f"k{n}": n for n in range(30)}, expires=record.expires + 29
        )
        assert same_record(expected, (await opened.load([record.id]))[record.id])

    @pytest.mark.gen_test
    async def test_different_keys_changed_in_concurrent_calls_all_win(self, opened: Store) -> None:
        record = make_record(data={f"old{n}": n for n in range(20)})
        await opened.write([Create(record)])
        calls = [opened.write([Update(record.id, {f"k{n}": n}, [f"old{n}"])]) for n in range(20)]
        assert await asyncio.gather(*calls) == [[DONE]] * 20
        found = (await opened.load([record.id]))[record.id]
        assert found.data == {f"k{n}": n for n in range(20)}

    @pytest.mark.gen_test
    async def test_concurrent_calls_over_the_same_records_do_not_block_each_other(
        self, opened: Store
    ) -> None:
        records = [make_record() for _ in range(10)]
        await opened.write([Create(record) for record in records])
        orders = [records, records[::-1], records[5:] + records[:5], records[::2] + records[1::2]]
        calls = [
            opened.write([Update(r.id, {f"k{n}": n}) for r in order])
            for n, order in enumerate(orders * 3)
        ]
        assert await asyncio.gather(*calls) == [[DONE] * 10] * 12
        found = await opened.load([record.id for record in records])
        assert all(r.data == {f"k{n}": n for n in range(12)} for r in found.values())

    @pytest.mark.gen_test
    async def test_of_one_key_the_later_acknowledged_value_stays(self, opened: Store) -> None:
        record = make_record()
        await opened.write([Create(record)])
        for n in range(10):
            await opened.write([Update(record.id, {"n": n})])
            assert (await opened.load([record.id]))[record.id].data == {"n": n}

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
        found = (await opened.load([record.id]))[record.id]
        assert same_record(update.applied_to(record), found)
        assert (found.secret_hash, found.former_hash, found.user, found.persistent) == (
            rotation.secret_hash,
            record.secret_hash,
            "ada",
            False,
        )
        second = make_rotation(found, user=None)
        assert await opened.write([Update(record.id, rotation=second)]) == [DONE]
        assert (await opened.load([record.id]))[record.id].user is None

    @pytest.mark.gen_test
    async def test_a_rotation_from_another_secret_changes_nothing(self, opened: Store) -> None:
        record = make_record(data={"n": 1, "m": 1})
        await opened.write([Create(record)])
        stale = make_rotation(make_record(), user="mallory")
        update = Update(record.id, {"n": 2}, ["m"], record.expires + 50, stale)
        assert await opened.write([update]) == [CONFLICT]
        assert same_record(record, (await opened.load([record.id]))[record.id])

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
        assert sorted(o.name for o in outcomes) == ["CONFLICT"] * 7 + ["DONE"]
        winner = outcomes.index(DONE)
        expected = updates[winner].applied_to(record)
        assert same_record(expected, (await opened.load([record.id]))[record.id])

    @pytest.mark.gen_test
    async def test_a_change_without_rotation_lands_on_a_rotated_record(self, opened: Store) -> None:
        record = make_record()
        await opened.write([Create(record)])
        rotation = make_rotation(record)
        await opened.write([Update(record.id, rotation=rotation)])
        assert await opened.write([Update(record.id, {"late": 1})]) == [DONE]
        found = (await opened.load([record.id]))[record.id]
        assert (found.secret_hash, found.data) == (rotation.secret_hash, {"late": 1})

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
    async def test_an_expired_record_is_no_error_whether_it_is_still_there_or_not(
        self, opened: Store
    ) -> None:
        dead = make_record(expires=time.time() - 60)
        assert await opened.write([Create(dead)]) == [DONE]
        found = await opened.load([dead.id])
        assert list(found) in ([], [dead.id])
        assert all(record.expires < time.time() for record in found.values())
        (outcome,) = await opened.write([Update(dead.id, {"n": 1})])
        assert outcome in (DONE, MISSING)
        assert await opened.write([Delete(dead.id)]) == [DONE]

    @pytest.mark.gen_test
    async def test_a_sweep_removes_the_dead_in_steps_and_leaves_the_living(
        self, opened: Store
    ) -> None:
        now = time.time()
        dead = [make_record(created=now - 900, expires=now - 300) for _ in range(25)]
        living = [make_record(data={"n": n}) for n in range(5)]
        await opened.write([Create(record) for record in (*dead, *living)])
        while removed := await opened.sweep(now, 10):
            assert removed <= 10
        found = await opened.load([record.id for record in living])
        assert len(found) == 5
        swept = await opened.load([record.id for record in dead])
        if type(opened).sweep is not Store.sweep:  # else the server removes them in its own time
            assert swept == {}
