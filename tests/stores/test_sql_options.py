"""Options in the URL of an SQL store."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import pytest

from stores import StoreUnavailable
from stores.contract import Create, Outcome
from stores.sql import SQLStore
from stores.sql.attempt import Attempt
from stores.sql.url import SQLUrl
from tests.helpers.opened import while_open
from tests.helpers.records import make_record
from tests.helpers.sql_databases import ask, opened, table, url

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["table", "url"]  # fixtures

DONE = Outcome.DONE


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
