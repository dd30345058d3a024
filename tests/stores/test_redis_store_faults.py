"""Bad days of a Valkey server: stopped, killed, cut off, full, a replica."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from stores import StoreUnavailable
from stores.contract import Create, Delete, Outcome, Record, Update
from stores.redis import RedisStore
from stores.redis.client import MAX_CONNECTIONS
from tests.helpers.database_servers import Valkey
from tests.helpers.opened import while_open
from tests.helpers.outages import Operation, check_deadline, check_late_start
from tests.helpers.records import load_record, make_record
from tests.helpers.recovery import eventually
from tests.helpers.relay import Relay
from tests.helpers.writers import Writer, until_failed, until_written

DONE = Outcome.DONE
TIMEOUT = 0.5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A server that has what it acknowledged after it was killed."""
    server = Valkey(tmp_path)
    yield server
    server.kill()


def opened(url: str, timeout: float = TIMEOUT) -> AbstractAsyncContextManager[RedisStore]:
    return while_open(RedisStore(url, timeout=timeout))


@pytest.mark.gen_test(timeout=30)
async def test_a_stopped_server_fails_within_the_deadline(server: Valkey) -> None:
    """A stopped server fails within the deadline, and all is well when it goes on."""
    record = make_record(data={"n": 0})
    async with opened(server.url) as store:
        await store.write([Create(record)])
        server.pause()
        operations: list[Operation] = [
            lambda: store.load([record.id]),
            lambda: store.write([Update(record.id, {"n": 1})]),
            store.ping,
            store.open,
        ]
        await check_deadline(operations, r"did not answer within 0\.5 s", 2 * TIMEOUT)
        server.resume()
        found = await eventually(lambda: store.load([record.id]))
        assert found[record.id] in (record, record._replace(data={"n": 1}))  # it may arrive late
        assert await store.write([Update(record.id, {"n": 2})]) == [DONE]
        assert (await load_record(store, record.id)).data == {"n": 2}


@pytest.mark.gen_test(timeout=30)
async def test_a_cancelled_loads_answer_is_not_the_next_ones(server: Valkey) -> None:
    """The answer to a cancelled load is not taken for the answer to the next."""
    cancelled, wanted = make_record(data={"whose": "other"}), make_record(data={"whose": "mine"})
    async with opened(server.url, timeout=5) as store:
        await store.write([Create(cancelled), Create(wanted)])
        server.pause()
        loads = [asyncio.create_task(store.load([cancelled.id])) for _ in range(MAX_CONNECTIONS)]
        writes = [asyncio.create_task(store.write([Update(bytes(16))])) for _ in range(3)]
        for _ in range(20):  # turns of the loop, in which the requests go out
            await asyncio.sleep(0)
        for task in (*loads, *writes):
            task.cancel()
        await asyncio.gather(*loads, *writes, return_exceptions=True)
        assert all(task.cancelled() for task in (*loads, *writes))
        server.resume()
        for _ in range(2 * MAX_CONNECTIONS):  # more often than there are connections
            assert await store.load([wanted.id]) == {wanted.id: wanted}
            assert await store.write([Update(wanted.id)]) == [DONE]


@pytest.mark.gen_test(timeout=30)
async def test_loads_cancelled_at_any_moment_leave_no_answer_behind(server: Valkey) -> None:
    await cancel_loads_at_any_moment(server.url)


@pytest.mark.gen_test(timeout=30)
async def test_cancelled_loads_leave_no_answer_in_a_cluster(valkey_cluster: Any) -> None:
    """Loads that are cancelled at any moment leave no answer behind in a cluster."""
    await cancel_loads_at_any_moment(valkey_cluster.url)


async def cancel_loads_at_any_moment(url: str) -> None:
    chance = random.Random(7)
    records = [make_record(data={"n": i}) for i in range(50)]
    answered = 0

    async def load(record: Record) -> None:
        nonlocal answered
        try:
            async with asyncio.timeout(chance.random() * 0.02):
                found = await store.load([record.id])
        except TimeoutError:
            return
        assert found == {record.id: record}
        answered += 1

    async with opened(url, timeout=5) as store:
        await store.write([Create(record) for record in records])
        for _ in range(10):
            await asyncio.gather(*(load(record) for record in records))
        assert 0 < answered < 500
        for record in records:
            assert await store.load([record.id]) == {record.id: record}


@pytest.mark.gen_test(timeout=30)
async def test_a_killed_server_loses_nothing_acknowledged(server: Valkey) -> None:
    """A killed server loses nothing that it acknowledged, and is found again."""
    record = make_record(data={"n": 0})
    async with opened(server.url) as store:
        await store.write([Create(record)])
        await store.write([Update(record.id, {"n": 1})])
        server.kill()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.load([record.id])
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.write([Update(record.id, {"n": 2})])
        server.start()
        found = await eventually(lambda: store.load([record.id]))
        assert found == {record.id: record._replace(data={"n": 1})}
        assert await store.write([Update(record.id, {"n": 3})]) == [DONE]  # scripts are gone, too


@pytest.mark.gen_test(timeout=30)
async def test_no_write_is_lost_when_killed_under_load(server: Valkey) -> None:
    """No acknowledged write is lost when the server is killed under load."""
    async with opened(server.url) as store:
        writers = [Writer(store) for _ in range(10)]
        await store.write([Create(writer.record) for writer in writers])
        stop = asyncio.Event()
        running = asyncio.gather(*(writer.run(stop) for writer in writers))
        for _ in range(2):
            await until_written(writers, 10)
            server.kill()
            await until_failed(writers)
            server.start()
        await until_written(writers, 10)
        stop.set()
        await running
        assert [await writer.lost() for writer in writers] == [[]] * 10


@pytest.mark.gen_test(timeout=30)
async def test_a_server_that_starts_after_the_store_is_found(server: Valkey) -> None:
    await check_late_start(server, RedisStore(server.url, timeout=TIMEOUT), "does not answer")


@pytest.mark.gen_test(timeout=30)
async def test_connections_that_the_server_closed_are_replaced(server: Valkey) -> None:
    """Connections that the server closed are replaced, and no request notices."""
    record = make_record()
    kill = ("CLIENT", "KILL", "TYPE", "normal")
    async with opened(server.url) as store:
        await store.write([Create(record)])
        for n in range(5):  # in a thread, while the loop notices what was closed
            await asyncio.to_thread(server.admin, *kill)
            assert await store.load([record.id])
            await asyncio.to_thread(server.admin, *kill)
            assert await store.write([Update(record.id, {"n": n})]) == [DONE]
            server.admin(*kill)  # and when it was not noticed, it is read again
            assert await store.load([record.id])


@pytest.mark.gen_test(timeout=30)
async def test_no_request_notices_a_restart_between_two_requests(server: Valkey) -> None:
    records = [make_record() for _ in range(MAX_CONNECTIONS)]
    async with opened(server.url) as store:
        await asyncio.gather(*(store.write([Create(record)]) for record in records))
        server.restart()
        await asyncio.to_thread(server.is_ready)  # while the loop notices what was closed
        changes = [store.write([Update(record.id, {"n": 1})]) for record in records]
        assert await asyncio.gather(*changes) == [[DONE]] * MAX_CONNECTIONS
        server.restart()  # not noticed, but read again
        found = await asyncio.gather(*(load_record(store, record.id) for record in records))
        assert [record.data for record in found] == [{"n": 1}] * MAX_CONNECTIONS


@pytest.mark.gen_test(timeout=30)
async def test_a_cut_connection_fails_a_write_once_a_read_never(valkey: Valkey) -> None:
    """A connection that is cut before the answer fails a write once, and a read never."""
    record = make_record(data={"n": 0})
    relay = Relay(valkey.port)
    relay.switch_on()
    async with opened(f"redis://127.0.0.1:{relay.port}") as store:
        await store.write([Create(record), Update(bytes(16))])  # the server knows the scripts now
        relay.cut_next_answer = True
        assert await store.load([record.id]) == {record.id: record}
        assert not relay.cut_next_answer
        relay.cut_next_answer = True
        with pytest.raises(StoreUnavailable, match="ConnectionBroken"):
            await store.write([Update(record.id, {"n": 1})])
        assert (await load_record(store, record.id)).data == {"n": 1}  # done, but who knew
        assert await store.write([Update(record.id, {"n": 2})]) == [DONE]
    relay.close()


@pytest.mark.gen_test(timeout=30)
async def test_an_outage_under_load_does_not_heap_up_connections(server: Valkey) -> None:
    records = [make_record(data={"text": "x" * 60_000}) for _ in range(20)]
    async with opened(server.url) as store:
        await asyncio.gather(*(store.write([Create(record)]) for record in records))
        before = len(os.listdir("/dev/fd"))
        server.pause()
        for _ in range(3):
            writes = [store.write([Update(r.id, r.data) for r in records]) for _ in range(30)]
            loads = [store.load([record.id]) for record in records]
            answers = await asyncio.gather(*writes, *loads, return_exceptions=True)
            assert {type(answer) for answer in answers} == {StoreUnavailable}
            # A connection that was cut with words still to send lives until the server goes on.
            assert len(os.listdir("/dev/fd")) <= before + 2 * MAX_CONNECTIONS
        server.resume()
        assert len(await eventually(lambda: store.load([r.id for r in records]))) == 20
        assert len(os.listdir("/dev/fd")) <= before + MAX_CONNECTIONS


@pytest.mark.gen_test(timeout=30)
async def test_a_full_server_refuses_writes_and_answers_reads(server: Valkey) -> None:
    """A full server refuses each write as a whole, and still answers reads."""
    record, other = make_record(data={"n": 0}), make_record()
    async with opened(server.url) as store:
        await store.write([Create(record), Create(other)])
        server.admin("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
        for change in (
            Update(record.id, {"n": 1}, expires=record.expires + 50),
            Update(record.id, unset=["n"]),
            Create(make_record(id=bytes(16))),
        ):
            with pytest.raises(StoreUnavailable, match=r"refused: OOM .*maxmemory"):
                await store.write([change])
        await store.ping()
        assert await store.load([record.id, bytes(16)]) == {record.id: record}
        assert await store.write([Delete(other.id)]) == [DONE]
        server.admin("CONFIG", "SET", "maxmemory", "0")
        assert await store.write([Update(record.id, {"n": 1})]) == [DONE]


@pytest.mark.gen_test(timeout=30)
async def test_a_replica_is_read_and_refuses_every_write(server: Valkey, tmp_path: Path) -> None:
    primary = Valkey(tmp_path / "primary", more=("--repl-diskless-sync-delay", "0"))
    try:
        record = make_record()
        async with opened(primary.url) as store:
            await store.write([Create(record)])
        async with opened(server.url) as store:
            server.admin("REPLICAOF", "127.0.0.1", primary.port)
            deadline = time.monotonic() + 10
            while not await eventually(lambda: store.load([record.id])):
                assert time.monotonic() < deadline, "the replica has not got the session"
                await asyncio.sleep(0.02)
            for change in (
                Create(make_record()),
                Update(record.id, {"n": 1}),
                Update(bytes(16), {"n": 1}),  # it may be there in the primary
                Delete(record.id),
            ):
                with pytest.raises(StoreUnavailable, match=r"refused: READONLY .*primary"):
                    await store.write([change])
            server.admin("REPLICAOF", "NO", "ONE")
            assert await store.write([Update(record.id, {"n": 1})]) == [DONE]
    finally:
        primary.kill()
