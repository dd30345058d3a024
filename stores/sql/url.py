"""From a URL to an engine of SQLAlchemy, and from an engine to its address."""

from __future__ import annotations

import logging
import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy import URL, StaticPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stores.contract import ConfigurationError
from stores.drivers import BY_SCHEME

MAX_CONNECTIONS = 4
"""Connections of one store. A session manager uses two or three."""

DATABASES = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "sqlite": "SQLite",
}
_DRIVERS = {
    "postgresql": "asyncpg",
    "mysql": "asyncmy",
    "mariadb": "asyncmy",
    "sqlite": "aiosqlite",
}


class SQLUrl:
    """What a URL says, checked. Raises `ConfigurationError`, whose text quotes no value."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self.scheme = scheme.lower()
        if self.scheme not in DATABASES:
            raise ConfigurationError(
                "the store's URL begins with none of "
                + ", ".join(f"{name}://" for name in DATABASES)
            )
        end = re.search(r"[/?#]|$", rest)
        assert end is not None
        address, tail = rest[: end.start()], rest[end.start() :]
        if "#" in tail or ("@" in tail and self.scheme != "sqlite"):
            raise ConfigurationError(
                "the store's URL: user name and password must be percent-encoded"
            )
        self._credentials, _, self._hosts = address.rpartition("@")
        path, _, query = tail.partition("?")
        self.name = f"{self.scheme}://{self._hosts}{path}"
        self._database = unquote(path[1:])
        try:
            urlsplit(url)
            options = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else ()
        except ValueError:
            raise ConfigurationError(
                "the store's URL is none: user name and password must be percent-encoded, "
                "an option is name=value"
            ) from None
        self._query = dict(options)
        self.file: Path | None = None
        {"postgresql": self._check_postgresql, "sqlite": self._check_sqlite}.get(
            self.scheme, self._check_mysql
        )()
        BY_SCHEME[self.scheme].load(_DRIVERS[self.scheme])
        if self.scheme == "postgresql":
            self._dsn = f"{self.scheme}{url[len(scheme) :]}"

    def _check_postgresql(self) -> None:
        if not self._hosts and "host" not in self._query:
            raise ConfigurationError("the store's URL names no host")
        for host in self._hosts.split(",") if self._hosts else ():
            _host_and_port(host)

    def _check_mysql(self) -> None:
        self._host, self._port = _host_and_port(self._hosts)
        if not self._database or "/" in self._database:
            raise ConfigurationError(
                f"the store's URL names no database: {self.scheme}://user@host/database"
            )
        if set(self._query) - {"ssl_ca", "unix_socket"}:
            raise ConfigurationError("the store's URL: of options there are ssl_ca, unix_socket")
        if "ssl_ca" in self._query:
            self._tls = _tls(self._query["ssl_ca"])

    def _check_sqlite(self) -> None:
        if self._hosts or self._credentials or not self._database or self._query:
            raise ConfigurationError(
                "the store's URL names no file: sqlite:///relative/path, sqlite:////absolute/path"
            )
        if self._database.startswith((":memory:", "file:")):
            raise ConfigurationError("the SQLite store needs a file; in memory there is memory:")
        self.file = Path(self._database).absolute()

    def engine(self, timeout: float) -> AsyncEngine:
        """Return an engine that is not connected yet."""
        # Below WARNING they log rows and values: SQLAlchemy what it reads, aiosqlite all it does.
        logging.getLogger("sqlalchemy.engine.Engine.sessions").setLevel(logging.WARNING)
        logging.getLogger("aiosqlite").setLevel(logging.WARNING)
        url = URL.create(f"{self.scheme}+{_DRIVERS[self.scheme]}")
        options: dict[str, Any] = {}
        milliseconds = round(timeout * 1000)
        if self.scheme == "postgresql":
            # asyncpg reads the whole URL itself: several hosts, sslmode and all that libpq knows.
            options["dsn"] = self._dsn
            # A plan that was made for a small table must not read all of it when it has grown.
            settings = [f"SET lock_timeout = {milliseconds}", "SET enable_seqscan = off"]
        elif self.scheme == "sqlite":
            url = url.set(database=str(self.file))
            # FULL: what is acknowledged survives a power cut. Who finds the lock taken tries
            # again; waiting inside SQLite would keep its thread from everything else.
            settings = ["PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 50"]
        else:
            user, _, password = self._credentials.partition(":")
            url = URL.create(
                "mysql+asyncmy",  # it finds out whether it talks to MariaDB
                unquote(user) or None,
                unquote(password) or None,
                self._host,
                self._port,
                self._database,
            )
            if "unix_socket" in self._query:
                options["unix_socket"] = self._query["unix_socket"]
            if "ssl_ca" in self._query:
                options["ssl"] = self._tls
            settings = [f"SET SESSION innodb_lock_wait_timeout = {max(1, round(timeout))}"]
        engine = create_async_engine(
            url,
            connect_args=options,
            # Single statements commit by themselves; transactions are begun in so many words.
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

    def make_file(self) -> None:
        """Make SQLite's file, readable by its owner alone. Raises `ConfigurationError`."""
        if self.file is None:
            return
        try:
            os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))
        except FileNotFoundError:
            raise ConfigurationError(
                f"the directory of the SQLite file is not there: {self.file.parent}"
            ) from None
        except OSError as error:
            if not self.file.is_file():
                raise ConfigurationError(
                    f"the SQLite file {self.file} cannot be made: {error.strerror}"
                ) from None


def check_engine(engine: object) -> AsyncEngine:
    """Return *engine*; raise `ConfigurationError` when it is none that the store can use."""
    if not isinstance(engine, AsyncEngine):
        raise ConfigurationError(
            "SQLStore takes a URL, or an AsyncEngine of sqlalchemy.ext.asyncio, "
            f"not {type(engine).__name__}"
        )
    dialect = engine.dialect
    if _DRIVERS.get(dialect.name) != dialect.driver:
        pairs = ", ".join(f"{name}+{driver}" for name, driver in _DRIVERS.items())
        raise ConfigurationError(f"the store needs an engine of one of {pairs}")
    if isinstance(engine.pool, StaticPool):
        raise ConfigurationError(
            "the store needs an engine with several connections, of SQLite one with a file"
        )
    return engine


def name_of(engine: AsyncEngine) -> str:
    """Return the address of an application's engine, as a URL."""
    url = engine.url
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host or ""
    port = f":{url.port}" if url.port else ""
    return f"{engine.dialect.name}://{host}{port}/{url.database or ''}"


def _tls(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError:
        raise ConfigurationError("the store's URL: ssl_ca is no file of certificates") from None


def _host_and_port(text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError("the store's URL has a host or port that is none") from None
    if not host:
        raise ConfigurationError("the store's URL names no host")
    return host, port
