"""Sessions in Valkey: the contract, what is in the server, how it is asked."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from stores import Store, StoreUnavailable
from stores.contract import Create, Delete, Outcome, Record, Update
from stores.redis import RedisStore
from stores.redis.client import MAX_CONNECTIONS
from tests.helpers.opened import while_open
from tests.helpers.outages import check_reopening
from tests.helpers.records import load_record, load_records, make_record
from tests.store_contract import StoreContract

DONE, MISSING, CONFLICT = Outcome.DONE, Outcome.MISSING, Outcome.CONFLICT


class TestRedisStore(StoreContract):
    @pytest.fixture
    def store(self, valkey: Any) -> Store:
        return RedisStore(valkey.url)


class TestRedisClusterStore(StoreContract):
    @pytest.fixture
    def store(self, valkey_cluster: Any) -> Store:
        return RedisStore(valkey_cluster.url)


def opened(source: Any, **options: Any) -> AbstractAsyncContextManager[RedisStore]:
    return while_open(RedisStore(source, **options))


@asynccontextmanager
async def server_client(url: str) -> AsyncIterator[Redis]:
    """What an administrator has."""
    client = Redis.from_url(url, decode_responses=True)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
def prefix() -> str:
    """Keys of this test's own, in a server that others may use."""
    return f"test-{os.urandom(6).hex()}:"


# What is in the server


@pytest.mark.gen_test
async def test_a_session_is_a_hash_that_people_can_read(valkey: Any, prefix: str) -> None:
    record = Record(
        id=bytes(16),
        secret_hash=b"\x01" * 32,
        created=time.time(),
        expires=time.time() + 600,
        data={"name": "Zoë", "cart": [{"sku": "x", "price": 9.5}], "": None},
        user="ada",
        persistent=False,
    )
    async with opened(valkey.url, prefix=prefix) as store, server_client(valkey.url) as server:
        assert await store.write([Create(record)]) == [DONE]
        assert await server.hgetall(prefix + "A" * 22) == {
            "secret": "01" * 32,
            "created": repr(record.created),
            "expires": repr(record.expires),
            "persistent": "0",
            "size": "57",
            "user": "ada",
            "d:name": '"Zoë"',
            "d:cart": '[{"sku":"x","price":9.5}]',
            "d:": "null",
        }
        await store.write([Delete(record.id)])
        assert [key async for key in server.scan_iter(f"{prefix}*")] == []


@pytest.mark.gen_test
async def test_an_update_writes_only_the_fields_that_changed(valkey: Any, prefix: str) -> None:
    record = make_record(data={"kept": 1, "changed": 1, "removed": 1})
    async with opened(valkey.url, prefix=prefix) as store, server_client(valkey.url) as server:
        await store.write([Create(record)])
        (key,) = [key async for key in server.scan_iter(f"{prefix}*")]
        await server.hset(key, "d:kept", "2")  # another process, meanwhile
        assert await store.write([Update(record.id, {"changed": 2}, ["removed"])]) == [DONE]
        found = await store.load([record.id])
        assert found[record.id] == record._replace(data={"kept": 2, "changed": 2})


@pytest.mark.gen_test
async def test_the_server_expires_and_an_extension_never_shortens(valkey: Any, prefix: str) -> None:
    """The server expires a session, and an extension never shortens its life."""
    record = make_record(expires=time.time() + 100.0001)
    async with opened(valkey.url, prefix=prefix) as store, server_client(valkey.url) as server:
        await store.write([Create(record)])
        (key,) = [key async for key in server.scan_iter(f"{prefix}*")]
        at = await server.pexpiretime(key)
        assert record.expires * 1000 <= at < record.expires * 1000 + 2
        later = record.expires + 50
        await store.write([Update(record.id, expires=later)])
        at = await server.pexpiretime(key)
        assert later * 1000 <= at < later * 1000 + 2
        await store.write([Update(record.id, {"n": 1}, expires=record.expires)])
        assert await server.pexpiretime(key) == at
        assert (await load_record(store, record.id)).expires == later


@pytest.mark.gen_test
async def test_a_session_of_very_many_keys_is_kept_and_emptied(valkey: Any) -> None:
    many = {f"k{i}": i for i in range(10_000)}
    record = make_record(data=many)
    async with opened(valkey.url) as store:
        assert await store.write([Create(record)]) == [DONE]
        assert await load_record(store, record.id) == record
        changed = {key: -value for key, value in many.items()}
        assert await store.write([Update(record.id, changed)]) == [DONE]
        assert (await load_record(store, record.id)).data == changed
        assert await store.write([Update(record.id, {"last": 1}, list(many))]) == [DONE]
        assert (await load_record(store, record.id)).data == {"last": 1}


@pytest.mark.gen_test
async def test_many_sessions_are_loaded_in_one_round_trip(valkey: Any) -> None:
    records = [make_record(data={"n": i}) for i in range(32)]
    async with opened(valkey.url) as store, server_client(valkey.url) as server:
        await store.write([Create(record) for record in records])

        async def reads() -> int:
            return int((await server.info("stats"))["total_reads_processed"])

        before = await reads()
        found = await store.load([record.id for record in records])
        # One is the look itself; a request of some kilobytes may arrive in two pieces.
        assert await reads() - before <= 3
        assert found == {record.id: record for record in records}


@pytest.mark.gen_test
async def test_scripts_that_the_server_forgot_are_sent_again(valkey: Any) -> None:
    records = [make_record() for _ in range(3)]
    async with opened(valkey.url) as store, server_client(valkey.url) as server:
        await store.write([Create(record) for record in records])
        await store.write([Update(records[0].id, {"n": 0})])
        await server.script_flush()
        changes = [Update(r.id, {"n": 1}) for r in records]
        outcomes = await store.write([*changes, Delete(records[2].id), Update(bytes(16), {"n": 1})])
        # All of one call are concurrent: the third may have been deleted before it was changed.
        assert outcomes[:2] == [DONE, DONE]
        assert outcomes[3:] == [DONE, MISSING]
        found = await load_records(store, [r.id for r in records])
        assert {id: r.data for id, r in found.items()} == {r.id: {"n": 1} for r in records[:2]}


@pytest.mark.gen_test
async def test_the_number_of_connections_is_bounded(valkey: Any) -> None:
    records = [make_record() for _ in range(100)]
    url = f"{valkey.url}?client_name=bounded"
    async with opened(url) as store, server_client(valkey.url) as server:
        await asyncio.gather(*(store.write([Create(record)]) for record in records))
        found = await asyncio.gather(*(store.load([record.id]) for record in records))
        assert [list(f) for f in found] == [[record.id] for record in records]
        names = [client["name"] for client in await server.client_list()]
        assert 1 <= names.count("bounded") <= MAX_CONNECTIONS
    async with server_client(valkey.url) as server:
        assert "bounded" not in [client["name"] for client in await server.client_list()]


@pytest.mark.gen_test
async def test_a_store_that_is_not_open_says_so_and_opens_again(valkey: Any) -> None:
    await check_reopening(RedisStore(valkey.url))


@pytest.mark.gen_test
async def test_closing_ends_what_is_under_way_and_what_waits(valkey: Any) -> None:
    store = RedisStore(f"{valkey.url}?client_name=closing")
    await store.open()
    loads = [asyncio.create_task(store.load([bytes(16)])) for _ in range(5 * MAX_CONNECTIONS)]
    await asyncio.sleep(0)
    await store.close()
    answers = await asyncio.gather(*loads, return_exceptions=True)
    assert {type(answer) for answer in answers} == {dict, StoreUnavailable}
    async with server_client(valkey.url) as server:
        assert "closing" not in [client["name"] for client in await server.client_list()]


@pytest.mark.gen_test
async def test_closing_keeps_nobody_waiting(valkey: Any) -> None:
    """What comes while the store is being closed fails at once, and so does what waits."""
    store = RedisStore(valkey.url, timeout=60)
    await store.open()
    loads = [asyncio.create_task(store.load([bytes(16)])) for _ in range(5 * MAX_CONNECTIONS)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    while not closing.done():
        await asyncio.sleep(0)
        loads.append(asyncio.create_task(store.load([bytes(16)])))
    answers = await asyncio.gather(*loads, return_exceptions=True)
    assert {str(answer) for answer in answers if isinstance(answer, Exception)} == {
        "the Redis store is not open",
        "the Redis store was closed",
    }


@pytest.mark.gen_test
async def test_a_store_opened_while_it_is_closed_works(valkey: Any) -> None:
    """Closing takes nothing from the store that was opened again meanwhile."""
    store = RedisStore(valkey.url, timeout=60)
    record = make_record()
    await store.open()
    loads = [asyncio.create_task(store.load([bytes(16)])) for _ in range(5 * MAX_CONNECTIONS)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    await store.open()
    assert await store.write([Create(record)]) == [DONE]
    await closing
    assert await load_record(store, record.id) == record
    await asyncio.gather(*loads, return_exceptions=True)
    await store.close()
