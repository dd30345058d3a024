"""A URL of an SQL database, checked."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from stores.address import check_options, host_and_port, is_local, split_url
from stores.contract import ConfigurationError
from stores.drivers import BY_SCHEME
from stores.sql.names import DATABASES, DRIVERS, SCHEMES
from stores.sql.postgresql_url import PostgreSQLOptions, read_options
from stores.sql.tls import load_authorities, load_certificate

MYSQL_OPTIONS = ("table", "ssl", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket")


class SQLUrl:
    """What a URL says. Raises `ConfigurationError`, whose text quotes no value.

    `host`, `port` and `tls` are for MySQL and MariaDB, `dsn` and `postgresql` are for PostgreSQL,
    `file` for SQLite.
    """

    host: str
    port: int | None
    tls: ssl.SSLContext | None = None
    dsn: str
    postgresql: PostgreSQLOptions
    file: Path | None = None

    def __init__(self, url: str) -> None:
        written = url.partition("://")[0].lower()
        self.scheme = SCHEMES.get(written, written)
        if self.scheme not in DATABASES:
            raise ConfigurationError(
                "the store's URL must begin with one of "
                + ", ".join(f"{name}://" for name in (*DATABASES, *SCHEMES))
            )
        self._address = split_url(url, at_sign_in_path=self.scheme == "sqlite")
        self._address = self._address._replace(scheme=self.scheme)
        self.name = self._address.name
        self.database = unquote(self._address.path[1:])
        self.options = _options(url, self._address.query)
        self.table = self.options.get("table")
        """The name of the table, if the URL has one."""
        if self.scheme == "postgresql":
            self._check_postgresql()
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

    @property
    def may_be_overheard(self) -> bool:
        """Whether values may cross a network in plain text."""
        if self.scheme == "sqlite" or "unix_socket" in self.options:
            return False
        if self.tls is not None or (self.scheme == "postgresql" and self.postgresql.encrypts):
            return False
        hosts = self._address.hosts or self.options.get("host", "")
        names = (_without_port(host) for host in hosts.split(","))
        return not all(map(is_local, names))

    def _check_postgresql(self) -> None:
        address = self._address
        if not address.hosts and "host" not in self.options:
            raise ConfigurationError("the store's URL names no host")
        for host in address.hosts.split(",") if address.hosts else ():
            if not host.startswith("%2F"):  # a folder of sockets
                host_and_port(host)
        given = {name: value for name, value in self.options.items() if name != "table"}
        self.postgresql = read_options(given)
        query = urlencode(self.postgresql.for_driver, quote_via=quote)
        credentials = f"{address.credentials}@" if address.credentials else ""
        self.dsn = f"postgresql://{credentials}{address.hosts}{address.path}?{query}"

    def _check_mysql(self) -> None:
        self.host, self.port = host_and_port(self._address.hosts)
        if not self.database or "/" in self.database:
            raise ConfigurationError(
                f"the store's URL names no database: {self.scheme}://user@host/database"
            )
        check_options(self.options, MYSQL_OPTIONS)
        if self.options.get("ssl", "true") != "true":
            raise ConfigurationError("ssl in the store's URL has one value: true")
        if self.options.keys() & {"ssl", "ssl_ca", "ssl_cert", "ssl_key"}:
            self.tls = self._mysql_tls()

    def _mysql_tls(self) -> ssl.SSLContext:
        options = self.options
        if "ssl_ca" in options:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            load_authorities(context, options["ssl_ca"], "ssl_ca")
        else:
            context = ssl.create_default_context()
        if "ssl_cert" in options:
            load_certificate(
                context, options["ssl_cert"], options.get("ssl_key"), "ssl_cert", "ssl_key"
            )
        elif "ssl_key" in options:
            raise ConfigurationError("ssl_key in the store's URL needs ssl_cert beside it")
        return context

    def _check_sqlite(self) -> None:
        address = self._address
        if address.hosts or address.credentials or not self.database:
            raise ConfigurationError(
                "the store's URL names no file: sqlite:///relative/path, sqlite:////absolute/path"
            )
        check_options(self.options, ("table",))
        if self.database.startswith((":memory:", "file:")):
            raise ConfigurationError(
                "the SQLite store needs a file; for sessions in memory write memory:"
            )
        self.file = Path(self.database).absolute()


def _without_port(host: str) -> str:
    if host.startswith(("/", "%2F")):
        return "/"
    return (urlsplit(f"//{host}").hostname or "").lower()


def _options(url: str, query: str) -> dict[str, str]:
    try:
        urlsplit(url)
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise ConfigurationError(
            "invalid URL of the store: percent-encode user name and password, "
            "and write an option as name=value"
        ) from None
