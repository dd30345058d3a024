"""Sealed values: what is kept, what opens, what does not, and under which key."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stores import EncryptedStore, MemoryStore, StoreUnavailable
from stores.contract import (
    JSON,
    Create,
    Delete,
    Outcome,
    Record,
    Unopened,
    Update,
)
from stores.encrypted.keys import MasterKeys
from tests.helpers.records import load_record, make_record
from tests.helpers.sealed import NEW, OLD, kept, sealed

DONE, TOO_LARGE, CONFLICT = Outcome.DONE, Outcome.TOO_LARGE, Outcome.CONFLICT


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(inner: MemoryStore) -> EncryptedStore:
    return sealed(inner)


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
