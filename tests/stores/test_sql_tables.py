"""The table of SQL sessions: made, checked, of an earlier version, dropped."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from stores import ConfigurationError, StoreUnavailable
from stores.contract import Create, Delete, Outcome, Record, Update
from tests.helpers.records import make_record
from tests.helpers.sql_databases import ask, engine_of, opened, table, url

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["table", "url"]  # fixtures

DONE = Outcome.DONE


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
        ("expires has another type", {"expires": "VARCHAR(99)"}),
        ("data has another type", {"data": binary}),
        ("id has another type", {"id": "VARCHAR(32) PRIMARY KEY"}),
        ("user_name is NOT NULL", {"user_name": "VARCHAR(255) NOT NULL"}),
        ("shoe_size has no default", {"shoe_size": "INTEGER NOT NULL"}),
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


FORMER = (
    "id {0} PRIMARY KEY, secret {1} NOT NULL, created DOUBLE PRECISION NOT NULL, expires DOUBLE "
    "PRECISION NOT NULL, data {2} NOT NULL, user_name {2}, persistent BOOLEAN NOT NULL, "
    "former {1}, rotated DOUBLE PRECISION"
)


async def make_former_table(url: str, table: str) -> None:
    kinds = {
        "postgresql": ("BYTEA", "BYTEA", "TEXT"),
        "mariadb": ("BINARY(16)", "BINARY(32)", "LONGTEXT"),
        "sqlite": ("BLOB", "BLOB", "TEXT"),
    }[url.partition(":")[0]]
    await ask(url, f"CREATE TABLE {table} ({FORMER.format(*kinds)})")


@pytest.mark.gen_test(timeout=30)
async def test_a_former_table_goes_on_while_an_old_process_serves(url: str, table: str) -> None:
    await make_former_table(url, table)
    old, new, late = make_record(data={"n": 0}), make_record(seen=5.5), make_record()
    insert = text(
        f"INSERT INTO {table} (id, secret, created, expires, data, user_name, persistent, former, "
        "rotated) VALUES (:id, :secret, :created, :expires, :data, :user, :yes, NULL, NULL)"
    )
    columns = "id, secret, created, expires, data, user_name, persistent, former, rotated"
    select = text(f"SELECT {columns} FROM {table} WHERE id = :id")

    def values(record: Record) -> dict[str, Any]:
        data = '{"n":0}' if record is old else "{}"
        created, expires = record.created, record.expires
        return dict(
            zip(
                ("id", "secret", "created", "expires", "data", "user", "yes"),
                (record.id, record.secret_hash, created, expires, data, None, True),
                strict=True,
            )
        )

    async with (
        engine_of(url, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as process,
    ):
        await process.execute(insert, values(old))
        assert len((await process.execute(select, {"id": old.id})).all()) == 1
        async with opened(url, table) as first, opened(url, table) as second:
            await process.execute(insert, values(late))
            assert len((await process.execute(select, {"id": old.id})).all()) == 1
            assert await first.load([old.id, late.id]) == {old.id: old, late.id: late}
            await first.write([Create(new), Update(old.id, expires=old.expires, seen=9.5)])
            assert await second.load([old.id, new.id]) == {
                old.id: old._replace(seen=9.5),
                new.id: new,
            }


@pytest.mark.gen_test
async def test_a_former_table_names_what_the_owner_must_run(
    postgres: Any, mariadb: Any, table: str
) -> None:
    for server in (postgres, mariadb):
        await make_former_table(server.url, table)
        user = f"app_{table[-6:]}"
        host = "" if server is postgres else "@'127.0.0.1'"
        await ask(server.url, f"CREATE USER {user}{host}")
        await ask(server.url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {user}{host}")
        with pytest.raises(ConfigurationError) as caught:
            async with opened(server.url.replace("test@", f"{user}@"), table):
                pass
        statement = str(caught.value).partition("run: ")[2]
        assert statement.startswith(f"ALTER TABLE {table} ADD COLUMN authenticated DOUBLE")
        await ask(server.url, statement)
        with pytest.raises(ConfigurationError, match="ADD COLUMN seen DOUBLE"):
            async with opened(server.url.replace("test@", f"{user}@"), table):
                pass


@pytest.mark.gen_test(timeout=30)
async def test_a_dropped_table_is_made_again_while_running(url: str, table: str) -> None:
    record = make_record()
    async with opened(url, table, timeout=10) as store, opened(url, table, timeout=10) as other:
        await store.write([Create(record)])
        await other.load([record.id])
        for operation in (
            lambda: store.load([record.id]),
            lambda: store.write([Create(record)]),
            lambda: store.write([Update(record.id, {"n": 1})]),
            store.ping,
            lambda: store.sweep(time.time(), 10),
        ):
            await ask(url, f"DROP TABLE {table}")
            await operation()
            assert await store.write([Delete(record.id), Create(record)]) == [DONE, DONE]
            assert await other.load([record.id]) == {record.id: record}
        drop = f"DROP INDEX {table}_expires"
        await ask(url, drop + (f" ON {table}" if url.startswith("mariadb") else ""))


def remove(folder: Path, names: str) -> None:
    for file in folder.glob(names):
        file.unlink()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("removed", ["sessions.db*", "sessions.db", "replaced"])
async def test_a_removed_file_takes_nothing_acknowledged_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, removed: str
) -> None:
    url = f"sqlite:///{tmp_path}/sessions.db"
    records = [make_record() for _ in range(4)]
    async with opened(url) as store, opened(url) as another:
        await asyncio.gather(*(store.write([Create(record)]) for record in records))
        await another.load([records[0].id])
        if removed == "replaced":
            async with opened(f"sqlite:///{tmp_path}/other.db") as other:
                await other.write([Create(records[0])])
            remove(tmp_path, "sessions.db*")
            (tmp_path / "other.db").rename(tmp_path / "sessions.db")
            assert await store.write([Create(records[0])]) == [Outcome.EXISTS]
        else:
            remove(tmp_path, removed)
        later = [make_record() for _ in range(4)]
        outcomes = await asyncio.gather(*(store.write([Create(record)]) for record in later))
        assert outcomes == [[DONE]] * 4
        assert len(await store.load([record.id for record in later])) == 4
        async with opened(url) as fresh:
            assert len(await fresh.load([record.id for record in later])) == 4
        assert await another.write([Update(later[0].id, {"n": 1})]) == [DONE]
        assert (tmp_path / "sessions.db").stat().st_mode & 0o777 == 0o600
    assert caplog.text.count("somebody removed or replaced its file") == 2


@pytest.mark.gen_test
async def test_a_folder_that_is_removed_fails_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    async with opened(f"sqlite:///{folder}/sessions.db") as store:
        shutil.rmtree(folder)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="directory"):
                await store.write([Create(make_record())])
        folder.mkdir()
        assert await store.write([Create(make_record())]) == [DONE]
