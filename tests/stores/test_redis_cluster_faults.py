"""Bad days of a Valkey cluster: a node down, stopped or back, slots that move, a failover."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from stores import StoreUnavailable
from stores.contract import Create, Delete, Outcome, Record, Update
from stores.redis import RedisStore
from stores.redis.client import MAX_CONNECTIONS
from tests.helpers.database_servers import Valkey, ValkeyCluster
from tests.helpers.opened import while_open
from tests.helpers.records import load_record, load_records, make_record
from tests.helpers.recovery import eventually
from tests.helpers.servers import missing

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING
TIMEOUT = 0.5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """A cluster of this file's own, whose tests leave its nodes running and its slots in place."""
    if reason := missing("valkey-server"):
        pytest.skip(reason)
    cluster = ValkeyCluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


def opened(
    cluster: ValkeyCluster, timeout: float = TIMEOUT
) -> AbstractAsyncContextManager[RedisStore]:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    return while_open(RedisStore(f"redis+cluster://{hosts}", timeout=timeout))


def slot_of(node: Valkey, store: RedisStore, record: Record) -> int:
    return int(node.admin("CLUSTER", "KEYSLOT", store._key(record.id)))


def has(node: int, slot: int) -> bool:
    """Tell whether the cluster's node of that number has the slot (see `ValkeyCluster`)."""
    bounds = (0, 5461, 10922, 16384)
    return bounds[node] <= slot < bounds[node + 1]


async def records_of(cluster: ValkeyCluster, store: RedisStore, count: int) -> list[list[Record]]:
    """Write records and return *count* of each node's."""
    by_node: list[list[Record]] = [[], [], []]
    while min(map(len, by_node)) < count:
        record = make_record(data={"n": 0})
        slot = slot_of(cluster.nodes[0], store, record)
        of_node = next(by_node[i] for i in range(3) if has(i, slot))
        if len(of_node) < count:
            of_node.append(record)
            assert await store.write([Create(record)]) == [DONE]
    return by_node


@pytest.mark.gen_test(timeout=40)
@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_a_node_that_is_down_fails_its_own_sessions_alone(
    cluster: ValkeyCluster, how: str
) -> None:
    node = cluster.nodes[1]
    async with opened(cluster) as store:
        (first,), (own,), (third,) = await records_of(cluster, store, 1)
        getattr(node, how)()
        try:
            for n in range(1, 4):
                for failing in (store.load([own.id]), store.write([Update(own.id, {"n": n})])):
                    begun = time.monotonic()
                    with pytest.raises(StoreUnavailable, match="does not answer"):
                        await failing
                    assert time.monotonic() - begun < 2 * TIMEOUT
                for other in (first, third):
                    assert await store.write([Update(other.id, {"n": n})]) == [DONE]
                    assert (await load_record(store, other.id)).data == {"n": n}
        finally:
            getattr(node, {"kill": "start", "pause": "resume"}[how])()
        # Killed, it lost its sessions: this cluster writes nothing to a disk.
        again = await eventually(lambda: store.write([Create(make_record(id=own.id))]))
        assert again in ([DONE], [EXISTS])
        assert list(await store.load([own.id])) == [own.id]
        await asyncio.to_thread(cluster.until_whole)


@pytest.mark.gen_test(timeout=40)
@pytest.mark.faults
async def test_a_nodes_restart_between_requests_goes_unnoticed(cluster: ValkeyCluster) -> None:
    async with opened(cluster, timeout=2) as store:
        by_node = await records_of(cluster, store, MAX_CONNECTIONS)
        of_all = [record for records in by_node for record in records]
        await asyncio.gather(*(store.load([record.id]) for record in of_all))
        cluster.nodes[2].restart()
        await asyncio.to_thread(cluster.until_whole)  # while the loop notices what was closed
        changes = [store.write([Update(record.id, {"n": 1})]) for record in of_all]
        outcomes = [outcome for (outcome,) in await asyncio.gather(*changes)]
        assert outcomes == [DONE] * 2 * MAX_CONNECTIONS + [MISSING] * MAX_CONNECTIONS
        cluster.nodes[2].restart()  # without the loop, which would notice, running
        cluster.until_whole()
        loads = await asyncio.gather(*(store.load([record.id]) for record in of_all))
        assert [len(found) for found in loads] == [1] * 2 * MAX_CONNECTIONS + [0] * MAX_CONNECTIONS


@pytest.mark.gen_test(timeout=40)
async def test_sessions_are_found_while_and_after_their_slot_moves(cluster: ValkeyCluster) -> None:
    source, target = cluster.nodes[0], cluster.nodes[1]
    ids = [node.admin("CLUSTER", "MYID") for node in (source, target)]
    async with opened(cluster) as store:
        (record, *_), _, _ = await records_of(cluster, store, 1)
        slot = slot_of(source, store, record)
        await store.write([Delete(record.id)])  # a new one is where the slot goes: ASK
        target.admin("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        source.admin("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        try:
            assert await store.write([Create(record), Delete(bytes(16))]) == [DONE, DONE]
            assert await store.write([Update(record.id, {"n": 1})]) == [DONE]
            assert (await load_record(store, record.id)).data == {"n": 1}
            for node in (target, source):
                node.admin("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
            assert await store.write([Update(record.id, {"n": 2})]) == [DONE]  # MOVED
            assert (await load_record(store, record.id)).data == {"n": 2}
            assert await store.write([Delete(record.id)]) == [DONE]
        finally:
            for node in (source, target, cluster.nodes[2]):
                node.admin("CLUSTER", "SETSLOT", slot, "NODE", ids[0])
        assert await store.write([Create(record)]) == [DONE]  # and back
        await asyncio.to_thread(cluster.until_whole)


@pytest.mark.gen_test(timeout=30)
async def test_scripts_that_one_node_forgot_are_sent_to_it_again(cluster: ValkeyCluster) -> None:
    async with opened(cluster) as store:
        by_node = await records_of(cluster, store, 2)
        ids = [record.id for records in by_node for record in records]
        await store.write([Update(id, {"n": 1}) for id in ids])
        cluster.nodes[2].admin("SCRIPT", "FLUSH")
        assert await store.write([Update(id, {"n": 2}) for id in ids]) == [DONE] * 6
        assert [r.data for r in (await load_records(store, ids)).values()] == [{"n": 2}] * 6
