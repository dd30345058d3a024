"""Sessions in SQL databases: the contract, what is in the table, many processes on one table."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stores import ConfigurationError, Store, StoreUnavailable
from stores.contract import Create, Outcome, Record, Update
from stores.sql import SQLStore
from stores.sql_url import mend_bytes
from tests.process import environment
from tests.records import make_record, make_rotation
from tests.store_contract import StoreContract

DONE = Outcome.DONE
DRIVERS = {"postgresql": "asyncpg", "mariadb": "aiomysql", "sqlite": "aiosqlite"}


class TestPostgreSQLStore(StoreContract):
    @pytest.fixture
    def store(self, postgres: Any) -> Store:
        return SQLStore(postgres.url)


class TestMariaDBStore(StoreContract):
    @pytest.fixture
    def store(self, mariadb: Any) -> Store:
        return SQLStore(mariadb.url)


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return SQLStore(f"sqlite:///{tmp_path}/sessions.db")


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sessions.db"
    return str(request.getfixturevalue(request.param).url)


@pytest.fixture
def table() -> str:
    """A table of this test's own, in a database that others may use."""
    return f"test_{os.urandom(6).hex()}"


@asynccontextmanager
async def opened(source: Any, table: str = "sessions", **options: Any) -> AsyncIterator[SQLStore]:
    store = SQLStore(source, table=table, **options)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def engine_of(url: str, **options: Any) -> AsyncIterator[AsyncEngine]:
    """What an application, or an administrator, has."""
    scheme, _, rest = url.partition("://")
    engine = create_async_engine(f"{scheme}+{DRIVERS[scheme]}://{rest}", **options)
    mend_bytes(engine)
    try:
        yield engine
    finally:
        await engine.dispose()


async def ask(url: str, statement: str, **values: Any) -> list[Any]:
    """Run an SQL statement and return its rows."""
    async with engine_of(url) as engine, engine.begin() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


# What is in the table


@pytest.mark.gen_test
async def test_a_session_is_a_row_that_people_can_read(url: str, table: str) -> None:
    record = Record(
        id=bytes(16),
        secret_hash=b"\x01" * 32,
        created=time.time(),
        expires=time.time() + 600,
        data={"name": "Zoë", "cart": [{"sku": "x", "price": 9.5}], "": None},
        user="ada",
        persistent=False,
    )
    async with opened(url, table) as store:
        assert await store.write([Create(record)]) == [DONE]
    (row,) = await ask(
        url, f"SELECT * FROM {table} WHERE user_name = 'ada' AND expires > :now", now=time.time()
    )
    assert row.data == '{"name":"Zoë","cart":[{"sku":"x","price":9.5}],"":null}'
    assert (row.id, row.secret, row.former, row.rotated) == (bytes(16), b"\x01" * 32, None, None)
    assert (row.created, row.expires, bool(row.persistent)) == (
        record.created,
        record.expires,
        False,
    )


@pytest.mark.gen_test
async def test_an_extension_of_its_life_leaves_the_data_as_it_is(url: str, table: str) -> None:
    record = make_record(data={"n": 1})
    async with opened(url, table) as store:
        await store.write([Create(record)])
        await ask(url, f"UPDATE {table} SET data = :data", data='{ "n": 1 }')  # another spelling
        await store.write([Update(record.id, expires=record.expires + 5)])
        ((data,),) = await ask(url, f"SELECT data FROM {table}")
        assert data == '{ "n": 1 }'
        await store.write([Update(record.id, {"m": 2})])
        assert (await store.load([record.id]))[record.id].data == {"n": 1, "m": 2}


@pytest.mark.gen_test
@pytest.mark.parametrize("user", ["a\0b", "\\0", "\\", "a\\\\b\0", "ADA\\n"], ids=ascii)
async def test_a_user_that_sql_text_cannot_hold_is_kept(url: str, table: str, user: str) -> None:
    created, signed_in = make_record(user=user), make_record()
    async with opened(url, table) as store:
        await store.write([Create(created), Create(signed_in)])
        await store.write([Update(signed_in.id, rotation=make_rotation(signed_in, user=user))])
        found = await store.load([created.id, signed_in.id])
    assert [record.user for record in found.values()] == [user, user]


@pytest.mark.gen_test
async def test_a_session_of_megabytes_is_kept_among_others(url: str, table: str) -> None:
    records = [make_record(data={"text": "ä\\'\"" * 300_000, "n": n}) for n in range(3)]
    async with opened(url, table, timeout=10) as store:
        assert await store.write([Create(record) for record in records]) == [DONE] * 3
        assert await store.write([Update(r.id, {"m": r.data["n"]}) for r in records]) == [DONE] * 3
        found = await store.load([record.id for record in records])
    assert found == {r.id: r._replace(data={**r.data, "m": r.data["n"]}) for r in records}


@pytest.mark.gen_test
async def test_no_value_reaches_the_log_at_any_level(
    url: str, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = make_record(data={"password": "hunter2"})
    with caplog.at_level(logging.DEBUG):
        async with opened(url, table) as store:
            await store.write([Create(record), Update(record.id, {"again": "hunter2"})])
            await store.load([record.id])
    assert "hunter2" not in caplog.text
    assert record.secret_hash.hex() not in caplog.text


# The table


@pytest.mark.gen_test
async def test_the_table_is_made_with_an_index_by_expiry_once(url: str, table: str) -> None:
    record = make_record()
    for _ in range(2):
        async with opened(url, table) as store:
            await store.write([Create(record)])
            assert await store.load([record.id]) == {record.id: record}
    drop = f"DROP INDEX {table}_expires"
    await ask(url, drop + (f" ON {table}" if url.startswith("mariadb") else ""))
    async with opened(url, table) as store:
        assert await store.load([record.id]) == {record.id: record}
    await ask(url, drop + (f" ON {table}" if url.startswith("mariadb") else ""))


@pytest.mark.gen_test
async def test_a_table_of_another_shape_is_told_and_left_alone(url: str, table: str) -> None:
    binary = {"postgresql": "BYTEA", "mariadb": "VARBINARY(32)", "sqlite": "BLOB"}[
        url.partition(":")[0]
    ]
    double = "DOUBLE PRECISION"
    columns = {
        "id": f"{binary} PRIMARY KEY",
        "secret": binary,
        "created": double,
        "expires": double,
        "data": "TEXT",
        "user_name": "VARCHAR(255)",
        "persistent": "BOOLEAN",
        "former": binary,
        "rotated": double,
    }
    for mistake, changed in (
        ("no column rotated", {"rotated": None}),
        ("primary key", {"id": binary}),
        ("expires is of another type", {"expires": "VARCHAR(99)"}),
        ("data is of another type", {"data": binary}),
        ("id is of another type", {"id": "VARCHAR(32) PRIMARY KEY"}),
        ("user_name takes no NULL", {"user_name": "VARCHAR(255) NOT NULL"}),
        ("shoe_size wants a value", {"shoe_size": "INTEGER NOT NULL"}),
        ("", {"shoe_size": "INTEGER"}),
    ):
        shape = {**columns, **changed}
        definition = ", ".join(f"{name} {kind}" for name, kind in shape.items() if kind)
        await ask(url, f"CREATE TABLE {table} ({definition})")
        if mistake:
            with pytest.raises(ConfigurationError, match=mistake):
                async with opened(url, table):
                    pass
        else:
            async with opened(url, table) as store:
                assert await store.write([Create(make_record())]) == [DONE]
        await ask(url, f"DROP TABLE {table}")


# Many at once


WORKER = """
import asyncio, json, sys
from stores.contract import Create, Outcome, Update, StoreUnavailable
from stores.sql import SQLStore
from tests.records import make_record

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
            found = await store.load(ids)
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
async def test_a_lock_that_others_hold_is_waited_for_until_the_deadline(
    url: str, table: str
) -> None:
    record = make_record(data={"n": 0})
    options = {"isolation_level": "AUTOCOMMIT"}
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
        found = await store.load([record.id])
        assert found == {record.id: record._replace(rotated=1.0, data={"n": 2})}
