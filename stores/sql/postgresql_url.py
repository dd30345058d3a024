"""The options in a URL of PostgreSQL: what libpq knows, understood or refused.

asyncpg takes what it does not know for a setting of the server, which then refuses each connection.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stores.contract import ConfigurationError
from stores.sql.tls import load_authorities, load_certificate

BY_DRIVER = frozenset(
    {
        *("host", "port", "user", "password", "passfile", "dbname", "database", "service"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword"),
        *("sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("target_session_attrs", "krbsrvname", "gsslib"),
    }
)
"""Options that the driver understands."""

BY_SERVER = frozenset({"application_name", "options"})
"""Options that go to the server."""

NUMBERS = frozenset(
    {
        *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval"),
        *("keepalives_count", "tcp_user_timeout"),
    }
)

VALUES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": (
        *("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
    "pgbouncer": ("transaction",),
    # The driver has no GSS encryption and no channel binding: what demands one cannot work.
    "gssencmode": ("disable", "prefer"),
    "channel_binding": ("disable", "prefer"),
    "client_encoding": ("utf8", "UTF8", "auto"),
    "load_balance_hosts": ("disable",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
}
"""Options with a few values that work here."""

_DEFAULT_ROOT = Path("~/.postgresql/root.crt")


class PostgreSQLOptions(NamedTuple):
    for_driver: dict[str, str]
    for_server: dict[str, str]
    numbers: dict[str, int]
    tls: ssl.SSLContext | None
    """For the system's authorities, which the driver does not know."""
    pooled: bool
    encrypts: bool
    """Whether the connection never falls back to plain text."""


def read_options(given: Mapping[str, str]) -> PostgreSQLOptions:
    """Return what the options say; raise `ConfigurationError` for one that cannot work."""
    for name, value in given.items():
        if name not in BY_DRIVER | BY_SERVER | NUMBERS | set(VALUES):
            raise ConfigurationError(
                "unsupported option in the store's URL; for a setting of the server write "
                f"options=-c%20name=value; supported options: {', '.join(sorted(_supported()))}"
            )
        if name in VALUES and value not in VALUES[name]:
            raise ConfigurationError(
                f"{name} in the store's URL must be one of: {', '.join(VALUES[name])}"
            )
        if name in NUMBERS and not (value.isascii() and value.isdigit() and len(value) < 10):
            raise ConfigurationError(f"{name} in the store's URL must be a whole number")
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE", "")
    for_driver = {name: value for name, value in given.items() if name in BY_DRIVER}
    tls = None
    if given.get("sslrootcert") == "system":
        if mode != "verify-full":
            raise ConfigurationError("sslrootcert=system needs sslmode=verify-full")
        tls = ssl.create_default_context()
        for_driver = {n: v for n, v in for_driver.items() if not n.startswith("ssl")}
    _check_files(given, mode, tls)
    return PostgreSQLOptions(
        for_driver,
        {name: value for name, value in given.items() if name in BY_SERVER},
        {name: int(value) for name, value in given.items() if name in NUMBERS},
        tls,
        "pgbouncer" in given,
        mode in ("require", "verify-ca", "verify-full"),
    )


def _supported() -> set[str]:
    return {"table", *BY_DRIVER, *BY_SERVER, *NUMBERS, *VALUES}


def _check_files(given: Mapping[str, str], mode: str, tls: ssl.SSLContext | None) -> None:
    context = tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    root = given.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    if tls is None and root:
        load_authorities(context, root, "sslrootcert")
    elif mode.startswith("verify-") and tls is None and not _DEFAULT_ROOT.expanduser().exists():
        raise ConfigurationError(
            f"sslmode={mode} needs sslrootcert=file in the store's URL, or sslrootcert=system "
            "with sslmode=verify-full"
        )
    if "sslcrl" in given:
        load_authorities(context, given["sslcrl"], "sslcrl")
    if "sslcert" in given:
        key, password = given.get("sslkey"), given.get("sslpassword")
        load_certificate(context, given["sslcert"], key, "sslcert", "sslkey", password)
