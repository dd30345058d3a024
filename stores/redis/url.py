"""A URL of Redis or Valkey, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlencode

from redis.asyncio import SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from stores.address import check_options, host_and_port, is_local, split_url
from stores.contract import ConfigurationError

CLIENT_OPTIONS = (
    "client_name",
    "ssl_ca_certs",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
)
"""Options of redis-py that a URL may set: the store depends on none of them."""

SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")

DEFAULT_PORTS = {"server": 6379, "cluster": 6379, "sentinel": 26379}

_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}


class RedisUrl(NamedTuple):
    """What a URL says."""

    name: str
    """The URL without user name, password and options."""
    kind: str
    """server, cluster, sentinel or unix."""
    nodes: list[tuple[str, int]]
    """Host and port of each; of a cluster, those that the client asks first."""
    options: Mapping[str, Any]
    """Arguments of redis-py for a connection to the first node, the password among them."""
    prefix: str | None
    service: str
    """What Sentinel calls the servers."""
    sentinel_options: Mapping[str, str]
    """User name and password of Sentinel itself."""

    @property
    def is_tls(self) -> bool:
        return self.options.get("connection_class") is SSLConnection

    @property
    def may_be_overheard(self) -> bool:
        """Whether values may cross a network in plain text."""
        return not (self.is_tls or all(is_local(host.lower()) for host, _ in self.nodes))

    def __repr__(self) -> str:
        return f"<RedisUrl {self.name}>"


def read_url(url: str) -> RedisUrl:
    """Read *url*. Raises `ConfigurationError`, whose text quotes no value."""
    address = split_url(url)
    kind, protocol = _kind(address.scheme)
    query = parse_qs(address.query, keep_blank_values=True)
    own = ("prefix", "db", *SENTINEL_OPTIONS) if kind == "sentinel" else ("prefix", "db")
    check_options(query, (*own, *CLIENT_OPTIONS))
    given = {name: query.pop(name)[-1] for name in own if name in query}
    hosts = _hosts(kind, address.hosts)
    service, socket, database = _path(kind, unquote(address.path))
    if database and "db" in given:
        raise ConfigurationError("the store's URL names the database twice")
    database = database or given.get("db", "")
    if database and kind == "cluster":
        raise ConfigurationError("the store's URL: a cluster has no databases")
    if database and not (database.isascii() and database.isdecimal()):
        raise ConfigurationError("the store's URL: a database is a number")
    first = f"{address.credentials}@" if address.credentials else ""
    first += hosts[0] if hosts else "localhost"
    try:
        options = dict(parse_url(f"{protocol}://{first}/{database}?{urlencode(query, True)}"))
    except ValueError:
        raise ConfigurationError("the store's URL is not a Redis URL") from None
    if kind == "unix":
        options = {k: v for k, v in options.items() if k not in ("host", "port")}
        options |= {"connection_class": UnixDomainSocketConnection, "path": socket}
    _check_files(options)
    return RedisUrl(
        name=address.name + _shown(given),
        kind=kind,
        nodes=[(h, p or DEFAULT_PORTS[kind]) for h, p in map(host_and_port, hosts)],
        options=options,
        prefix=given.get("prefix"),
        service=service,
        sentinel_options={
            name.removeprefix("sentinel_"): given[name]
            for name in SENTINEL_OPTIONS
            if name in given
        },
    )


def _kind(scheme: str) -> tuple[str, str]:
    """Return what a scheme is for, and the scheme of redis-py with or without TLS."""
    base, _, kind = scheme.partition("+")
    if scheme == "unix":
        base, kind = "redis", "unix"
    if (
        base not in _SCHEMES
        or kind not in ("", "cluster", "sentinel", "unix")
        or (kind == "unix" and _SCHEMES[base] == "rediss")
    ):
        raise ConfigurationError(
            "the store's URL must begin with redis:// or valkey://, with TLS rediss:// or "
            "valkeys://, before the colon also +cluster or +sentinel, or with unix://"
        )
    return kind or "server", _SCHEMES[base]


def _hosts(kind: str, text: str) -> list[str]:
    if kind == "unix":
        if text:
            raise ConfigurationError(
                "the store's URL names a host before its socket: write unix:///path/to/socket"
            )
        return []
    hosts = text.split(",")
    for host in hosts:
        host_and_port(host)
    if len(hosts) > 1 and kind == "server":
        raise ConfigurationError(
            "the store's URL names several hosts: write redis+cluster:// or redis+sentinel://"
        )
    return hosts


def _path(kind: str, path: str) -> tuple[str, str, str]:
    """Return the service, the socket and the database that a path names; two of them are empty."""
    if kind == "sentinel":
        service = path.strip("/")
        if not service or "/" in service:
            raise ConfigurationError(
                "the store's URL names no service of Sentinel: write redis+sentinel://host/service"
            )
        return service, "", ""
    if kind == "unix":
        if len(path) < 2:
            raise ConfigurationError(
                "the store's URL names no socket: write unix:///path/to/socket"
            )
        return "", path, ""
    return "", "", path.strip("/")


def _shown(given: Mapping[str, str]) -> str:
    shown = {name: given[name] for name in ("db", "prefix") if name in given}
    return f"?{urlencode(shown, safe=':/')}" if shown else ""


def _check_files(options: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` when a connection could not read its certificates."""
    if options.get("connection_class") is not SSLConnection:
        return
    try:
        SSLConnection(
            **{k: v for k, v in options.items() if k.startswith("ssl_")}
        ).ssl_context.get()
    except (OSError, RedisError) as error:  # no file, no certificate, another certificate's key
        raise ConfigurationError(
            "the store's URL: ssl_ca_certs, ssl_certfile (with its ssl_keyfile) must be files in "
            f"PEM format, ssl_cert_reqs required, optional or none ({type(error).__name__})"
        ) from None
