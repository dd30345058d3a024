"""The engine of SQLAlchemy that a store uses: one of its own, or the application's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NamedTuple

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from stores.sql.driver import DIRECT
from stores.sql.names import DRIVERS
from stores.sql.url import SQLUrl

MAX_CONNECTIONS = 4
"""Connections of one store. A session manager uses two or three."""


class Engine(NamedTuple):
    """An engine, and how its transactions begin and end."""

    connectable: AsyncEngine
    autocommit: bool = True
    """Whether a single statement commits by itself; else SQLAlchemy begins each transaction."""
    begin: Sequence[str] = ()
    """What begins a transaction of several statements."""
    idle: list[AsyncConnection] | None = None
    """Connections between two operations; `None` for an engine that the application uses, too.

    To take one from the pool and to give it back takes as long as five records.
    """
    slots: AbstractAsyncContextManager[Any] = nullcontext()
    """Where who wants a connection waits: the pool does not know of those that are idle."""

    async def connect(self) -> AsyncConnection:
        return self.idle.pop() if self.idle else await self.connectable.connect()

    async def keep(self, connection: AsyncConnection) -> None:
        """Give back a connection in which nothing failed."""
        if self.idle is None:
            await connection.close()
            return
        if connection.in_transaction():
            await connection.rollback()
        self.idle.append(connection)

    async def close_idle(self) -> None:
        while self.idle:
            await self.idle.pop().close()

    async def close(self) -> None:
        if self.idle is not None:
            await self.close_idle()
            await self.connectable.dispose()


def make_engine(url: SQLUrl, timeout: float, *, pooled: bool = False) -> Engine:
    """Return an engine that is not connected yet; *pooled* is for a pooler of PostgreSQL."""
    # Below WARNING, SQLAlchemy logs the rows that it reads, and aiosqlite all values.
    logging.getLogger("sqlalchemy.engine.Engine.sessions").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    if url.scheme == "postgresql":
        from stores.sql import postgresql  # its driver may be missing where another one serves

        pooled = pooled or url.postgresql.pooled
        target = URL.create(f"postgresql+{DRIVERS['postgresql']}")
        arguments = postgresql.connect_arguments(url, timeout, pooled=pooled)
        if pooled:
            engine = _make(target, arguments, timeout, postgresql.ISOLATION)
            return engine._replace(begin=postgresql.begin_pooled(timeout), autocommit=False)
        return _make(target, arguments, timeout)
    if url.scheme == "sqlite":
        target = URL.create(f"sqlite+{DRIVERS['sqlite']}", database=str(url.file))
        # What waits for the lock blocks its thread; the store repeats instead.
        engine = _make(target, {"timeout": 0.05}, timeout)
        event.listen(engine.connectable.sync_engine, "connect", _configure_sqlite)
        return engine
    target = URL.create(
        f"mysql+{DRIVERS['mysql']}",  # for MariaDB too, which it detects
        url.user,
        url.password,
        url.host,
        url.port,
        url.database,
    )
    return _make(target, _mysql(url, timeout), timeout)


def use_engine(engine: AsyncEngine, timeout: float, *, pooled: bool = False) -> Engine:
    """Return an application's engine, which is not closed and keeps its settings."""
    if pooled:
        from stores.sql import postgresql

        connectable = engine.execution_options(isolation_level=postgresql.ISOLATION)
        return Engine(connectable, False, postgresql.begin_pooled(timeout))
    return Engine(engine.execution_options(isolation_level="AUTOCOMMIT"))


def _make(
    target: URL, options: dict[str, Any], timeout: float, isolation: str = "AUTOCOMMIT"
) -> Engine:
    engine = create_async_engine(
        target,
        connect_args=options,
        isolation_level=isolation,
        execution_options=DIRECT,
        skip_autocommit_rollback=True,
        pool_reset_on_return=None,
        pool_size=MAX_CONNECTIONS,
        max_overflow=0,
        pool_timeout=timeout,
        pool_use_lifo=True,
        hide_parameters=True,
        logging_name="sessions",
    )
    return Engine(engine, idle=[], slots=asyncio.Semaphore(MAX_CONNECTIONS))


def _mysql(url: SQLUrl, timeout: float) -> dict[str, Any]:
    seconds = max(1, int(timeout * 4 / 5))
    # A client whose path was lost would hold its rows for hours. MariaDB alone runs what is in the
    # first kind of comment, MySQL alone what is in the second.
    settings = (
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
        f"innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds} "
        f"/*M!100301 , idle_transaction_timeout = {max(1, round(2 * timeout))} */ "
        "/*!80000 , wait_timeout = 600 */"
    )
    options: dict[str, Any] = {"init_command": settings}
    if "unix_socket" in url.options:
        options["unix_socket"] = url.options["unix_socket"]
    if url.tls is not None:
        options["ssl"] = url.tls
    return options


def _configure_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")  # an acknowledged write survives a power cut
    cursor.close()
