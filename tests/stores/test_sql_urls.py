"""What an SQL store is made from: URLs, SQLite's file, engines of an application's own."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from stores import ConfigurationError, StoreUnavailable, open_store
from stores.contract import Create, Outcome, Update
from stores.sql import SQLStore
from tests.helpers.records import make_record
from tests.helpers.sql_databases import engine_of, opened, table, url

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["table", "url"]  # fixtures

DONE = Outcome.DONE


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://localhost/app", "postgresql://localhost/app"),
        ("postgresql://ada:hunter2@db:7000/app?sslmode=require", "postgresql://db:7000/app"),
        ("POSTGRESQL://ada:hunter2@a:1,b:2/app", "postgresql://a:1,b:2/app"),
        ("mysql://ada:hunter2%40@[::1]:7000/app", "mysql://[::1]:7000/app"),
        ("mariadb://ada:p@hunter2@db/app", "mariadb://db/app"),
        ("sqlite:///var/sessions.db", "sqlite:///var/sessions.db"),
        ("sqlite:////srv/sessions%20.db", "sqlite:////srv/sessions%20.db"),
    ],
)
def test_a_name_is_the_url_without_user_and_password(url: str, name: str) -> None:
    store = open_store(url)
    assert isinstance(store, SQLStore)
    assert store.name == name
    assert "hunter2" not in repr(store)


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("http://localhost", "must begin with one of"),
        ("postgresql+asyncpg://ada:hunter2@localhost/app", "must begin with one of"),
        ("postgresql://", "no host"),
        ("postgresql://ada:hunter2", "host or port"),
        ("postgresql://localhost:99999", "host or port"),
        ("postgresql://a:1,b:hunter2/app", "host or port"),
        ("postgresql://ada:hun/ter2@localhost/app", "percent-encode"),
        ("postgresql://ada:hun?ter2@localhost/app", "percent-encode"),
        ("mysql://ada:hun#ter2@localhost/app", "percent-encode"),
        ("postgresql://ada:hun[ter2@localhost/app", "percent-encode"),
        ("postgresql://localhost/app?hunter2", "name=value"),
        ("mysql:///app", "no host"),
        ("mysql://ada:hunter2@localhost", "no database"),
        ("mariadb://localhost/app/hunter2", "no database"),
        ("mariadb://localhost/app?charset=hunter2", "ssl_ca, unix_socket"),
        ("mariadb://localhost/app?ssl_ca=/nowhere/hunter2", "file of ssl_ca"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://hunter2/sessions.db", "names no file"),
        ("sqlite:///sessions.db?mode=hunter2", "names no file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_that_cannot_work_is_told_without_quoting_it(url: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError, match=mistake) as caught:
        SQLStore(url)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize("table", ["", "a b", 'a"b', "1a", "Sessions", "a;drop", "a" * 51, "a.b"])
def test_a_table_of_an_odd_name_is_refused(table: str) -> None:
    with pytest.raises(ConfigurationError, match="table's name"):
        SQLStore("sqlite:///sessions.db", table=table)


# What a server or a driver refuses


@pytest.mark.gen_test
async def test_what_a_driver_makes_nothing_of_is_told_by_the_kind_of_error(url: str) -> None:
    async with engine_of(url, connect_args={"hunter2": 1, "timeout": "hunter2"}) as engine:
        store = SQLStore(engine)
        with pytest.raises(ConfigurationError, match="TypeError") as caught:
            await store.open()
        await store.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.gen_test
async def test_a_refused_user_or_database_is_told_by_code_alone(url: str) -> None:
    if url.startswith("sqlite"):
        wrong, reason = f"{url}/sessions.db", "directory"
    elif url.startswith("postgresql"):
        wrong, reason = url.replace("test@", "test:hunter2@") + "no", r"3D000 \(no such database"
    else:
        wrong, reason = url.replace("test@", "test:hunter2@"), r"1045 \(user name or password"
    store = SQLStore(wrong)
    with pytest.raises((StoreUnavailable, ConfigurationError), match=reason) as caught:
        await store.open()
    await store.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("sslmode=hunter2", "ClientConfigurationError"),
        ("hunter2=1", "42704"),
    ],
)
async def test_an_option_that_a_driver_does_not_know_is_told(
    postgres: Any, option: str, reason: str
) -> None:
    store = SQLStore(f"{postgres.url}?{option}")
    with pytest.raises((StoreUnavailable, ConfigurationError), match=reason) as caught:
        await store.open()
    await store.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.gen_test
async def test_a_store_that_is_not_open_says_so_and_opens_again(url: str, table: str) -> None:
    record = make_record()
    async with opened(url, table) as store:
        await store.open()
        await store.write([Create(record)])
    await store.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.load([record.id])
    await store.open()
    assert await store.load([record.id]) == {record.id: record}
    await store.close()


# SQLite's file


@pytest.fixture
def umask() -> Iterator[None]:
    """Files readable by everybody unless told otherwise."""
    former = os.umask(0)
    yield
    os.umask(former)


@pytest.mark.gen_test
async def test_a_file_of_sqlite_is_for_its_owner_alone(
    tmp_path: Path, umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened("sqlite:///sessions.db") as store:
        monkeypatch.chdir("/")
        await store.write([Create(make_record())])
        names = os.listdir(tmp_path)
        modes = {name: os.stat(tmp_path / name).st_mode & 0o777 for name in names}
    assert modes == dict.fromkeys(("sessions.db", "sessions.db-wal", "sessions.db-shm"), 0o600)


@pytest.mark.gen_test
async def test_a_path_that_sqlite_cannot_use_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to be taken for one " * 30)
    for path, mistake in (
        ("absent/sessions.db", "the directory of the SQLite file does not exist"),
        ("text", "SQLITE_NOTADB"),
        ("", "cannot make the SQLite file"),
    ):
        store = SQLStore(f"sqlite:///{tmp_path}/{path}")
        with pytest.raises((ConfigurationError, StoreUnavailable), match=mistake):
            await store.open()
        await store.close()


@pytest.mark.gen_test
async def test_a_read_only_file_is_read_and_refuses_every_write(tmp_path: Path) -> None:
    record = make_record()
    async with opened(f"sqlite:///{tmp_path}/sessions.db") as store:
        await store.write([Create(record)])
        url = f"sqlite:///file:{tmp_path}/sessions.db?mode=ro&uri=true"
        async with engine_of(url) as engine, opened(engine) as reader:
            assert await reader.load([record.id]) == {record.id: record}
            with pytest.raises(StoreUnavailable, match="SQLITE_READONLY"):
                await reader.write([Update(record.id, {"n": 1})])


# An application's own engine


@pytest.mark.gen_test
async def test_an_applications_engine_is_used_and_not_closed(url: str, table: str) -> None:
    record = make_record(data={"n": 0})
    async with engine_of(url, pool_size=2) as engine:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        async with opened(engine, table) as store:
            assert await store.write([Create(record)]) == [DONE]
            assert await store.write([Update(record.id, {"n": 1})]) == [DONE]
            found = await store.load([record.id])
            assert found == {record.id: record._replace(data={"n": 1})}
            assert store.name.partition("://")[0] == url.partition("://")[0]
            assert store.name.endswith(url.rpartition("/")[2])
            assert "test@" not in store.name
        assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]
        async with engine.begin() as connection:  # its own transactions work as before
            await connection.execute(text(f"DELETE FROM {table}"))
            await connection.rollback()
        async with opened(engine, table) as store:
            assert list(await store.load([record.id])) == [record.id]


def test_an_engine_that_cannot_serve_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not int"):
        SQLStore(7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="with a file"):
        SQLStore(create_async_engine("sqlite+aiosqlite://"))
