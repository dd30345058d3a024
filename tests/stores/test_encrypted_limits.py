"""Sealed values: how much fits, and errors that are one change's or one record's alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from stores import EncryptedStore, MemoryStore, StoreUnavailable
from stores.contract import (
    JSON,
    MAX_DATA,
    Change,
    Create,
    Outcome,
    Unreadable,
    Update,
)
from stores.json_text import size_of
from tests.helpers.every_store import STORES
from tests.helpers.records import load_record, make_record, make_rotation
from tests.helpers.sealed import NEW, kept, sealed
from tests.helpers.stores_for_tests import FaultyStore

DONE, TOO_LARGE, CONFLICT = Outcome.DONE, Outcome.TOO_LARGE, Outcome.CONFLICT


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(inner: MemoryStore) -> EncryptedStore:
    return sealed(inner)


# Limits


@pytest.mark.gen_test(timeout=20)
@pytest.mark.usefixtures("sqlite_threads_end")
@pytest.mark.parametrize("length", [0, 3, 1000])
@pytest.mark.parametrize("name", ["memory", "mongodb", "valkey", "sqlite"])
async def test_what_fits_unsealed_fits_sealed(
    request: pytest.FixtureRequest, name: str, length: int
) -> None:
    """A session of `max_bytes`, which is half of the limit, whatever the size of its values."""
    store = EncryptedStore(STORES[name](request), {2: NEW})
    await store.open()
    most = 16 * 1024
    record = make_record()
    await store.write([Create(record)])
    data: dict[str, JSON] = {f"{n:03x}": "x" * length for n in range(most // (length + 9))}
    assert most * 0.9 < size_of(data) <= most
    for keys in (list(data)[::2], list(data)[1::2], list(data)):
        update = Update(record.id, {key: data[key] for key in keys}, limit=2 * most)
        assert await store.write([update]) == [DONE]
    assert (await load_record(store, record.id)).data == data
    # Nor does it pass the limit.
    for n in range(5):
        update = Update(record.id, {f"more{n}": "y" * 4096}, limit=2 * most)
        if (await store.write([update])) == [TOO_LARGE]:
            break
    assert size_of((await load_record(store, record.id)).data) <= 2 * most
    await store.close()


@pytest.mark.gen_test
async def test_what_no_store_could_read_again_is_refused(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    most = MAX_DATA * 3 // 4
    large = make_record(data={"a": "x" * most})
    assert await store.write([Create(large)]) == [TOO_LARGE]
    record = make_record(data={"a": "x" * (most - 200)})
    assert await store.write([Create(record)]) == [DONE]
    assert size_of(await kept(inner, record.id)) <= MAX_DATA
    updates = [
        Update(record.id, {"b": "x" * 1000}, limit=MAX_DATA),  # together too large
        Update(record.id, {"a": "x" * most}, limit=MAX_DATA),
        Update(record.id, {"a": 1}, limit=MAX_DATA),
    ]
    outcomes = [outcome for update in updates for outcome in await store.write([update])]
    assert outcomes == [TOO_LARGE, TOO_LARGE, DONE]


def test_a_value_counts_for_what_it_is_and_at_most_half_more() -> None:
    """What is left of a sealed value when `ADDED` is taken away, with a key of one character."""
    store = EncryptedStore(MemoryStore(), {2: NEW})
    for length in range(300):
        change = Update(bytes(16), {"k": "x" * length})
        sealed = store.sealed(change)
        assert isinstance(sealed, Update)
        plain, counted = size_of(change.set), size_of(sealed.set) - sealed.uncounted
        assert plain <= counted <= 1.5 * plain


# Errors of one


@pytest.mark.gen_test
async def test_data_that_is_not_json_is_one_changes_error(store: EncryptedStore) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    records = [make_record() for _ in range(6)]
    bad: list[Any] = [float("nan"), "\ud800", {1, 2}, deep]
    changes: list[Change] = [
        *(Create(r._replace(data={"a": v})) for r, v in zip(records, bad, strict=False)),
        Create(records[4]._replace(data={"\ud800": 1})),
        Create(records[5]._replace(data={"a": 1})),
    ]
    *refused, last = await store.write(changes)
    assert [type(outcome) for outcome in refused] == [StoreUnavailable] * 5
    assert last is DONE
    assert list(await store.load([r.id for r in records])) == [records[5].id]


class OddStore(MemoryStore):
    """A third party's, with *answer* for each record, and too few outcomes."""

    def __init__(self, answer: Any = None) -> None:
        super().__init__()
        self.answer = answer

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Any]:
        return dict.fromkeys(ids, self.answer)

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        return []


@pytest.mark.gen_test
async def test_what_the_inner_store_answers_is_passed_on() -> None:
    unreadable, unavailable = Unreadable("garbled"), StoreUnavailable("a node is down")
    strange = make_record(data="text")
    for answer in (unreadable, unavailable, strange, make_record(), "no record", None):
        store = EncryptedStore(OddStore(answer), {2: NEW})
        assert await store.load([b"id"]) == {b"id": answer}


@pytest.mark.gen_test
async def test_outcomes_that_are_too_few_are_not_guessed() -> None:
    store = EncryptedStore(OddStore(), {2: NEW})
    bad = make_record(data={"a": float("nan")})
    with pytest.raises(StoreUnavailable, match="0 outcomes for 1 changes"):
        await store.write([Create(bad), Create(make_record())])


@pytest.mark.gen_test
async def test_a_conflict_of_the_rotation_is_no_endless_search(
    store: EncryptedStore, inner: MemoryStore
) -> None:
    record = make_record(data={"a": 1})
    await store.write([Create(record)])
    stale = make_rotation(make_record())
    (outcome,) = await store.write([Update(record.id, rotation=stale, expected={"a": 1})])
    assert outcome is CONFLICT


def test_it_is_as_the_store_inside() -> None:
    inner = FaultyStore()
    inner.timeout = 0.5
    store = EncryptedStore(inner, {2: NEW})
    assert (store.timeout, store.shared, store.expires_itself) == (0.5, False, False)
    memory = MemoryStore()
    assert EncryptedStore(memory, {2: NEW}).on_evict is memory.on_evict
    assert store.name == "faulty: (sealed)"
