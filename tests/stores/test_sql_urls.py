"""What an SQL store is made from: URLs, SQLite's file, engines of an application's own."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from stores import ConfigurationError, StoreUnavailable, open_store
from stores.contract import Create, Outcome, Update
from stores.sql import SQLStore
from stores.sql.attempt import Attempt
from stores.sql.url import SQLUrl
from tests.helpers.opened import while_open
from tests.helpers.outages import check_reopening
from tests.helpers.records import make_record
from tests.helpers.sql_databases import ask, engine_of, opened, table, url

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
        ("mariadb://localhost/app?charset=hunter2", "table, ssl, ssl_ca, ssl_cert, ssl_key"),
        ("mariadb://localhost/app?ssl=hunter2", "one value: true"),
        ("mariadb://localhost/app?ssl_key=hunter2", "needs ssl_cert"),
        ("mariadb://localhost/app?ssl_cert=/nowhere/hunter2", "file of ssl_cert or ssl_key"),
        ("postgresql://localhost/app?hunter2=1", "options=-c%20name=value; supported options"),
        ("postgresql://localhost/app?sslmode=hunter2", "sslmode .* one of: disable, allow"),
        ("postgresql://localhost/app?sslmode=verify-full", "needs sslrootcert=file"),
        ("postgresql://localhost/app?sslrootcert=/nowhere/hunter2", "file of sslrootcert is miss"),
        ("postgresql://localhost/app?sslrootcert=system", "needs sslmode=verify-full"),
        ("postgresql://localhost/app?sslcrl=/nowhere/hunter2", "file of sslcrl is missing"),
        ("postgresql://localhost/app?sslcert=/nowhere/hunter2", "file of sslcert or sslkey"),
        ("postgresql://localhost/app?connect_timeout=hunter2", "must be a whole number"),
        ("postgresql://localhost/app?keepalives_idle=-1", "must be a whole number"),
        ("postgresql://localhost/app?channel_binding=require", "one of: disable, prefer"),
        ("postgresql://localhost/app?gssencmode=require", "one of: disable, prefer"),
        ("postgresql://localhost/app?client_encoding=latin1", "one of: utf8"),
        ("postgresql://localhost/app?target_session_attrs=hunter2", "one of: any, read-write"),
        ("postgresql://localhost/app?pgbouncer=hunter2", "one of: transaction"),
        ("postgresql://localhost/app?table=hunter2%20x", "table's name"),
        ("mariadb://localhost/app?ssl_ca=/nowhere/hunter2", "file of ssl_ca"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://hunter2/sessions.db", "names no file"),
        ("sqlite:///sessions.db?mode=hunter2", "supported options: table"),
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
async def test_a_drivers_refusal_is_told_by_the_kind_of_error(url: str) -> None:
    """What a driver makes nothing of is told by the kind of error."""
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
    "options",
    [
        *("connect_timeout=5", "channel_binding=prefer", "gssencmode=disable", "sslmode=prefer"),
        *("application_name=shop", "options=-c%20work_mem=8MB", "client_encoding=utf8"),
        "keepalives=1&keepalives_idle=40&keepalives_interval=5&keepalives_count=2",
        *("keepalives=0", "tcp_user_timeout=9000", "target_session_attrs=read-write"),
        *("load_balance_hosts=disable", "sslnegotiation=postgres", "table=shop_sessions"),
    ],
)
async def test_what_libpq_knows_is_understood(postgres: Any, options: str) -> None:
    store = SQLStore(f"{postgres.url.replace('postgresql:', 'postgres:')}?{options}")
    async with while_open(store):
        assert await store.write([Create(make_record())]) == [DONE]

        def look(attempt: Attempt) -> Any:
            settings = "current_setting('application_name'), current_setting('work_mem')"
            row = attempt.connection.exec_driver_sql(f"SELECT {settings}").one()
            driver: Any = attempt.connection.connection.driver_connection
            transport = driver._transport
            connected = transport.get_extra_info("socket")
            alive = connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            return (*row, bool(alive), idle)

        name, memory, alive, idle = await store._run(look)
    assert name == ("shop" if "shop" in options and "table" not in options else "")
    assert memory == ("8MB" if "work_mem" in options else "4MB")
    assert alive is ("keepalives=0" not in options)
    assert idle == (40 if "idle=40" in options else 30 if alive else idle)


@pytest.mark.gen_test
async def test_a_url_names_the_table_of_one_application(url: str, table: str) -> None:
    record = make_record()
    async with opened(f"{url}?table={table}", None) as store:
        assert await store.write([Create(record)]) == [DONE]
        assert "?" not in store.name
    assert len(await ask(url, f"SELECT id FROM {table}")) == 1
    async with opened(f"{url}?table=other", table) as store:  # the code's own word is the last
        assert list(await store.load([record.id])) == [record.id]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://localhost/app", False),
        ("postgresql://127.0.0.1:1,[::1]:2/app", False),
        ("postgresql:///app?host=/run/postgresql", False),
        ("postgresql://%2Frun%2Fpostgresql/app", False),
        ("postgresql://db/app?sslmode=require", False),
        ("postgresql://db/app", True),
        ("postgresql://localhost,db/app?sslmode=prefer", True),
        ("mysql://db/app", True),
        ("mysql://127.0.0.1/app", False),
        ("mysql://db/app?ssl=true", False),
        ("mysql://localhost/app?unix_socket=/run/mysqld/mysqld.sock", False),
        ("sqlite:///sessions.db", False),
    ],
)
def test_plain_text_over_a_network_is_known(url: str, told: bool) -> None:
    assert SQLUrl(url).may_be_overheard is told


@pytest.mark.gen_test
async def test_plain_text_over_a_network_is_told(
    mariadb: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for source, told in ((mariadb.url, 0), ("mariadb://ada:hunter2@host.invalid/app", 1)):
        store = SQLStore(source)
        with suppress(StoreUnavailable):
            await store.open()
        await store.close()
        assert caplog.text.count("plain text; write sslmode=verify-full") == told
    assert "hunter2" not in caplog.text


@pytest.mark.gen_test
async def test_a_store_that_is_not_open_says_so_and_opens_again(url: str, table: str) -> None:
    await check_reopening(SQLStore(url, table=table))


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
