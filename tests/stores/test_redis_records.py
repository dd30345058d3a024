"""Hashes in Valkey that are older, garbled or too large, and the size that is kept of each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from stores import StoreUnavailable
from stores.contract import JSON, MAX_DATA, Create, Delete, Outcome, Record, Unreadable, Update
from stores.json_text import encode
from stores.redis import RedisStore
from stores.redis.hashes import MAX_FIELDS
from tests.helpers.opened import while_open
from tests.helpers.records import load_record, make_record, make_rotation
from tests.store_contract_values import KEYS

DONE, EXISTS, TOO_LARGE = Outcome.DONE, Outcome.EXISTS, Outcome.TOO_LARGE


@asynccontextmanager
async def store_and_server(url: str) -> AsyncIterator[tuple[RedisStore, Redis]]:
    """A store with keys of its own, and what an administrator has."""
    prefix = f"test-{os.urandom(6).hex()}:"
    async with while_open(RedisStore(url, prefix=prefix, timeout=10)) as store:
        client = Redis.from_url(url)
        try:
            yield store, client
        finally:
            await client.aclose()


def key_of(store: RedisStore, record: Record) -> bytes:
    return store._key(record.id)


# What cannot be read


async def as_text(server: Redis, key: bytes) -> None:
    await server.set(key, "hunter2")


async def many_fields(server: Redis, key: bytes) -> None:
    script = "for i = 0, ARGV[1] do redis.call('HSET', KEYS[1], 'd:' .. i, '1') end"
    await server.eval(script, 1, key, MAX_FIELDS)


def field(name: str, value: str | bytes) -> Callable[[Redis, bytes], Any]:
    async def spoil(server: Redis, key: bytes) -> None:
        await server.hset(key, name, value)

    return spoil


def without(name: str) -> Callable[[Redis, bytes], Any]:
    async def spoil(server: Redis, key: bytes) -> None:
        await server.hdel(key, name)

    return spoil


SPOILT: dict[str, tuple[Callable[[Redis, bytes], Any], str]] = {
    "another type": (as_text, "of another type"),
    "no secret": (without("secret"), "no field 'secret'"),
    "no expiry": (without("expires"), "no field 'expires'"),
    "no persistent": (without("persistent"), "no field 'persistent'"),
    "bad secret": (field("secret", "hunter2"), "garbled"),
    "short secret": (field("secret", "abcd"), "garbled"),
    "bad time": (field("created", "hunter2"), "garbled"),
    "no time": (field("expires", "nan"), "garbled"),
    "endless": (field("seen", "inf"), "garbled"),
    "bad JSON": (field("d:hunter2", "[hunter2"), "not JSON"),
    "not finite": (field("d:x", "NaN"), "garbled"),
    "too large a number": (field("d:x", "[1e999]"), "garbled"),
    "half of a pair": (field("d:x", r'{"\ud800":1}'), "garbled"),
    "deeper than a session": (field("d:x", "[" * 65 + "]" * 65), "too deeply"),
    "two values": (field("d:x", '"hunter2",2'), "garbled"),
    "bad UTF-8": (field("d:x", b'"hunter2\xff"'), "not UTF-8"),
    "bad name": (field("user", b"hunter2\xff"), "not UTF-8"),
    "too deep": (field("d:x", "[" * 200_000 + "]" * 200_000), "too deeply"),
    "too large": (field("d:x", '"' + "x" * MAX_DATA + '"'), "larger than"),
    "too many": (many_fields, "larger than"),
}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kind", SPOILT)
async def test_what_cannot_be_read_is_told_and_harms_no_other(valkey: Any, kind: str) -> None:
    """The reason has no value of the record, and the record can be removed."""
    spoil, reason = SPOILT[kind]
    record, other = make_record(data={"n": 1}, seen=5.0), make_record(data={"n": 2})
    async with store_and_server(valkey.url) as (store, server):
        await store.write([Create(record), Create(other)])
        await spoil(server, key_of(store, record))
        found = await store.load([record.id, other.id])
        bad = found[record.id]
        assert isinstance(bad, Unreadable)
        assert reason in bad.reason
        assert "hunter2" not in bad.reason
        assert found[other.id] == other
        assert (await store.scan()).found == found
        assert isinstance((await store.load([record.id]))[record.id], Unreadable)
        assert await store.write([Create(record), Delete(record.id)]) == [EXISTS, DONE]
        assert await store.load([record.id]) == {}


@pytest.mark.gen_test
async def test_a_change_the_server_refuses_fails_no_other(valkey: Any) -> None:
    records = [make_record(data={"n": 0}) for _ in range(3)]
    async with store_and_server(valkey.url) as (store, server):
        await store.write([Create(record) for record in records])
        await as_text(server, key_of(store, records[1]))
        outcomes = await store.write([Update(record.id, {"n": 1}) for record in records])
        assert (outcomes[0], outcomes[2]) == (DONE, DONE)
        (alone,) = await store.write([Update(records[1].id, {"n": 1})])
        for refused in (outcomes[1], alone):
            assert isinstance(refused, StoreUnavailable)
            assert "set another prefix" in str(refused)
            assert "hunter2" not in str(refused)


# What can be


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize(
    "value", ["x" * (MAX_DATA - 100), [1] * (MAX_DATA // 2 - 100)], ids=["text", "list"]
)
async def test_data_of_the_largest_size_is_read_back(valkey: Any, value: JSON) -> None:
    record = make_record(data={"k": value})
    async with store_and_server(valkey.url) as (store, _):
        assert await store.write([Create(record)]) == [DONE]
        assert (await load_record(store, record.id)).data == record.data


# Older ones


@pytest.mark.gen_test
async def test_a_hash_without_the_newer_fields_works(valkey: Any) -> None:
    record = make_record(data={"a": "x" * 60})
    async with store_and_server(valkey.url) as (store, server):
        await store.write([Create(record)])
        await server.hdel(key_of(store, record), "size")
        found = await load_record(store, record.id)
        assert (found.authenticated, found.seen, found.rotated) == (None, None, None)
        assert await store.write([Update(record.id, {"b": 1})]) == [DONE]
        assert not await server.hexists(key_of(store, record), "size")
        update = Update(record.id, {"c": "y" * 60}, limit=100, seen=7.0)
        assert await store.write([update]) == [TOO_LARGE]
        assert await store.write([update._replace(limit=200)]) == [DONE]
        assert (await load_record(store, record.id)).seen == 7.0
        data = (await load_record(store, record.id)).data
        size = await server.hget(key_of(store, record), "size")
        assert size == b"%d" % (len(encode(dict(data))) + 1)
        rotation = make_rotation(record, expected_rotated=0.0)
        assert await store.write([Update(record.id, rotation=rotation)]) == [DONE]


# The size


@pytest.mark.gen_test
async def test_the_script_measures_as_json_does(valkey: Any) -> None:
    """Counted anew over the hash, keys that JSON escapes among them."""
    record = make_record(data={key: [key] for key in KEYS})
    async with store_and_server(valkey.url) as (store, server):
        await store.write([Create(record)])
        key = key_of(store, record)
        real = len(encode({**record.data, "new": 1}).encode())
        for size in ("1000000", "garbled"):
            await server.hset(key, "size", size)
            assert await store.write([Update(record.id, {"new": 1}, limit=real - 1)]) == [TOO_LARGE]
            assert await store.write([Update(record.id, {"new": 1}, limit=real + 1)]) == [DONE]
            assert await server.hget(key, "size") == b"%d" % (real + 1)


@pytest.mark.gen_test
async def test_the_size_that_is_kept_is_never_too_small(valkey: Any) -> None:
    record = make_record(data={"": None, '"\x00': "é"})
    async with store_and_server(valkey.url) as (store, server):
        await store.write([Create(record)])
        for update in (
            Update(record.id, {"new": "x" * 50}),
            Update(record.id, {"new": "x" * 90, "\n": 1}, [""], limit=10_000),
            Update(record.id, {"new": 1}, ["\n"], rotation=make_rotation(record)),
        ):
            assert await store.write([update]) == [DONE]
            data = (await load_record(store, record.id)).data
            size = await server.hget(key_of(store, record), "size")
            assert size is not None
            assert int(size) >= len(encode(dict(data)).encode())
