"""Valkey behind Sentinel: the primary is found, and found again when another takes over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores import StoreUnavailable
from stores.contract import Create, Outcome, Update
from stores.redis import RedisStore
from tests.helpers.database_servers import Valkey, ValkeySentinel
from tests.helpers.opened import while_open
from tests.helpers.records import load_record, make_record
from tests.helpers.recovery import eventually
from tests.helpers.servers import missing, until
from tests.helpers.writers import Writer, until_written

DONE = Outcome.DONE


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeySentinel]:
    """Servers of this file's own, whose tests leave them running."""
    yield from running(tmp_path_factory.mktemp("sentinel"))


@pytest.fixture
def own_sentinel(tmp_path: Path) -> Iterator[ValkeySentinel]:
    """Servers for a test that ends them."""
    yield from running(tmp_path)


def running(folder: Path) -> Iterator[ValkeySentinel]:
    if reason := missing("valkey-server"):
        pytest.skip(reason)
    servers = ValkeySentinel(folder)
    yield servers
    servers.stop()


def is_replica(server: Valkey) -> bool:
    return bool(server.admin("ROLE")[0] == "slave")


@pytest.mark.faults
@pytest.mark.gen_test(timeout=90)
async def test_a_failover_is_followed_under_load(own_sentinel: ValkeySentinel) -> None:
    """The primary is killed; the replica is written when it has taken over, without a restart."""
    sentinel = own_sentinel
    killed, other = sentinel.servers
    async with while_open(RedisStore(sentinel.url)) as store:
        writers = [Writer(store) for _ in range(10)]
        await store.write([Create(writer.record) for writer in writers])
        stop = asyncio.Event()
        running = asyncio.gather(*(writer.run(stop) for writer in writers))
        await until_written(writers, 10)
        begun = time.monotonic()
        killed.kill()
        dead = time.monotonic()
        await asyncio.to_thread(until, lambda: sentinel.primary() is other, "a failover")
        await until_written(writers, 10)
        stop.set()
        await running
        assert all(writer.failed for writer in writers)
        print(f"no write for {max(max(w.failed) for w in writers) - begun:.1f} s")
        # Replication is asynchronous: what was acknowledged just before the end may be lost.
        lost = [at for writer in writers for at in await writer.lost()]
        assert all(begun - 1 < at < dead + 1 for at in lost)
        killed.start()
        await asyncio.to_thread(until, lambda: is_replica(killed), "it to follow")
        record = make_record()
        assert await store.write([Create(record)]) == [DONE]
        assert other.admin("EXISTS", store._key(record.id)) == 1


@pytest.mark.gen_test(timeout=60)
@pytest.mark.faults
async def test_a_primary_that_was_replaced_is_left(sentinel: ValkeySentinel) -> None:
    """Every connection, in use or idle, goes to the new primary."""
    first = sentinel.primary()
    record = make_record(data={"n": 0})
    async with while_open(RedisStore(f"{sentinel.url}?db=3&prefix=shop:")) as store:
        await store.write([Create(record)])
        await asyncio.gather(*(store.load([record.id]) for _ in range(20)))
        sentinel.sentinels[0].admin("SENTINEL", "FAILOVER", "sessions")
        await asyncio.to_thread(until, lambda: is_replica(first), "the old one to follow")
        await eventually(lambda: store.write([Update(record.id, {"n": 1})]))
        for n in range(20):
            assert await store.write([Update(record.id, {"n": n})]) == [DONE]
            found = await asyncio.gather(*(load_record(store, record.id) for _ in range(3)))
            assert [r.data for r in found] == [{"n": n}] * 3
        assert sentinel.primary() is not first


@pytest.mark.gen_test(timeout=60)
async def test_a_sentinel_that_is_away_or_silent_is_passed_over(sentinel: ValkeySentinel) -> None:
    primary = sentinel.primary()
    store = RedisStore(sentinel.url)
    await store.open()
    sentinel.sentinels[0].kill()
    sentinel.sentinels[1].pause()
    try:
        primary.admin("CLIENT", "KILL", "TYPE", "normal")
        # Who asks at the same time loses none of them.
        assert await asyncio.gather(*(store.load([bytes(16)]) for _ in range(20))) == [{}] * 20
        assert store._client is not None
        manager = store._client.connection_pool.sentinel_manager
        assert len({id(each) for each in manager.sentinels}) == 3
        async with while_open(RedisStore(sentinel.url)) as other:
            assert await other.load([bytes(16)]) == {}
        await store.close()
    finally:
        sentinel.sentinels[0].start()
        sentinel.sentinels[1].resume()


@pytest.mark.gen_test(timeout=60)
async def test_what_sentinel_does_not_know_is_told(sentinel: ValkeySentinel) -> None:
    store = RedisStore(sentinel.url.replace("/sessions", "/other"))
    with pytest.raises(StoreUnavailable, match=r"Sentinel: .*no such service; name the one"):
        await store.open()
    await store.close()


@pytest.mark.faults
@pytest.mark.gen_test(timeout=60)
async def test_a_primary_that_is_down_is_told(own_sentinel: ValkeySentinel) -> None:
    for server in own_sentinel.servers:
        server.kill()
    down = RedisStore(own_sentinel.url)
    deadline = time.monotonic() + 20
    said = ""
    while "the primary is down" not in said:  # Sentinel finds out in half a second
        assert time.monotonic() < deadline, said
        with pytest.raises(StoreUnavailable) as caught:
            await down.open()
        said = str(caught.value)
        await asyncio.sleep(0.05)
    await down.close()


@pytest.mark.gen_test(timeout=60)
async def test_sentinels_with_a_password_are_asked_with_it(sentinel: ValkeySentinel) -> None:
    for each in sentinel.sentinels:
        each.admin("ACL", "SETUSER", "watch", "on", ">hunter2", "+sentinel|master")
        each.admin("ACL", "SETUSER", "default", "-sentinel")
    store = RedisStore(sentinel.url)
    try:
        with pytest.raises(
            StoreUnavailable, match=r"Sentinel: .*user may not run SENTINEL\|MASTER"
        ):
            await store.open()
        await store.close()
        own = "sentinel_username=watch&sentinel_password=hunter2"
        async with while_open(RedisStore(f"{sentinel.url}?{own}")) as store:
            assert await store.load([bytes(16)]) == {}
            assert "hunter2" not in store.name
    finally:
        for each in sentinel.sentinels:
            each.admin("ACL", "SETUSER", "default", "+sentinel")
