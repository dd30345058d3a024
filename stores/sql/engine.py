"""Making an engine of SQLAlchemy."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stores.sql.names import DRIVERS
from stores.sql.url import SQLUrl

MAX_CONNECTIONS = 4
"""Connections of one store. A session manager uses two or three."""


def make_engine(url: SQLUrl, timeout: float) -> AsyncEngine:
    """Return an engine that is not connected yet."""
    # Below WARNING, SQLAlchemy logs the rows that it reads, and aiosqlite all values.
    logging.getLogger("sqlalchemy.engine.Engine.sessions").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    target = URL.create(f"{url.scheme}+{DRIVERS[url.scheme]}")
    options: dict[str, Any] = {}
    milliseconds = round(timeout * 1000)
    if url.scheme == "postgresql":
        # asyncpg reads the whole URL itself: several hosts, sslmode and all that libpq knows.
        options["dsn"] = url.dsn
        # A plan that was made while the table was small would scan all of it when it is large.
        settings = [f"SET lock_timeout = {milliseconds}", "SET enable_seqscan = off"]
    elif url.scheme == "sqlite":
        target = target.set(database=str(url.file))
        # With FULL, an acknowledged write survives a power cut. The time-out is short because a
        # connection that waits for the lock blocks its thread; the store retries instead.
        settings = ["PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 50"]
    else:
        target = URL.create(
            "mysql+asyncmy",  # for MariaDB too, which it detects
            url.user,
            url.password,
            url.host,
            url.port,
            url.database,
        )
        if "unix_socket" in url.options:
            options["unix_socket"] = url.options["unix_socket"]
        if url.tls is not None:
            options["ssl"] = url.tls
        settings = [f"SET SESSION innodb_lock_wait_timeout = {max(1, round(timeout))}"]
    engine = create_async_engine(
        target,
        connect_args=options,
        # A single statement commits by itself; the store begins its transactions explicitly.
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

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(setting)
        cursor.close()

    return engine
