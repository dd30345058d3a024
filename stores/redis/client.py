"""From a URL to a client of redis-py, from a client to its address, from an error to its reason."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, ResponseError

from stores.contract import ConfigurationError

MAX_CONNECTIONS = 8
"""Connections of one store to one server. A session manager uses two or three."""

URL_OPTIONS = frozenset(
    {"client_name", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname"}
    | {"ssl_keyfile"}
)
"""What may follow the ? of a URL: options of redis-py that do not touch what this store needs."""


class RedisUrl:
    """What a URL says, checked. Raises `ConfigurationError`, whose text quotes no value."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        base, _, cluster = scheme.lower().partition("+")
        if base not in _SCHEMES or cluster not in ("", "cluster"):
            raise ConfigurationError("the store's URL does not begin with redis:// or valkey://")
        self.is_cluster = cluster == "cluster"
        end = re.search(r"[/?#]|$", rest)
        assert end is not None
        address, tail = rest[: end.start()], rest[end.start() :]
        if "@" in tail:
            raise ConfigurationError(
                "the store's URL: user name and password must be percent-encoded"
            )
        credentials, at, hosts = address.rpartition("@")
        self.name = f"{scheme.lower()}://{hosts}{tail.partition('?')[0]}"
        self.nodes = [_host_and_port(host) for host in hosts.split(",")]
        if len(self.nodes) > 1 and not self.is_cluster:
            raise ConfigurationError("the store's URL names several hosts: write redis+cluster://")
        first = hosts.partition(",")[0]
        database = tail.partition("?")[0].strip("/")
        if database and (self.is_cluster or not database.isdecimal()):
            raise ConfigurationError(
                "the store's URL: "
                + ("a cluster has no databases" if self.is_cluster else "a database is a number")
            )
        try:
            self.options = dict(parse_url(f"{_SCHEMES[base]}://{credentials}{at}{first}{tail}"))
        except ValueError:
            raise ConfigurationError("the store's URL is not a Redis URL") from None
        given = set(parse_qs(urlsplit(url).query, keep_blank_values=True))
        if given - URL_OPTIONS:
            raise ConfigurationError(
                f"the store's URL: of options there are {', '.join(sorted(URL_OPTIONS))}"
            )

    def client(self, timeout: float) -> Any:
        """Return a client that is not connected yet."""
        options: dict[str, Any] = {
            **self.options,
            "protocol": 2,  # with 3, redis-py lets a connection with an unread answer pass
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),  # an operation would outlast its deadline, and a write
            # would be done twice, the second time with another outcome
        }
        if not self.is_cluster:
            # The deadline of an operation bounds every read; a time-out for each would cost time.
            options |= {"socket_timeout": None, "max_connections": MAX_CONNECTIONS}
            return Redis.from_pool(ConnectionPool(**options))
        options.pop("host", None)
        options.pop("port", None)
        options["ssl"] = options.pop("connection_class", None) is SSLConnection
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in self.nodes],
            # Less than the deadline, so that one silent node leaves time for asking another.
            socket_timeout=timeout / 2,
            # An operation takes one connection of a node, and another where it is redirected to.
            max_connections=2 * MAX_CONNECTIONS,
            **options,
        )


_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}


def _host_and_port(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError("the store's URL has a host or port that is none") from None
    if not host:
        raise ConfigurationError("the store's URL names no host")
    return host, 6379 if port is None else port


def check_client(client: Any) -> None:
    """Raise `ConfigurationError` for an application's client that the store cannot use."""
    if client.get_connection_kwargs().get("decode_responses"):
        raise ConfigurationError("the store needs a Redis client made with decode_responses=False")
    if getattr(client, "read_from_replicas", None) or getattr(
        client, "load_balancing_strategy", None
    ):
        raise ConfigurationError(
            "the store needs a Redis client that reads from primaries: a replica may not have "
            "what was just written"
        )


def name_of(client: Any) -> str:
    """Return the address of an application's client, as a URL."""
    if isinstance(client, RedisCluster):
        node = client.startup_nodes[0]
        return f"redis+cluster://{node.host}:{node.port}"
    options = client.get_connection_kwargs()
    if "path" in options:
        return f"unix://{options['path']}"
    if "host" not in options:  # it asks Sentinel for the address
        return f"redis:{getattr(client.connection_pool, 'service_name', '')}"
    return f"redis://{options['host']}:{options['port']}/{options.get('db', 0)}"


def eviction_of(memory: bytes) -> str:
    """Return, of the server's INFO on its memory, the policy by which it drops keys, or ""."""
    lines = (line.partition(":") for line in memory.decode().splitlines())
    info = {name: value for name, _, value in lines}
    policy = info.get("maxmemory_policy", "noeviction")
    return "" if policy == "noeviction" or info.get("maxmemory") == "0" else policy


_EXPLAINED = {
    "WRONGTYPE": "a key with the store's prefix is of another kind; set another prefix",
    "MOVED": "the server belongs to a cluster; write redis+cluster://",
    "OOM": "its memory is full; raise maxmemory",
    "READONLY": "it is a replica; name the primary",
    "MISCONF": "it cannot save to its disk",
    "LOADING": "it is starting and reads its data",
    "MASTERDOWN": "it is a replica that lost its primary",
    "CLUSTERDOWN": "nodes of the cluster are missing",
    "NOAUTH": "it asks for a password",
    "NOPERM": "its user may not do this",
}

_HINTS = {
    "This instance has cluster support disabled": "it is no cluster; write redis://",
    "max number of clients reached": "it has too many clients",
    "Error compiling script": "it must be Redis 7 or later, or Valkey",
}


def reason_of(error: BaseException) -> str:
    """Say what happened by code words and names of types: the server's text may quote values."""
    if isinstance(error, RedisClusterException) and (error.__cause__ or error.__context__):
        return reason_of(error.__cause__ or error.__context__ or error)
    text = str(error)
    code = getattr(error, "status_code", None)
    if code is None and isinstance(error, ResponseError):
        word = text.partition(" ")[0]
        code = word if word.isascii() and word.isupper() else "ERR"
    if code is None:
        return f"Redis does not answer ({type(error).__name__})"
    hint = _EXPLAINED.get(code) or next((h for t, h in _HINTS.items() if t in text), "")
    return f"Redis refused: {code}" + (f" ({hint})" if hint else "")
