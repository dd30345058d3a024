"""A URL of an SQL database, checked."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from stores.address import check_options, host_and_port, split_url
from stores.contract import ConfigurationError
from stores.drivers import BY_SCHEME
from stores.sql.names import DATABASES, DRIVERS

MYSQL_OPTIONS = ("ssl_ca", "unix_socket")


class SQLUrl:
    """What a URL says. Raises `ConfigurationError`, whose text quotes no value.

    `host`, `port` and `tls` are for MySQL and MariaDB, `dsn` is for PostgreSQL, `file` for SQLite.
    """

    host: str
    port: int | None
    tls: ssl.SSLContext | None = None
    dsn: str
    file: Path | None = None

    def __init__(self, url: str) -> None:
        self.scheme = url.partition("://")[0].lower()
        if self.scheme not in DATABASES:
            raise ConfigurationError(
                "the store's URL must begin with one of "
                + ", ".join(f"{name}://" for name in DATABASES)
            )
        self._address = split_url(url, at_sign_in_path=self.scheme == "sqlite")
        self.name = self._address.name
        self.database = unquote(self._address.path[1:])
        self.options = _options(url, self._address.query)
        if self.scheme == "postgresql":
            self._check_postgresql(url)
        elif self.scheme == "sqlite":
            self._check_sqlite()
        else:
            self._check_mysql()
        BY_SCHEME[self.scheme].load(DRIVERS[self.scheme])

    @property
    def user(self) -> str | None:
        return unquote(self._address.credentials.partition(":")[0]) or None

    @property
    def password(self) -> str | None:
        return unquote(self._address.credentials.partition(":")[2]) or None

    def _check_postgresql(self, url: str) -> None:
        hosts = self._address.hosts
        if not hosts and "host" not in self.options:
            raise ConfigurationError("the store's URL names no host")
        for host in hosts.split(",") if hosts else ():
            host_and_port(host)
        self.dsn = f"{self.scheme}{url[len(self.scheme) :]}"

    def _check_mysql(self) -> None:
        self.host, self.port = host_and_port(self._address.hosts)
        if not self.database or "/" in self.database:
            raise ConfigurationError(
                f"the store's URL names no database: {self.scheme}://user@host/database"
            )
        check_options(self.options, MYSQL_OPTIONS)
        if "ssl_ca" in self.options:
            self.tls = _tls(self.options["ssl_ca"])

    def _check_sqlite(self) -> None:
        address = self._address
        if address.hosts or address.credentials or not self.database or self.options:
            raise ConfigurationError(
                "the store's URL names no file: sqlite:///relative/path, sqlite:////absolute/path"
            )
        if self.database.startswith((":memory:", "file:")):
            raise ConfigurationError(
                "the SQLite store needs a file; for sessions in memory write memory:"
            )
        self.file = Path(self.database).absolute()


def _options(url: str, query: str) -> dict[str, str]:
    try:
        urlsplit(url)
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise ConfigurationError(
            "invalid URL of the store: percent-encode user name and password, "
            "and write an option as name=value"
        ) from None


def _tls(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError:
        raise ConfigurationError(
            "the store's URL: the file of ssl_ca is missing or holds no certificates"
        ) from None
