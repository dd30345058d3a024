"""What a Redis store may be made from, and what it says of a server that will not do."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster

from stores import ConfigurationError, StoreUnavailable
from stores.contract import Create, Delete, Outcome, Update
from stores.redis import RedisStore
from tests.helpers.database_servers import Valkey
from tests.helpers.opened import while_open
from tests.helpers.records import make_record
from tests.helpers.servers import missing

DONE = Outcome.DONE


def opened(source: Any) -> AbstractAsyncContextManager[RedisStore]:
    return while_open(RedisStore(source))


@pytest.mark.gen_test
@pytest.mark.parametrize("protocol", [2, 3])
async def test_an_applications_client_is_used_and_not_closed(valkey: Any, protocol: int) -> None:
    record = make_record(data={"n": 1})
    async with Redis.from_url(valkey.url, protocol=protocol) as client:
        async with opened(client) as store:
            assert await store.write([Create(record)]) == [DONE]
            assert await store.load([record.id]) == {record.id: record}
            assert store.name == valkey.url
        assert client.connection_pool.get_connection_count()[0][0] == 1  # one, idle, still there
        assert await client.ping()


@pytest.mark.gen_test
async def test_an_applications_cluster_client_is_used_and_not_closed(valkey_cluster: Any) -> None:
    records = [make_record(data={"n": i}) for i in range(20)]
    async with RedisCluster.from_url(
        valkey_cluster.url.replace("redis+cluster", "redis")
    ) as client:
        async with opened(client) as store:
            assert await store.write([Create(record) for record in records]) == [DONE] * 20
            found = await store.load([record.id for record in records])
            assert found == {record.id: record for record in records}
            assert store.name.startswith("redis+cluster://127.0.0.1:")
        assert await client.ping()


def test_a_client_that_cannot_serve_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="decode_responses=False"):
        RedisStore(Redis(decode_responses=True))
    with pytest.raises(ConfigurationError, match="not int"):
        RedisStore(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://user:hunter2@localhost:7000/3", "redis://localhost:7000/3"),
        ("rediss://:hunter2@[::1]:7000/3?ssl_cert_reqs=none", "rediss://[::1]:7000/3"),
        ("valkey://:p@hunter2@localhost", "valkey://localhost"),
        ("VALKEYS://:hunter2%2F@localhost", "valkeys://localhost"),
        ("redis+cluster://:hunter2@a:1,b:2,c", "redis+cluster://a:1,b:2,c"),
    ],
)
def test_a_name_is_the_url_without_user_and_password(url: str, name: str) -> None:
    store = RedisStore(url)
    assert store.name == name
    assert "hunter2" not in repr(store)


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("http://localhost", "begin with"),
        ("redis+sentinel://localhost", "begin with"),
        ("redis://", "no host"),
        ("redis://:hunter2@", "no host"),
        ("redis://user:hunter2", "host or port"),
        ("redis://localhost:hunter2", "host or port"),
        ("redis://localhost:99999", "host or port"),
        ("redis://[::1", "host or port"),
        ("redis://user:hun/ter2@localhost", "percent-encode"),
        ("redis://user:hun?ter2@localhost", "percent-encode"),
        ("redis://user:hun#ter2@localhost", "percent-encode"),
        ("redis://localhost/sessions", "a database is a number"),
        ("redis+cluster://localhost/1", "no databases"),
        ("redis://a,b", r"redis\+cluster://"),
        ("redis://localhost?socket_timeout=60", "options"),
        ("redis://localhost?retry=hunter2", "options"),
    ],
)
def test_a_url_that_cannot_work_is_told_without_quoting_it(url: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError, match=mistake) as caught:
        RedisStore(url)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


@pytest.mark.gen_test
async def test_a_wrong_password_is_told_without_it(valkey: Any) -> None:
    url = valkey.url.replace("://", "://ada:hunter2@")
    store = RedisStore(url)
    with pytest.raises(StoreUnavailable, match="WRONGPASS") as caught:
        await store.open()
    await store.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.gen_test
async def test_a_server_of_the_other_kind_is_told_by_the_url_to_write(
    valkey: Any, valkey_cluster: Any
) -> None:
    alone = RedisStore(f"redis+cluster://127.0.0.1:{valkey.port}")
    with pytest.raises(StoreUnavailable, match="write redis://"):
        await alone.open()
    await alone.close()
    one_of_several = RedisStore(
        valkey_cluster.url.replace("redis+cluster://", "redis://").partition(",")[0]
    )
    with pytest.raises(StoreUnavailable, match=r"write redis\+cluster://"):
        await one_of_several.open()
        await one_of_several.load([os.urandom(16) for _ in range(50)])
    await one_of_several.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Valkey]:
    """A server whose settings a test may change."""
    if reason := missing("valkey-server"):
        pytest.skip(reason)
    server = Valkey(tmp_path)
    yield server
    server.kill()


@pytest.mark.gen_test
async def test_a_server_that_may_evict_sessions_is_warned_of_once(
    own_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for policy, memory in (("noeviction", "100mb"), ("allkeys-lru", "0")):
        own_server.admin("CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", memory)
        async with opened(own_server.url):
            assert caplog.messages == []
    own_server.admin("CONFIG", "SET", "maxmemory-policy", "volatile-ttl", "maxmemory", "100mb")
    async with opened(own_server.url) as store:
        await store.open()
    (message,) = caplog.messages
    assert "volatile-ttl" in message
    assert "set noeviction" in message


@pytest.mark.gen_test
async def test_a_user_who_may_no_more_than_is_needed_suffices(
    own_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    needed = "+hgetall +hmget +hset +hdel +hlen +exists +unlink +pexpireat +evalsha +eval +time"
    own_server.admin("ACL", "SETUSER", "app", "on", ">pass", "~session:*", *needed.split())
    record = make_record(data={"n": 1})
    async with opened(f"redis://app:pass@127.0.0.1:{own_server.port}") as store:
        assert await store.write([Create(record)]) == [DONE]
        update = Update(record.id, {"m": 2}, ["n"], record.expires + 9)
        assert await store.write([update]) == [DONE]
        assert await store.load([record.id]) == {record.id: update.applied_to(record)}
        assert await store.write([Delete(record.id)]) == [DONE]
    assert caplog.messages == []
    own_server.admin("ACL", "SETUSER", "app", "-hset")
    async with opened(f"redis://app:pass@127.0.0.1:{own_server.port}") as store:
        with pytest.raises(StoreUnavailable, match="refused"):
            await store.write([Create(record)])
