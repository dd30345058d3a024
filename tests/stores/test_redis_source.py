"""What a Redis store may be made from, and what it says of a server that will not do."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster

from stores import ConfigurationError, StoreUnavailable, open_store
from stores.contract import Create, Outcome
from stores.drivers import BY_SCHEME, REDIS
from stores.redis import RedisStore
from tests.helpers.database_servers import Valkey
from tests.helpers.opened import while_open
from tests.helpers.records import make_record
from tests.helpers.servers import missing

DONE, EXISTS = Outcome.DONE, Outcome.EXISTS


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


@pytest.mark.gen_test
async def test_a_client_with_too_few_connections_is_told_so(valkey: Any) -> None:
    async with (
        Redis.from_url(valkey.url, protocol=2, max_connections=1) as client,
        opened(client) as store,
    ):
        loads = (store.load([bytes(16)]) for _ in range(5))
        answers = await asyncio.gather(*loads, return_exceptions=True)
        refused = [str(answer) for answer in answers if isinstance(answer, StoreUnavailable)]
        assert refused
        assert all("raise max_connections" in reason for reason in refused)


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
        ("valkeys+cluster://:hunter2@a?ssl_cert_reqs=none", "valkeys+cluster://a"),
        (
            "rediss+sentinel://u:hunter2@a,b:2/s?db=3&sentinel_password=hunter2",
            "rediss+sentinel://a,b:2/s?db=3",
        ),
        ("unix://u:hunter2@/run/valkey.sock?db=3", "unix:///run/valkey.sock?db=3"),
        ("redis+unix:///run/a%40b.sock", "redis+unix:///run/a%40b.sock"),
        ("redis://:hunter2@a/1?prefix=shop:", "redis://a/1?prefix=shop:"),
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
        ("redis+http://localhost", "begin with"),
        ("rediss+unix:///run/valkey.sock", "begin with"),
        ("redis+sentinel://localhost", "no service"),
        ("redis+sentinel://localhost/a/hunter2", "no service"),
        ("redis+sentinel://localhost/a?db=hunter2", "a database is a number"),
        ("unix://localhost/run/valkey.sock", "names a host"),
        ("unix://", "no socket"),
        ("redis://localhost/1?db=2", "twice"),
        ("redis+cluster://localhost?db=1", "no databases"),
        ("redis://localhost?sentinel_password=hunter2", "options"),
        ("rediss://localhost?ssl_ca_certs=/hunter2.pem", "FileNotFoundError"),
        (f"rediss://localhost?ssl_ca_certs={__file__}", "PEM format"),
        ("rediss+cluster://localhost?ssl_certfile=/hunter2.pem", "FileNotFoundError"),
        ("rediss://localhost?ssl_cert_reqs=hunter2", "required, optional or none"),
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


@pytest.mark.parametrize("scheme", [s for s, d in BY_SCHEME.items() if d is REDIS])
def test_no_scheme_is_forgotten(scheme: str) -> None:
    """What `open_store` takes for Redis, the store reads."""
    path = {"sentinel": "localhost/service", "unix": "/run/valkey.sock"}
    url = f"{scheme}://{path.get(scheme.rpartition('+')[2], 'localhost')}"
    store = open_store(url)
    assert isinstance(store, RedisStore)
    assert store.name == url


@pytest.mark.gen_test
async def test_a_server_is_reached_by_its_socket(tmp_path: Path) -> None:
    if reason := missing("valkey-server"):
        pytest.skip(reason)
    path = tmp_path / "valkey@home.sock"
    server = Valkey(tmp_path, more=("--unixsocket", str(path)))
    record = make_record()
    quoted = str(path).replace("@", "%40")
    server.admin("CONFIG", "SET", "requirepass", "pass")
    try:
        for scheme in ("unix", "redis+unix", "valkey+unix"):
            async with opened(f"{scheme}://:pass@{quoted}?db=3") as store:
                assert await store.write([Create(record)]) in ([DONE], [EXISTS])
                assert await store.load([record.id]) == {record.id: record}
    finally:
        server.kill()


@pytest.mark.gen_test
async def test_applications_share_a_database_by_prefixes(valkey: Any) -> None:
    record = make_record()
    own, other = (os.urandom(4).hex() for _ in range(2))
    async with (
        opened(f"{valkey.url}?prefix={own}:") as store,
        opened(f"{valkey.url}?prefix={other}%2F") as neighbour,
    ):
        assert await store.write([Create(record)]) == [DONE]
        assert await neighbour.load([record.id]) == {}
        assert await neighbour.write([Create(record)]) == [DONE]
        assert valkey.admin("EXISTS", store._key(record.id), neighbour._key(record.id)) == 2
        assert store._key(record.id).startswith(own.encode() + b":")
        assert neighbour._key(record.id).startswith(other.encode() + b"/")
    assert RedisStore(f"{valkey.url}?prefix=a:", prefix="b:")._key(bytes(16))[:2] == b"b:"


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
