"""The engine of SQLAlchemy that a store uses: one of its own, or the application's."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stores.sql.names import DRIVERS
from stores.sql.url import SQLUrl

MAX_CONNECTIONS = 4
"""Connections of one store. A session manager uses two or three."""


class Engine:
    """An engine, and how its transactions begin and end."""

    def __init__(
        self, engine: AsyncEngine, *, autocommit: bool = True, is_own: bool = True
    ) -> None:
        # A single statement commits by itself; the store begins its transactions explicitly.
        self.autocommit = autocommit
        self.connectable = engine
        self._is_own = is_own

    async def close(self) -> None:
        if self._is_own:
            await self.connectable.dispose()


def make_engine(url: SQLUrl, timeout: float) -> Engine:
    """Return an engine that is not connected yet."""
    # Below WARNING, SQLAlchemy logs the rows that it reads, and aiosqlite all values.
    logging.getLogger("sqlalchemy.engine.Engine.sessions").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    if url.scheme == "postgresql":
        return _make(f"postgresql+{DRIVERS['postgresql']}://", _postgresql(url, timeout), timeout)
    if url.scheme == "sqlite":
        target = URL.create(f"sqlite+{DRIVERS['sqlite']}", database=str(url.file))
        engine = _make(target, {}, timeout)
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


def use_engine(engine: AsyncEngine) -> Engine:
    """Return an application's engine, which is not closed and keeps its settings."""
    return Engine(engine.execution_options(isolation_level="AUTOCOMMIT"), is_own=False)


def _make(target: str | URL, options: dict[str, Any], timeout: float) -> Engine:
    engine = create_async_engine(
        target,
        connect_args=options,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_reset_on_return=None,
        pool_size=MAX_CONNECTIONS,
        max_overflow=0,
        pool_timeout=timeout,
        pool_use_lifo=True,
        hide_parameters=True,
        logging_name="sessions",
    )
    return Engine(engine)


def _postgresql(url: SQLUrl, timeout: float) -> dict[str, Any]:
    milliseconds = round(timeout * 1000)
    # asyncpg reads the whole URL itself: several hosts, sslmode and all that libpq knows.
    settings = {
        "lock_timeout": str(milliseconds * 4 // 5),
        # A client whose path was lost would hold its rows for hours.
        "idle_in_transaction_session_timeout": str(2 * milliseconds),
        "tcp_user_timeout": str(4 * milliseconds),
        # A plan that was made while the table was small would scan all of it when it is large.
        "enable_seqscan": "off",
    }
    return {"dsn": url.dsn, "server_settings": settings}


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
    # With FULL, an acknowledged write survives a power cut. The time-out is short because a
    # connection that waits for the lock blocks its thread; the store retries instead.
    for setting in ("PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 50"):
        cursor.execute(setting)
    cursor.close()
