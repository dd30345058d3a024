"""Many at once on one table: processes, sweeps, locks of others, operations that are cancelled."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from typing import Any

import pytest
from sqlalchemy import text

from stores import StoreUnavailable
from stores.contract import Create, Outcome, Record, Update
from stores.sql import SQLStore
from stores.sql.engine import make_engine
from stores.sql.url import SQLUrl
from tests.helpers.process import environment
from tests.helpers.records import load_record, load_records, make_record
from tests.helpers.relay import Relay
from tests.helpers.sql_databases import (
    engine_of,
    eventually,
    opened,
    server,
    shared_server,
    table,
    url,
)

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["server", "shared_server", "table", "url"]  # fixtures

DONE = Outcome.DONE


WORKER = """
import asyncio, json, sys
from stores.contract import Create, Outcome, Update, StoreUnavailable
from stores.sql import SQLStore
from stores.sql.engine import make_engine
from stores.sql.url import SQLUrl
from tests.helpers.records import make_record

async def main(url, table, key, ids):
    store = SQLStore(url, table=table, timeout=20)
    sys.stdin.readline()
    await store.open()
    ids = [bytes.fromhex(id) for id in json.loads(ids)]
    await store.write([Create(make_record(id=id)) for id in ids])
    for n in range(1, 11):
        order = ids if n % 2 else ids[::-1]
        outcomes = await store.write([Update(id, {key: n}) for id in order])
        assert outcomes == [Outcome.DONE] * len(ids), outcomes
        found = await store.load(ids)
        assert all(found[id].data[key] == n for id in ids)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_processes_that_open_and_write_at_once_lose_nothing(
    url: str, table: str, io_loop: Any
) -> None:
    ids = [os.urandom(16) for _ in range(5)]
    keys = ["a", "b", "c"]
    listed = json.dumps([id.hex() for id in ids])
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, url, table, key, listed],
            env=environment(),
            stdin=subprocess.PIPE,
        )
        for key in keys
    ]
    try:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(b"go\n")
            worker.stdin.close()
        assert [worker.wait(30) for worker in workers] == [0] * len(keys)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()

    async def check() -> None:
        async with opened(url, table) as store:
            found = await load_records(store, ids)
        assert [found[id].data for id in ids] == [dict.fromkeys(keys, 10)] * len(ids)

    io_loop.run_sync(check)


@pytest.mark.gen_test(timeout=20)
async def test_sweeps_at_the_same_time_remove_each_dead_session_once(url: str, table: str) -> None:
    now = time.time()
    dead = [make_record(created=now - 99, expires=now - n) for n in range(1, 61)]
    living = make_record()

    async def sweep(store: SQLStore) -> int:
        total = 0
        for _ in range(12):
            total += await store.sweep(now, 10)
        return total

    async with opened(url, table, timeout=10) as first, opened(url, table, timeout=10) as second:
        await first.write([Create(record) for record in (*dead, living)])
        totals = await asyncio.gather(sweep(first), sweep(second))
        assert sum(totals) == 60
        assert list(await first.load([r.id for r in (*dead, living)])) == [living.id]


@pytest.mark.gen_test
async def test_a_held_lock_is_waited_for_until_the_deadline(url: str, table: str) -> None:
    record = make_record(data={"n": 0})
    options = {"isolation_level": "AUTOCOMMIT"}
    async with opened(url, table):
        pass  # making the table may take longer than the time-out of this test
    async with opened(url, table, timeout=0.5) as store, engine_of(url, **options) as engine:
        await store.write([Create(record)])
        async with engine.connect() as other:
            begin = "BEGIN IMMEDIATE" if url.startswith("sqlite") else "BEGIN"
            await other.execute(text(begin))
            await other.execute(text(f"UPDATE {table} SET rotated = 1"))
            with pytest.raises(StoreUnavailable):
                await store.write([Update(record.id, {"n": 1})])
            assert await store.load([record.id]) == {record.id: record}
            writing = asyncio.create_task(store.write([Update(record.id, {"n": 2})]))
            await asyncio.sleep(0)
            await other.execute(text("COMMIT"))
            assert await writing == [DONE]
        found = await load_records(store, [record.id])
        assert found == {record.id: record._replace(rotated=1.0, data={"n": 2})}


# Cancelled


@pytest.mark.gen_test(timeout=30)
async def test_cancelled_operations_leave_no_connection_dirty(url: str, table: str) -> None:
    """Operations that are cancelled at any moment leave no connection dirty."""
    chance = random.Random(7)
    records = [make_record(data={"n": i}) for i in range(20)]
    answered = 0

    async def use(record: Record) -> None:
        nonlocal answered
        try:
            async with asyncio.timeout(chance.random() * 0.6):
                await store.write([Update(record.id, {"last": chance.random()})])
                found = await load_records(store, [record.id])
        except TimeoutError:
            return
        assert found[record.id].data["n"] == record.data["n"]
        answered += 1

    async with opened(url, table, timeout=10) as store:
        await store.write([Create(record) for record in records])
        for _ in range(5):
            await asyncio.gather(*(use(record) for record in records))
        assert 0 < answered < 100
        for record in records:
            assert await store.write([Update(record.id, {"n": -1})]) == [DONE]
            assert (await load_record(store, record.id)).data["n"] == -1


# Others in the way


@pytest.mark.gen_test(timeout=30)
async def test_a_deadlock_with_others_is_repeated(server: Any, table: str) -> None:
    first, second = sorted((make_record(data={"n": 0}) for _ in range(2)), key=lambda r: r.id)
    change = text(f"UPDATE {table} SET rotated = 1 WHERE id = :id")
    options = {"isolation_level": "AUTOCOMMIT"}
    async with (
        opened(server.url, table, timeout=10) as store,
        engine_of(server.url, **options) as engine,
    ):
        await store.write([Create(first), Create(second)])
        async with engine.connect() as other:
            await other.execute(text("BEGIN"))
            await other.execute(change, {"id": second.id})
            writing = asyncio.create_task(
                store.write([Update(r.id, {"n": 1}) for r in (first, second)])
            )
            waiting = text(
                "SELECT count(*) FROM pg_locks WHERE NOT granted"
                if server.url.startswith("postgresql")
                else "SELECT count(*) FROM information_schema.innodb_trx "
                "WHERE trx_state = 'LOCK WAIT'"
            )
            async with engine.connect() as third:
                while not (await third.execute(waiting)).scalar():
                    await asyncio.sleep(0.02)
            try:
                await other.execute(change, {"id": first.id})
            except Exception:  # it was the other that was made to yield
                await other.execute(text("ROLLBACK"))
            else:
                await other.execute(text("COMMIT"))
            assert await writing == [DONE, DONE]
        found = await load_records(store, [first.id, second.id])
        assert [found[r.id].data for r in (first, second)] == [{"n": 1}] * 2


@pytest.mark.gen_test(timeout=30)
async def test_rows_of_a_client_that_was_lost_are_free_again(server: Any, table: str) -> None:
    """A client whose path is lost in a transaction holds its rows for seconds, not for hours."""
    record = make_record()
    lost = make_engine(SQLUrl(server.url), 0.5)
    async with opened(server.url, table, timeout=10) as store:
        await store.write([Create(record)])
        connection = await lost.connectable.connect()
        await connection.exec_driver_sql("BEGIN")
        locked = await connection.execute(text(f"SELECT id FROM {table} FOR UPDATE"))
        assert len(locked.all()) == 1
        begun = time.monotonic()
        assert await store.write([Update(record.id, {"n": 1})]) == [DONE]
        assert 0.5 < time.monotonic() - begun < 5
        await connection.invalidate()
        await connection.close()
    await lost.close()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("at_last", [True, False])
async def test_a_commit_that_arrives_late_overwrites_nothing(
    server: Any, table: str, at_last: bool
) -> None:
    """It holds its rows until it arrives, or until the server has given it up."""
    record = make_record(data={"n": 0})
    relay = Relay(server.port)
    relay.switch_on()
    slow_url = server.url.replace(str(server.port), str(relay.port))
    try:
        async with (
            opened(server.url, table, timeout=10) as store,
            opened(slow_url, table, timeout=0.5) as slow,
        ):
            await store.write([Create(record)])
            await slow.load([record.id])
            # As the protocols have it: a whole text, and a query.
            is_postgresql = server.url.startswith("postgresql")
            relay.hold_requests(b"\0COMMIT\0" if is_postgresql else b"\x03COMMIT")
            with pytest.raises(StoreUnavailable):
                await slow.write([Update(record.id, {"n": 1})])
            assert relay.held == 1
            writing = asyncio.create_task(store.write([Update(record.id, {"n": 2, "m": 2})]))
            if at_last:
                assert await writing == [DONE]
                relay.release()
            else:
                await asyncio.sleep(0.1)
                assert not writing.done()
                relay.release()
                assert await writing == [DONE]
            assert await eventually(lambda: slow.write([Update(record.id, {"k": 3})])) == [DONE]
            assert (await load_record(store, record.id)).data == {"n": 2, "m": 2, "k": 3}
    finally:
        relay.close()
