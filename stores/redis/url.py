"""A URL of Redis or Valkey, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from redis.asyncio.connection import parse_url

from stores.address import check_options, host_and_port, split_url
from stores.contract import ConfigurationError

URL_OPTIONS = (
    "client_name",
    "ssl_ca_certs",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
)
"""Options of redis-py that a URL may set: the store depends on none of them."""

_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}

DEFAULT_PORT = 6379


class RedisUrl(NamedTuple):
    """What a URL says."""

    name: str
    """The URL without user name, password and options."""
    is_cluster: bool
    nodes: list[tuple[str, int]]
    """Host and port of each; of a cluster, those that the client asks first."""
    options: Mapping[str, Any]
    """Arguments of redis-py for a connection to the first node, the password among them."""

    def __repr__(self) -> str:
        return f"<RedisUrl {self.name}>"


def read_url(url: str) -> RedisUrl:
    """Read *url*. Raises `ConfigurationError`, whose text quotes no value."""
    address = split_url(url)
    base, _, cluster = address.scheme.partition("+")
    if base not in _SCHEMES or cluster not in ("", "cluster"):
        raise ConfigurationError("the store's URL must begin with redis:// or valkey://")
    is_cluster = cluster == "cluster"
    hosts = address.hosts.split(",")
    nodes = [(host, port or DEFAULT_PORT) for host, port in map(host_and_port, hosts)]
    if len(nodes) > 1 and not is_cluster:
        raise ConfigurationError("the store's URL names several hosts: write redis+cluster://")
    database = address.path.strip("/")
    if database and is_cluster:
        raise ConfigurationError("the store's URL: a cluster has no databases")
    if database and not database.isdecimal():
        raise ConfigurationError("the store's URL: a database is a number")
    check_options(parse_qs(address.query, keep_blank_values=True), URL_OPTIONS)
    first = f"{address.credentials}@{hosts[0]}" if address.credentials else hosts[0]
    try:
        options = parse_url(f"{_SCHEMES[base]}://{first}{address.path}?{address.query}")
    except ValueError:
        raise ConfigurationError("the store's URL is not a Redis URL") from None
    return RedisUrl(address.name, is_cluster, nodes, dict(options))
