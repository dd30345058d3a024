"""Changes on condition of values, and values that do not count: a part of `tests.store_contract`.

A store that wraps another one is made of these.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stores.contract import JSON, Create, Outcome, Record, Store, Update
from tests.helpers.records import load_record, make_record, make_rotation, same_record

DONE, MISSING = Outcome.DONE, Outcome.MISSING
CONFLICT, TOO_LARGE = Outcome.CONFLICT, Outcome.TOO_LARGE

LIMIT = 8 * 1024

OTHERS: list[tuple[Any, Any]] = [
    *((1, 2), (1, 1.0), (1, True), (1, "1"), (0.0, -0.0), (None, False), (None, "")),
    *(("a", "A"), ("a", ["a"]), ("a", "a "), ([], {}), ([1], [1.0]), ([1, 2], [2, 1])),
    *(({"a": 1}, {"a": 1, "b": 2}), ({"a": [None]}, {"a": []}), ("x" * 3000, "x" * 2999)),
]
"""What a record has, and what is expected although it is another value."""


class ExpectationsContract:
    """Updates that expect values, and limits that do not count a part of each."""

    @pytest.mark.gen_test
    async def test_an_update_replaces_the_values_it_expects(self, opened: Store) -> None:
        for has, _ in OTHERS:
            record = make_record(data={"kept": 1, "k": has, "a.b$": has, "": 5})
            await opened.write([Create(record)])
            expected: dict[str, JSON] = {"k": has, "a.b$": has, "": 5}
            update = Update(record.id, {"k": "new", "n": 1}, [""], expected=expected)
            assert await opened.write([update]) == [DONE], has
            data: dict[str, JSON] = {"kept": 1, "k": "new", "n": 1, "a.b$": has}
            assert same_record(record._replace(data=data), await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_an_update_that_expects_another_value_conflicts(self, opened: Store) -> None:
        for has, other in OTHERS:
            record = make_record(data={"k": has, "n": 1})
            await opened.write([Create(record)])
            update = Update(record.id, {"n": 2}, ["k"], record.expires + 9)
            for expected in ({"k": other}, {"k": has, "absent": None}, {"n": 1, "k": other}):
                change = update._replace(expected=expected)
                assert await opened.write([change]) == [CONFLICT], (has, other)
            assert same_record(record, await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_expected_values_and_other_conditions_all_hold(self, opened: Store) -> None:
        record = make_record(data={"k": 1})
        await opened.write([Create(record)])
        rotation = make_rotation(record, user="ada")
        update = Update(record.id, {"n": 1}, rotation=rotation, expected={"k": 2})
        assert await opened.write([update]) == [CONFLICT]
        stale = make_rotation(make_record())
        update = update._replace(rotation=stale, expected={"k": 1})
        assert await opened.write([update]) == [CONFLICT]
        update = Update(record.id, {"n": "x" * 2 * LIMIT}, limit=LIMIT, expected={"k": 1})
        assert await opened.write([update]) == [TOO_LARGE]
        assert same_record(record, await load_record(opened, record.id))
        update = Update(record.id, {"n": 1}, rotation=rotation, limit=LIMIT, expected={"k": 1})
        assert await opened.write([update]) == [DONE]
        assert same_record(update.applied_to(record), await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_nothing_is_expected_of_a_record_that_is_missing(self, opened: Store) -> None:
        record = make_record(data={"k": 1})
        update = Update(record.id, {"n": 1}, expected={"k": 1})
        assert await opened.write([update]) == [MISSING]
        creating = update._replace(or_create=record, expected={"k": 2})
        assert await opened.write([creating]) == [CONFLICT]
        assert await opened.load([record.id]) == {}
        creating = update._replace(or_create=record)
        assert await opened.write([creating]) == [DONE]
        assert await opened.write([creating._replace(expected={"k": 3})]) == [CONFLICT]
        assert (await load_record(opened, record.id)).data == {"k": 1, "n": 1}

    @pytest.mark.gen_test(timeout=30)
    async def test_who_expects_what_he_read_loses_no_update(self, opened: Store) -> None:
        """Several count up in one key: each counts once for each that was acknowledged."""
        record = make_record(data={"n": 0, "other": 0})
        await opened.write([Create(record)])

        async def count(times: int) -> None:
            while times:
                n = (await load_record(opened, record.id)).data["n"]
                assert isinstance(n, int)
                update = Update(record.id, {"n": n + 1}, expected={"n": n})
                (outcome,) = await opened.write([update])
                assert outcome in (DONE, CONFLICT)
                times -= outcome is DONE

        async def disturb() -> None:
            for n in range(10):
                await opened.write([Update(record.id, {"other": n})])

        await asyncio.gather(*(count(5) for _ in range(4)), disturb())
        assert (await load_record(opened, record.id)).data == {"n": 20, "other": 9}

    @pytest.mark.gen_test
    async def test_what_does_not_count_is_free_within_a_limit(self, opened: Store) -> None:
        record = make_record(data={f"k{n}": "x" * 100 for n in range(50)})
        await opened.write([Create(record)])
        update = Update(record.id, {"new": "y" * 3000}, limit=LIMIT)
        assert await opened.write([update]) == [TOO_LARGE]
        assert await opened.write([update._replace(uncounted=100)]) == [DONE]
        more = Update(record.id, {"more": "y" * 5000}, limit=LIMIT, uncounted=100)
        assert await opened.write([more]) == [TOO_LARGE]
        found: Record = await load_record(opened, record.id)
        assert found.data == {**record.data, "new": "y" * 3000}

    @pytest.mark.gen_test(timeout=30)
    async def test_no_number_of_requests_passes_what_counts(self, opened: Store) -> None:
        record = make_record()
        updates = [
            Update(record.id, {f"k{n}": "x" * 180}, limit=LIMIT, or_create=record, uncounted=90)
            for n in range(200)
        ]
        answers = await asyncio.gather(*(opened.write(updates[i::4]) for i in range(4)))
        outcomes = [outcome for answer in answers for outcome in answer]
        data = (await load_record(opened, record.id)).data
        assert outcomes.count(DONE) == len(data)
        assert set(outcomes) == {DONE, TOO_LARGE}
        assert LIMIT / 2 < 97 * len(data) <= LIMIT  # an entry is 187 bytes at least
