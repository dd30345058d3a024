"""Making a client of redis-py."""

from __future__ import annotations

import logging
from typing import Any

from redis import utils
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from stores.redis.sentinel import sentinel_client
from stores.redis.url import RedisUrl

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
"""Connections of one store to one server. A session manager uses two or three."""


def make_client(url: RedisUrl, timeout: float) -> Redis | RedisCluster:
    """Return a client that is not connected yet."""
    options: dict[str, Any] = {
        **url.options,
        "protocol": 2,  # with 3, redis-py lets a connection with an unread answer pass
        # Less than the deadline, so that the log says that there was no connection.
        "socket_connect_timeout": timeout * 3 / 4,
        # A retry would outlast the operation's deadline, and would repeat a write.
        "retry": Retry(NoBackoff(), 0),
    }
    if url.kind != "cluster":
        # The operation's deadline bounds every read; a time-out for each read would cost time.
        # One connection more is for the look at the server's clock.
        options |= {"socket_timeout": None, "max_connections": MAX_CONNECTIONS + 1}
        if url.kind == "sentinel":
            return sentinel_client(url, options, timeout)
        return Redis.from_pool(ConnectionPool(**options))
    options = {k: v for k, v in options.items() if k not in ("host", "port", "connection_class")}
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in url.nodes],
        ssl=url.is_tls,
        # Less than the deadline, so that time is left to ask another node.
        socket_timeout=timeout / 2,
        # A redirected operation takes a second connection.
        max_connections=2 * MAX_CONNECTIONS,
        **options,
    )


async def close_client(client: Any) -> None:
    """Close a client that `make_client` made, with all that it has opened."""
    await client.aclose()
    if isinstance(client, RedisCluster):  # one that found no cluster does not close its nodes
        await client.nodes_manager.aclose("startup_nodes")
    elif isinstance(client.connection_pool, SentinelConnectionPool):
        await client.connection_pool.sentinel_manager.aclose()


def warn_of_plain_text(url: RedisUrl | None) -> None:
    """Log a warning when what a URL names is far away and TLS is not asked for."""
    if url is not None and url.may_be_overheard:
        log.warning(
            "store %s: sessions may cross the network in plain text; where the server speaks TLS, "
            "write rediss:// (rediss+cluster://, rediss+sentinel://)",
            url.name,
        )


def warn_of_slow_reads(store: str) -> None:
    """Log a warning when redis-py parses answers in Python."""
    if not utils.HIREDIS_AVAILABLE:
        log.warning(
            "store %s: without the package hiredis, reads take two to five times as long: "
            "make install EXTRAS=redis",
            store,
        )
