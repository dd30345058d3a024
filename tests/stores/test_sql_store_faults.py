"""Bad days of an SQL database: stopped, killed, cut off, read-only, and what is left afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from stores import StoreUnavailable
from stores.contract import Create, Delete, Outcome, Update
from stores.sql import SQLStore
from stores.sql.engine import MAX_CONNECTIONS
from tests.helpers.outages import Operation, check_deadline, check_late_start
from tests.helpers.process import environment
from tests.helpers.records import load_record, load_records, make_record
from tests.helpers.sql_databases import (
    ask,
    engine_of,
    eventually,
    opened,
    server,
    shared_server,
    table,
)

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["server", "shared_server", "table"]  # fixtures

DONE = Outcome.DONE
TIMEOUT = 0.5
CLIENTS = {
    "postgresql": "SELECT pid FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
    "mariadb": "SELECT id FROM information_schema.processlist "
    "WHERE id <> connection_id() AND user = 'test'",
}


async def clients(server: Any) -> list[int]:
    """Return the numbers of all connections that clients have."""
    return [row[0] for row in await ask(server.url, CLIENTS[server.url.partition(":")[0]])]


async def terminate(server: Any) -> None:
    """Cut all connections that clients have, as an administrator would."""
    command = "SELECT pg_terminate_backend({})" if "postgres" in server.url else "KILL {}"
    for number in await clients(server):
        await ask(server.url, command.format(number))


# Stopped


@pytest.mark.gen_test(timeout=30)
async def test_a_stopped_server_fails_within_the_deadline(server: Any, table: str) -> None:
    """A stopped server fails within the deadline, and all is well when it goes on."""
    record = make_record(data={"n": 0})
    async with opened(server.url, table, timeout=TIMEOUT) as store:
        await store.write([Create(record)])
        fresh = SQLStore(server.url, table=table, timeout=TIMEOUT)
        server.pause()
        operations: list[Operation] = [
            lambda: store.load([record.id]),
            lambda: store.write([Update(record.id, {"n": 1})]),
            store.ping,
            store.open,
            fresh.open,
            lambda: store.sweep(0, 10),
        ]
        await check_deadline(operations, r"did not answer within 0\.5 s", 2 * TIMEOUT)
        server.resume()
        await eventually(fresh.open)
        assert await fresh.load([record.id])
        await fresh.close()
        found = await eventually(lambda: load_records(store, [record.id]))
        assert found[record.id].data == {"n": 0}  # what was cut off in the middle was undone
        assert await eventually(lambda: store.write([Update(record.id, {"n": 2})])) == [DONE]
        assert (await load_record(store, record.id)).data == {"n": 2}


@pytest.mark.gen_test(timeout=30)
async def test_a_stopped_server_does_not_hold_who_gives_up(server: Any, table: str) -> None:
    """A caller that gives up is not kept waiting by a stopped server."""
    async with opened(server.url, table, timeout=5) as store:
        await store.load([bytes(16)])
        server.pause()
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await store.load([bytes(16)])
        assert time.monotonic() - begun < 1
        server.resume()


@pytest.mark.faults
@pytest.mark.gen_test(timeout=30)
async def test_connections_stay_few_during_an_outage_under_load(server: Any, table: str) -> None:
    async with opened(server.url, table, timeout=0.2) as store:

        async def load() -> None:
            while not over.is_set():
                try:
                    await store.load([bytes(16)])
                except StoreUnavailable:
                    failures.append(1)

        over, failures = asyncio.Event(), list[int]()
        loads = [asyncio.create_task(load()) for _ in range(20)]
        server.pause()
        while len(failures) < 100:
            await asyncio.sleep(0.02)
        sockets = len(os.listdir("/proc/self/fd"))
        while len(failures) < 200:
            await asyncio.sleep(0.02)
        grown = len(os.listdir("/proc/self/fd")) - sockets
        server.resume()
        over.set()
        await asyncio.gather(*loads)
        assert grown <= MAX_CONNECTIONS
        await eventually(lambda: store.load([bytes(16)]))
        deadline = time.monotonic() + 10
        while len(await clients(server)) > MAX_CONNECTIONS:
            assert time.monotonic() < deadline, "connections were left open"


# Killed, restarted, started later


@pytest.mark.gen_test(timeout=60)
async def test_a_killed_server_loses_nothing_acknowledged(server: Any, table: str) -> None:
    """A killed server loses nothing that it acknowledged, and is found again."""
    records = [make_record(data={"n": 0}) for _ in range(20)]
    acknowledged: dict[bytes, int] = dict.fromkeys((r.id for r in records), 0)
    async with opened(server.url, table, timeout=2) as store:
        await store.write([Create(record) for record in records])

        async def write() -> None:
            n = 0
            while True:
                n += 1
                await store.write([Update(record.id, {"n": n}) for record in records])
                acknowledged.update(dict.fromkeys(acknowledged, n))

        writing = asyncio.create_task(write())
        while acknowledged[records[0].id] < 10:
            await asyncio.sleep(0.01)
        server.kill()
        with pytest.raises(StoreUnavailable):
            await writing
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"does not answer|2003|57P"):
                await store.load([records[0].id])
        server.start()  # in this thread, with which it ends
        found = await eventually(lambda: load_records(store, list(acknowledged)))
        values = {found[id].data["n"] for id in acknowledged}
        assert len(values) == 1, "a batch was written in part"
        # The last batch may have been committed when its answer was lost.
        (n,) = values
        assert n in (acknowledged[records[0].id], acknowledged[records[0].id] + 1)
        assert await store.write([Update(records[0].id, {"n": -1})]) == [DONE]


@pytest.mark.gen_test(timeout=60)
async def test_a_servers_restart_between_requests_goes_unnoticed(server: Any, table: str) -> None:
    record = make_record()
    async with opened(server.url, table) as store:
        await store.write([Create(record)])
        for n in range(5):
            if n == 0:
                server.restart()
            else:
                await terminate(server)
            if n % 2:
                assert await store.load([record.id])
            # Several connections from before.
            answers = await asyncio.gather(
                *(store.write([Update(record.id, {f"k{i}": n})]) for i in range(3))
            )
            assert answers == [[DONE]] * 3


@pytest.mark.gen_test(timeout=60)
async def test_a_server_that_starts_after_the_store_is_found(server: Any, table: str) -> None:
    store = SQLStore(server.url, table=table, timeout=TIMEOUT)
    await check_late_start(server, store, r"does not answer|2003")


WRITER = """
import asyncio, sys
from stores.contract import Create, Update
from stores.sql import SQLStore
from tests.helpers.records import make_record

async def main(url):
    store = SQLStore(url)
    await store.open()
    record = make_record(id=bytes(16))
    await store.write([Create(record)])
    n = 0
    while True:
        n += 1
        await store.write([Update(record.id, {"n": n})])
        print(n, flush=True)

asyncio.run(main(sys.argv[1]))
"""


def test_sqlite_keeps_what_it_acknowledged_over_a_kill(tmp_path: Path, io_loop: Any) -> None:
    url = f"sqlite:///{tmp_path}/sessions.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 50:
            break
    writer.kill()
    acknowledged = int(([line, *writer.stdout.read().split()])[-1])
    writer.stdout.close()
    writer.wait()

    async def check() -> None:
        async with opened(url) as store:
            found = await load_records(store, [bytes(16)])
            assert found[bytes(16)].data["n"] in (acknowledged, acknowledged + 1)
            assert await store.write([Update(bytes(16), {"n": 0})]) == [DONE]

    io_loop.run_sync(check)


# Read-only


@pytest.mark.gen_test(timeout=30)
async def test_a_read_only_server_is_read_and_refuses_every_write(server: Any, table: str) -> None:
    record = make_record(data={"n": 0})
    async with opened(server.url, table) as store:
        await store.write([Create(record)])
    if server.url.startswith("postgresql"):
        on, off = (
            [f"ALTER ROLE test SET default_transaction_read_only = {word}"]
            for word in ("on", "off")
        )
        off.insert(0, "SET default_transaction_read_only = off")
        url = server.url
    else:
        on, off = (
            ["CREATE USER app@'127.0.0.1'", "GRANT ALL ON test.* TO app@'127.0.0.1'"],
            ["DROP USER app@'127.0.0.1'", "SET GLOBAL read_only = 0"],
        )
        on.append("SET GLOBAL read_only = 1")
        url = server.url.replace("test@", "app@")
    for statement in on:
        await ask(server.url, statement)
    try:
        async with opened(url, table) as store:
            for change in (
                Create(make_record()),
                Update(record.id, {"n": 1}),
                Update(bytes(16), {"n": 1}),  # it may be there in the primary
                Delete(record.id),
            ):
                with pytest.raises(StoreUnavailable, match="read-only: write to the primary"):
                    await store.write([change])
            await store.ping()
            assert await store.load([record.id]) == {record.id: record}
            if server.url.startswith("mariadb"):  # it becomes the primary
                await ask(server.url, "SET GLOBAL read_only = 0")
                assert await store.write([Update(record.id, {"n": 1})]) == [DONE]
    finally:
        async with (
            engine_of(server.url, isolation_level="AUTOCOMMIT") as engine,
            engine.connect() as connection,
        ):
            for statement in off:
                await connection.execute(text(statement))
