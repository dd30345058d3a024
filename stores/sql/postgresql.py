"""Connections to PostgreSQL: direct ones, and those through a pooler such as PgBouncer.

A pooler in transaction mode gives each transaction another connection of its own. What outlives a
transaction there, a setting or a statement's name, meets other clients.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from stores.contract import StoreUnavailable
from stores.sql.attempt import Attempt
from stores.sql.errors import PoolerFound, reason_of
from stores.sql.url import SQLUrl

ISOLATION = "READ COMMITTED"


def connect_arguments(url: SQLUrl, timeout: float, *, pooled: bool) -> dict[str, Any]:
    """Return what the driver connects with."""
    options = url.postgresql
    kind = _connection_class(options.numbers)
    milliseconds = round(timeout * 1000)
    if pooled:
        # A statement without a name ends with the transaction that it is used in.
        return {
            "async_creator_fn": functools.partial(_connect, url, options.for_server, kind),
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,  # which returns the empty name
        }
    settings = {
        **options.for_server,
        **_limits(milliseconds),
        "tcp_user_timeout": str(4 * milliseconds),
        # A plan that was made while the table was small would scan all of it when it is large.
        "enable_seqscan": "off",
    }
    return {"async_creator_fn": functools.partial(_connect_directly, url, settings, kind)}


def begin_pooled(timeout: float) -> Sequence[str]:
    """Return the statements that begin a transaction with limits of its own."""
    limits = _limits(round(timeout * 1000)).items()
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in limits)
    return (f"SELECT {calls}",)


async def is_pooled(connection: Any) -> bool:
    """Tell whether a pooler is between: it gives numbers of its own to its clients."""
    async with connection.transaction():
        statement = await connection.prepare("SELECT pg_backend_pid()", name="")
        number = await statement.fetchval()
    return bool(number != connection.get_server_pid())


def check_own_engine(attempt: Attempt) -> None:
    """Raise `PoolerFound` when an application's engine is used directly and leads to a pooler."""
    if not attempt.engine.autocommit:
        return
    try:
        pooled = attempt.connection.connection.run_async(is_pooled)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StoreUnavailable(reason_of(error, "PostgreSQL")) from None
    if pooled:
        raise PoolerFound


def _limits(milliseconds: int) -> dict[str, str]:
    return {
        "lock_timeout": str(milliseconds * 4 // 5),
        # A client whose path was lost would hold its rows for hours.
        "idle_in_transaction_session_timeout": str(2 * milliseconds),
    }


async def _connect(url: SQLUrl, settings: Mapping[str, str], connection_class: Any) -> Any:
    options = url.postgresql
    # The driver reads hosts and sslmode from the URL. Its own cache of statements is of no use
    # below SQLAlchemy's.
    return await asyncpg.connect(
        url.dsn,
        ssl=options.tls,
        server_settings=settings,
        statement_cache_size=0,
        connection_class=connection_class,
        timeout=options.numbers.get("connect_timeout") or 60,
    )


def _connection_class(numbers: Mapping[str, int]) -> Any:
    """Return a connection of the driver's that finds out when its path is lost."""

    class Connection(asyncpg.Connection):  # type: ignore[misc]
        __slots__ = ()

        def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:
            super().__init__(protocol, transport, *rest)
            _keep_alive(transport.get_extra_info("socket"), numbers)

    return Connection


def _keep_alive(connected: socket.socket, numbers: Mapping[str, int]) -> None:
    if connected.family == getattr(socket, "AF_UNIX", None) or numbers.get("keepalives") == 0:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, option, default in (
        ("keepalives_idle", "TCP_KEEPIDLE", 30),
        ("keepalives_interval", "TCP_KEEPINTVL", 10),
        ("keepalives_count", "TCP_KEEPCNT", 3),
        ("tcp_user_timeout", "TCP_USER_TIMEOUT", 0),
    ):
        value = numbers.get(name) or default
        if value and hasattr(socket, option):  # not every system has all of them
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def _connect_directly(url: SQLUrl, settings: Mapping[str, str], connection_class: Any) -> Any:
    """Connect with *settings* of the session; raise `PoolerFound` where that would be wrong."""
    try:
        connection = await _connect(url, settings, connection_class)
    except asyncpg.ProtocolViolationError as error:
        if "startup parameter" in str(error):  # PgBouncer's words; it takes no settings
            raise PoolerFound from None
        raise
    try:
        if await is_pooled(connection):
            raise PoolerFound
    except BaseException:
        connection.terminate()
        raise
    return connection
