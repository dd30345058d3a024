"""Going through the keys of Valkey: tables that shrink, restarts, slots that move, others' keys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stores import StoreUnavailable
from stores.contract import Create, Delete, Record
from stores.redis import RedisStore
from tests.helpers.database_servers import Valkey
from tests.helpers.opened import while_open
from tests.helpers.records import make_record
from tests.store_contract_scans import ids_of, pages_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, which keeps what it acknowledged."""
    server = Valkey(tmp_path)
    yield server
    server.kill()


async def fill(store: RedisStore, number: int) -> list[Record]:
    records = [make_record() for _ in range(number)]
    for n in range(0, number, 1000):
        await store.write([Create(record) for record in records[n : n + 1000]])
    return records


async def ids_while(
    store: RedisStore, limit: int, at: int, act: Any
) -> AsyncIterator[Sequence[bytes]]:
    """Yield the ids of each step; *act* before the one with number *at*."""
    after, n = None, 0
    while True:
        if n == at:
            await act()
        page = await store.scan(after, limit)
        yield [*page.found]
        after, n = page.after, n + 1
        if after is None:
            return


@pytest.mark.gen_test(timeout=60)
async def test_a_table_that_shrinks_repeats_nothing(server: Valkey) -> None:
    """By itself, SCAN gives some keys again when most of the others went."""
    for at in (3, 8, 13):
        server.admin("FLUSHALL")
        async with while_open(RedisStore(server.url, timeout=10)) as store:
            records = await fill(store, 6_000)
            kept = {record.id for record in records[::20]}

            async def remove(records: Sequence[Record] = records) -> None:
                gone = [Delete(r.id) for n, r in enumerate(records) if n % 20]
                await store.write(gone)
                for _ in range(300):  # each lets the server move a part of its table
                    await store.ping()

            ids = [id async for step in ids_while(store, 50, at, remove) for id in step]
        assert len(set(ids)) == len(ids)
        assert kept <= set(ids)


@pytest.mark.gen_test(timeout=30)
async def test_a_scan_begins_anew_after_a_restart_and_says_so(server: Valkey) -> None:
    async with while_open(RedisStore(server.url, timeout=10)) as store:
        records = await fill(store, 500)
        first = await store.scan(None, 50)
        server.stop()
        server.start()
        pages = await pages_of(store, 50, first.after)
        assert [page.anew for page in pages] == [True] + [False] * (len(pages) - 1)
        assert sorted(ids_of(pages)) == sorted(record.id for record in records)


@pytest.mark.gen_test
async def test_keys_of_others_are_none_of_its(valkey: Any) -> None:
    """Neither those with a longer prefix, nor those that a pattern's signs would match."""
    prefix = f"t[{os.urandom(4).hex()}]*?\\:"
    async with (
        while_open(RedisStore(valkey.url, prefix=prefix)) as store,
        while_open(RedisStore(valkey.url, prefix=f"{prefix}more:")) as other,
    ):
        (record,) = await fill(store, 1)
        await fill(other, 5)
        for name in ("x", "x" * 22, "A" * 21 + "B", f"{'A' * 21}\xc3"):
            valkey.admin("SET", f"{prefix}{name}", "1", "EX", 60)
        assert ids_of(await pages_of(store)) == [record.id]
        assert (await store.count(exact=True)).number == 1
        assert (await store.count()).number >= 10


@pytest.mark.gen_test(timeout=30)
async def test_a_slot_that_moves_is_seen_once(valkey_cluster: Any) -> None:
    """While its keys are at two nodes, and behind the place where the scan is."""
    prefix = f"t{os.urandom(4).hex()}:"
    source, target = valkey_cluster.primaries[0], valkey_cluster.primaries[2]
    async with while_open(RedisStore(valkey_cluster.url, prefix=prefix, timeout=10)) as store:
        records = await fill(store, 500)
        of = {r.id: source.admin("CLUSTER", "KEYSLOT", store._key(r.id)) for r in records}
        slot = max(slot for slot in of.values() if slot < 5000)
        moved = next(r for r in records if of[r.id] == slot)
        name = target.admin("CLUSTER", "MYID")
        own = source.admin("CLUSTER", "MYID")
        target.admin("CLUSTER", "SETSLOT", slot, "IMPORTING", own)
        source.admin("CLUSTER", "SETSLOT", slot, "MIGRATING", name)
        try:
            first = await store.scan(None, 100)
            key = store._key(moved.id)
            source.admin("MIGRATE", "127.0.0.1", target.port, key, 0, 1000)
            ids = [*first.found, *ids_of(await pages_of(store, 100, first.after))]
            assert sorted(ids) == sorted(record.id for record in records)
        finally:
            await store.write([Delete(record.id) for record in records])
            for node in valkey_cluster.primaries:
                node.admin("CLUSTER", "SETSLOT", slot, "STABLE")


@pytest.mark.gen_test
async def test_without_the_right_to_scan_the_mend_is_told(server: Valkey) -> None:
    server.admin("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-scan", "-dbsize")
    async with while_open(RedisStore(f"redis://u:p@127.0.0.1:{server.port}")) as store:
        with pytest.raises(StoreUnavailable, match=r"SCAN.*stores/README\.md"):
            await store.scan()
        with pytest.raises(StoreUnavailable, match=r"DBSIZE.*stores/README\.md"):
            await store.count()
