"""On what conditions a store changes a record: a part of `tests.store_contract`."""

from __future__ import annotations

import asyncio

import pytest

from stores.contract import JSON, NEVER_ROTATED, Create, Delete, Outcome, Record, Store, Update
from tests.helpers.records import load_record, make_record, make_rotation, same_record

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING
CONFLICT, TOO_LARGE = Outcome.CONFLICT, Outcome.TOO_LARGE

LIMIT = 8 * 1024


class ConditionsContract:
    """Rotations of a state, times that only advance, limits, and updates that create."""

    # Rotation

    @pytest.mark.gen_test
    async def test_a_rotation_replaces_the_state_it_expects(self, opened: Store) -> None:
        record = make_record()
        await opened.write([Create(record)])
        late = make_rotation(record, rotated=record.created + 9, expected_rotated=NEVER_ROTATED)
        # From the secret to itself, at another time: nothing but the time tells that it was there.
        mark = make_rotation(
            record,
            secret_hash=record.secret_hash,
            rotated=record.created + 1.5,
            expected_rotated=NEVER_ROTATED,
        )
        assert await opened.write([Update(record.id, rotation=mark)]) == [DONE]
        assert await opened.write([Update(record.id, {"n": 1}, rotation=late)]) == [CONFLICT]
        found = await load_record(opened, record.id)
        assert (found.secret_hash, dict(found.data)) == (record.secret_hash, {})
        again = late._replace(expected_rotated=found.rotated)
        assert await opened.write([Update(record.id, {"n": 1}, rotation=again)]) == [DONE]
        found = await load_record(opened, record.id)
        assert (found.secret_hash, found.former_hash) == (late.secret_hash, record.secret_hash)
        assert dict(found.data) == {"n": 1}

    @pytest.mark.gen_test
    async def test_of_two_rotations_of_one_state_one_wins(self, opened: Store) -> None:
        record = make_record(rotated=1_700_000_000.123, former_hash=bytes(32))
        await opened.write([Create(record)])
        known = (await load_record(opened, record.id)).rotated
        rotations = [make_rotation(record, expected_rotated=known) for _ in range(4)]
        answers = await asyncio.gather(
            *(opened.write([Update(record.id, rotation=rotation)]) for rotation in rotations)
        )
        outcomes = [outcome for (outcome,) in answers]
        assert sorted(outcomes, key=str) == [*[CONFLICT] * 3, DONE]
        found = await load_record(opened, record.id)
        assert found.secret_hash == rotations[outcomes.index(DONE)].secret_hash

    # Times

    @pytest.mark.gen_test
    async def test_when_the_user_proved_who_he_is_is_kept(self, opened: Store) -> None:
        record = make_record(authenticated=1_700_000_000.25, user="ada")
        await opened.write([Create(record)])
        assert same_record(record, await load_record(opened, record.id))
        keeps = make_rotation(record, user="ada")
        await opened.write([Update(record.id, rotation=keeps)])
        found = await load_record(opened, record.id)
        assert found.authenticated == 1_700_000_000.25
        proves = make_rotation(found, user="ada", authenticated=1_700_000_100.5)
        await opened.write([Update(record.id, rotation=proves)])
        assert (await load_record(opened, record.id)).authenticated == 1_700_000_100.5

    @pytest.mark.gen_test
    async def test_the_time_it_was_seen_only_advances(self, opened: Store) -> None:
        record = make_record()
        await opened.write([Create(record)])
        assert (await load_record(opened, record.id)).seen is None
        for seen, expected in ((50.5, 50.5), (70.25, 70.25), (60.0, 70.25)):
            update = Update(record.id, expires=record.expires + seen, seen=seen)
            assert await opened.write([update]) == [DONE]
            assert (await load_record(opened, record.id)).seen == expected
        assert await opened.write([Update(record.id, {"n": 1})]) == [DONE]
        assert (await load_record(opened, record.id)).seen == 70.25

    # Limit

    @pytest.mark.gen_test
    async def test_below_half_of_the_limit_nothing_is_too_large(self, opened: Store) -> None:
        values: tuple[JSON, ...] = (
            ["x" * 3000],
            [*range(900)],
            {str(n): n for n in range(300)},
            "\x00" * 400,
        )
        for value in values:
            record = make_record(data={"kept": 1})
            await opened.write([Create(record)])
            update = Update(record.id, {"value": value}, limit=LIMIT)
            assert await opened.write([update]) == [DONE], type(value)
            assert await opened.write([update]) == [DONE], type(value)

    @pytest.mark.gen_test
    async def test_what_would_pass_the_limit_is_refused_whole(self, opened: Store) -> None:
        record = make_record(data={"kept": "x" * 5000})
        await opened.write([Create(record)])
        update = Update(record.id, {"new": "y" * 5000}, ["kept"], record.expires + 9, limit=LIMIT)
        assert await opened.write([update._replace(unset=[])]) == [TOO_LARGE]
        assert same_record(record, await load_record(opened, record.id))
        rotation = make_rotation(record)
        assert await opened.write([update._replace(unset=[], rotation=rotation)]) == [TOO_LARGE]
        assert same_record(record, await load_record(opened, record.id))
        # What takes the place of something else counts without that.
        assert await opened.write([Update(record.id, {"kept": "z" * 3500}, limit=LIMIT)]) == [DONE]
        assert await opened.write([Update(record.id, unset=["kept"], limit=1)]) == [DONE]
        assert await opened.write([Update(record.id, expires=0.0, limit=1)]) == [DONE]

    @pytest.mark.gen_test(timeout=30)
    async def test_no_number_of_requests_passes_the_limit(self, opened: Store) -> None:
        for size in (20, 300, 3000):
            record = make_record()
            await opened.write([Create(record)])
            updates = [
                Update(record.id, {f"k{n}": "x" * size}, limit=LIMIT)
                for n in range(3 * LIMIT // (size + 10))
            ]
            answers = await asyncio.gather(
                *(opened.write(updates[i::4]) for i in range(4)),
            )
            outcomes = [outcome for answer in answers for outcome in answer]
            data = (await load_record(opened, record.id)).data
            assert outcomes.count(DONE) == len(data)
            assert set(outcomes) == {DONE, TOO_LARGE}
            assert LIMIT / 2 - 2 * size < size * len(data) <= LIMIT

    # Creating

    @pytest.mark.gen_test
    async def test_an_update_creates_if_it_says_so(self, opened: Store) -> None:
        first = make_record(data={"a": 1, "b": 2}, user="ada")
        update = Update(first.id, {"b": 3, "c": 4}, ["a"], first.expires + 5, or_create=first)
        assert await opened.write([update]) == [DONE]
        expected = first._replace(data={"b": 3, "c": 4}, expires=first.expires + 5)
        assert same_record(expected, await load_record(opened, first.id))
        other = first._replace(data={"x": 1}, user="eve")
        assert await opened.write([Update(first.id, {"d": 5}, or_create=other)]) == [DONE]
        expected = expected._replace(data={"b": 3, "c": 4, "d": 5})
        assert same_record(expected, await load_record(opened, first.id))

    @pytest.mark.gen_test
    async def test_an_update_may_create_with_nothing_more(self, opened: Store) -> None:
        for data in ({}, {"a": {"b": [1]}}):
            record = make_record(data=data, seen=1_700_000_000.5)
            assert await opened.write([Update(record.id, or_create=record)]) == [DONE]
            assert same_record(record, await load_record(opened, record.id))

    @pytest.mark.gen_test
    async def test_of_updates_that_create_all_take_effect(self, opened: Store) -> None:
        record = make_record()
        updates = [Update(record.id, {f"k{n}": n}, or_create=record) for n in range(12)]
        answers = await asyncio.gather(*(opened.write(updates[i::3]) for i in range(3)))
        assert [outcome for answer in answers for outcome in answer] == [DONE] * 12
        found = await load_record(opened, record.id)
        assert dict(found.data) == {f"k{n}": n for n in range(12)}

    @pytest.mark.gen_test
    async def test_an_update_that_creates_keeps_the_limit(self, opened: Store) -> None:
        record = make_record()
        update = Update(record.id, {"k": "x" * 9000}, limit=LIMIT, or_create=record)
        assert await opened.write([update]) == [TOO_LARGE]
        assert await opened.load([record.id]) == {}

    # Together

    @pytest.mark.gen_test
    async def test_an_update_beside_a_create_is_told_the_truth(self, opened: Store) -> None:
        """In one batch either may come first; the outcome says what became of the update."""
        for first in (True, False):
            record = make_record(data={"n": 0})
            update, create = Update(record.id, {"n": 1}), Create(record)
            answers = await opened.write([update, create] if first else [create, update])
            told = answers[0 if first else 1]
            assert answers[1 if first else 0] is DONE
            found: Record = await load_record(opened, record.id)
            assert (told, found.data["n"]) in ((DONE, 1), (MISSING, 0))

    @pytest.mark.gen_test
    async def test_an_update_beside_a_delete_is_told_the_truth(self, opened: Store) -> None:
        record = make_record(data={"n": 0})
        await opened.write([Create(record)])
        outcomes = await opened.write([Update(record.id, {"n": 1}), Delete(record.id)])
        assert outcomes[1] is DONE
        assert outcomes[0] in (DONE, MISSING)
        assert await opened.load([record.id]) == {}

    @pytest.mark.gen_test
    async def test_a_change_that_is_refused_refuses_no_other(self, opened: Store) -> None:
        records = [make_record(data={"kept": "x" * 100}) for _ in range(6)]
        await opened.write([Create(record) for record in records])
        a, b, c, d, e, f = (record.id for record in records)
        new = make_record()
        outcomes = await opened.write(
            [
                Update(a, {"n": 1}),
                Update(b, {"n": "y" * 2 * LIMIT}, limit=LIMIT),
                Update(c, rotation=make_rotation(make_record())),
                Create(records[3]),
                Update(new.id, {"n": 1}),
                Update(e, {"n": 2}, rotation=make_rotation(records[4])),
                Delete(f),
            ]
        )
        assert outcomes == [DONE, TOO_LARGE, CONFLICT, EXISTS, MISSING, DONE, DONE]
        found = await opened.load([a, b, c, d, e, f, new.id])
        assert set(found) == {a, b, c, d, e}
        assert (await load_record(opened, a)).data["n"] == 1
        assert (await load_record(opened, e)).data["n"] == 2
