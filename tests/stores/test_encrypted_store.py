"""Sealed values: what is kept, what opens, what does not, and under which key."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stores import EncryptedStore, MemoryStore, StoreUnavailable
from stores.contract import (
    JSON,
    MAX_DATA,
    Change,
    Create,
    Delete,
    Outcome,
    Record,
    Unopened,
    Unreadable,
    Update,
)
from stores.encrypted.keys import MasterKeys
from stores.json_text import size_of
from tests.helpers.every_store import STORES
from tests.helpers.records import load_record, make_record, make_rotation
from tests.helpers.stores_for_tests import FaultyStore

DONE, TOO_LARGE, CONFLICT = Outcome.DONE, Outcome.TOO_LARGE, Outcome.CONFLICT

OLD, NEW = os.urandom(32), os.urandom(32)


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(inner: MemoryStore) -> EncryptedStore:
    return EncryptedStore(inner, {2: NEW, 1: OLD})


async def kept(inner: MemoryStore, id: bytes) -> dict[str, Any]:
    """Return the values of a record as the inner store has them."""
    return dict((await load_record(inner, id)).data)


async def put(inner: MemoryStore, record: Record, **data: JSON) -> None:
    """Let somebody with access to the database write values."""
    await inner.write([Update(record.id, data)])


async def reason(store: EncryptedStore, id: bytes) -> str:
    """Return why a record does not open."""
    answer = (await store.load([id]))[id]
    assert isinstance(answer, Unopened)
    assert answer.record.id == id
    return str(answer)


# What is kept


@pytest.mark.gen_test
async def test_a_value_can_be_opened_by_this_description(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    """An independent reader of the format, as README has it."""
    record = make_record(data={"näme": ["Zoë", 1.5, None]})
    await store.write([Create(record)])
    text = (await kept(inner, record.id))["näme"]
    assert text[:12] == "sealed:0002:"
    box = base64.b64decode(text[12:], validate=True)
    key = MasterKeys({2: NEW}).key_of(2, record.id)
    plain = AESGCM(key).decrypt(box[:12], box[12:], "näme".encode())
    assert json.loads(plain) == ["Zoë", 1.5, None]


@pytest.mark.gen_test
async def test_all_but_the_values_is_kept_in_clear(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    record = make_record(data={"name": "Ada"}, user="ada", seen=1_700_000_000.5)
    await store.write([Create(record)])
    found = await load_record(inner, record.id)
    assert found._replace(data={}) == record._replace(data={})
    assert list(found.data) == ["name"]


@pytest.mark.gen_test
async def test_equal_values_look_different(inner: MemoryStore, store: EncryptedStore) -> None:
    record = make_record(data={"a": "x", "b": "x"})
    await store.write([Create(record)])
    seen = set((await kept(inner, record.id)).values())
    for _ in range(20):
        await store.write([Update(record.id, {"a": "x"})])
        seen.add((await kept(inner, record.id))["a"])
    assert len(seen) == 22


@pytest.mark.gen_test
async def test_an_update_seals_the_keys_it_sets_alone(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    record = make_record(data={"a": 1, "b": 2, "c": 3})
    await store.write([Create(record)])
    before = await kept(inner, record.id)
    await store.write([Update(record.id, {"b": 20}, ["c"])])
    after = await kept(inner, record.id)
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]
    assert list(after) == ["a", "b"]


# What does not open


@pytest.mark.gen_test
async def test_a_value_opens_in_its_own_place_alone(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    record, other = make_record(data={"a": 1, "b": 2}), make_record(data={"a": 3})
    await store.write([Create(record), Create(other)])
    values = await kept(inner, record.id)
    await put(inner, record, b=values["a"])
    assert "does not open with key 2" in await reason(store, record.id)
    await put(inner, other, a=values["a"])
    assert "does not open with key 2" in await reason(store, other.id)


@pytest.mark.gen_test
async def test_a_changed_value_does_not_open(inner: MemoryStore, store: EncryptedStore) -> None:
    record = make_record(data={"a": "0123456789"})
    await store.write([Create(record)])
    text = (await kept(inner, record.id))["a"]
    box = base64.b64decode(text[12:])
    for n in range(len(box)):
        changed = box[:n] + bytes([box[n] ^ 1]) + box[n + 1 :]
        await put(inner, record, a=text[:12] + base64.b64encode(changed).decode())
        assert "does not open with key 2" in await reason(store, record.id)
    await put(inner, record, a="sealed:0001:" + text[12:])
    assert "does not open with key 1" in await reason(store, record.id)
    await put(inner, record, a=text)
    assert (await load_record(store, record.id)).data == {"a": "0123456789"}


@pytest.mark.gen_test
async def test_a_key_that_is_not_there_is_told_by_number(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    record, fine = make_record(data={"a": 1}), make_record()
    await store.write([Create(record), Create(fine)])
    former = EncryptedStore(inner, {1: OLD})
    await former.write([Update(fine.id, {"b": 2})])
    assert await reason(former, record.id) == "a value is sealed with key 2, which is not there"
    found = await former.load([record.id, fine.id])
    assert isinstance(found[record.id], StoreUnavailable)
    answer = found[fine.id]  # one record's trouble is not another's
    assert isinstance(answer, Record)
    assert answer.data == {"b": 2}
    impostor = EncryptedStore(inner, {2: os.urandom(32)})
    assert "that was another one" in await reason(impostor, record.id)


PLAIN: list[Any] = [
    *("planted", "", "sealed:", "sealed:0002", "sealed:0002:", "sealed:0002:AAAA", "Sealed:0002:"),
    *("sealed:0002:" + "A" * 39, "sealed:0002:" + "=" * 60, "sealed:\u0662\u0662\u0662\u0662:x"),
    *("sealed:0002:" + "\xe9" * 60, None, True, 0, 1.5, [], {"a": 1}, ["sealed:0002:"]),
]


@pytest.mark.gen_test
@pytest.mark.parametrize("value", PLAIN, ids=ascii)
async def test_a_plain_value_does_not_open(
    inner: MemoryStore, store: EncryptedStore, value: JSON
) -> None:
    """Else who can write to the database could plant values."""
    record = make_record(data={"a": 1})
    await store.write([Create(record)])
    await put(inner, record, b=value)
    assert await reason(store, record.id) == "a value is not sealed"


@pytest.mark.gen_test
async def test_what_does_not_open_can_be_overwritten_and_removed(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    record = make_record(data={"a": 1})
    await store.write([Create(record)])
    await put(inner, record, a="planted")
    assert await store.write([Update(record.id, {"b": 2})]) == [DONE]
    assert await reason(store, record.id)
    assert await store.write([Update(record.id, {"a": 3})]) == [DONE]
    assert (await load_record(store, record.id)).data == {"a": 3, "b": 2}
    assert await store.write([Delete(record.id)]) == [DONE]
    assert await store.load([record.id]) == {}


@pytest.mark.gen_test
async def test_nothing_is_expected_of_what_does_not_open(
    inner: MemoryStore, store: EncryptedStore
) -> None:
    record = make_record(data={"a": 1})
    await store.write([Create(record)])
    await put(inner, record, b="planted")
    (outcome,) = await store.write([Update(record.id, {"c": 1}, expected={"a": 1})])
    assert isinstance(outcome, Unopened)


# Moving in


@pytest.mark.gen_test
async def test_plain_values_are_read_and_sealed_when_written(inner: MemoryStore) -> None:
    data: dict[str, JSON] = {f"k{n}": value for n, value in enumerate(PLAIN)}
    record = make_record(data=data)
    await inner.write([Create(record)])
    store = EncryptedStore(inner, {2: NEW}, accept_plain=True)
    assert (await load_record(store, record.id)).data == data
    await store.write([Update(record.id, {"k1": "sealed now"})])
    assert (await load_record(store, record.id)).data == {**data, "k1": "sealed now"}
    assert list((await load_record(store, record.id)).data) == list(data)
    assert (await kept(inner, record.id))["k1"].startswith("sealed:0002:")
    strict = EncryptedStore(inner, {2: NEW})
    assert await reason(strict, record.id) == "a value is not sealed"


@pytest.mark.gen_test
async def test_while_moving_in_a_changed_value_does_not_open(inner: MemoryStore) -> None:
    store = EncryptedStore(inner, {2: NEW}, accept_plain=True)
    record, other = make_record(data={"a": 1}), make_record(data={"a": 1})
    await store.write([Create(record), Create(other)])
    await put(inner, record, a=(await kept(inner, other.id))["a"])
    assert "does not open with key 2" in await reason(store, record.id)


# Another master key


@pytest.mark.gen_test
async def test_a_new_key_seals_what_is_written(inner: MemoryStore) -> None:
    """First each process knows the new key, then it seals, then the old one goes."""
    before = EncryptedStore(inner, {1: OLD})
    both = EncryptedStore(inner, {2: NEW, 1: OLD}, seal_with=1)
    after = EncryptedStore(inner, {2: NEW, 1: OLD})
    alone = EncryptedStore(inner, {2: NEW})
    record = make_record(data={"a": 1, "b": 2})
    await before.write([Create(record)])
    await both.write([Update(record.id, {"a": 10})])
    assert (await load_record(before, record.id)).data == {"a": 10, "b": 2}
    await after.write([Update(record.id, {"a": 11})])
    assert (await load_record(both, record.id)).data == {"a": 11, "b": 2}
    assert [text[:11] for text in (await kept(inner, record.id)).values()] == [
        "sealed:0002",
        "sealed:0001",
    ]
    assert await reason(alone, record.id) == "a value is sealed with key 1, which is not there"
    await after.write([Update(record.id, {"b": 12})])
    assert (await load_record(alone, record.id)).data == {"a": 11, "b": 12}


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
