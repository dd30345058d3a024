"""SQL databases for tests: fixtures, and ways to look at them from outside."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stores.sql import SQLStore
from tests.helpers import recovery
from tests.helpers.database_servers import MariaDB, Postgres
from tests.helpers.opened import while_open
from tests.helpers.servers import Server, missing

Answer = TypeVar("Answer")

eventually = functools.partial(recovery.eventually, seconds=10)

DRIVERS = {"postgresql": "asyncpg", "mariadb": "asyncmy", "sqlite": "aiosqlite"}


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


def opened(
    source: Any, table: str | None = None, **options: Any
) -> AbstractAsyncContextManager[SQLStore]:
    return while_open(SQLStore(source, table=table, **options))


@asynccontextmanager
async def engine_of(url: str, **options: Any) -> AsyncIterator[AsyncEngine]:
    """What an application, or an administrator, has."""
    scheme, _, rest = url.partition("://")
    engine = create_async_engine(f"{scheme}+{DRIVERS[scheme]}://{rest}", **options)
    try:
        yield engine
    finally:
        await engine.dispose()


async def ask(url: str, statement: str, **values: Any) -> list[Any]:
    """Run an SQL statement and return its rows."""
    async with engine_of(url) as engine, engine.begin() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


@pytest.fixture(scope="module", params=[Postgres, MariaDB], ids=["postgresql", "mariadb"])
def shared_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    programs = {Postgres: ("postgres", "initdb"), MariaDB: ("mariadbd", "mariadb-install-db")}
    if reason := missing(*programs[request.param]):
        pytest.skip(reason)
    server = request.param(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """A server that the test may stop; it runs again afterwards."""
    yield shared_server
    if shared_server.process is None:
        shared_server.start()
    shared_server.resume()
