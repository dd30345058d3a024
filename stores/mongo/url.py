"""A URL of MongoDB, checked; errors quote no value of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from stores.contract import ConfigurationError

SRV = "mongodb+srv://"


def database_of(url: str) -> str | None:
    """Return the database that *url* names; raise `ConfigurationError` for a bad URL.

    Only the form of a `mongodb+srv://` URL is checked: the name server has its hosts and some of
    its options, and is asked when the store is opened.
    """
    checked = url
    if url.startswith(SRV):
        checked = "mongodb://" + url.removeprefix(SRV).partition("?")[0]
        host = checked.rpartition("@")[2].removeprefix("mongodb://").partition("/")[0]
        if "," in host or ":" in host:
            raise ConfigurationError(
                "the store's URL: mongodb+srv:// takes one host name, without a port"
            )
    with driver_errors_explained(url), warnings.catch_warnings():
        warnings.simplefilter("error")  # PyMongo warns of an option that it ignores
        parsed = parse_uri(checked)
    if parsed["collection"]:
        raise ConfigurationError(
            "the store's URL names a collection after the database; "
            "pass it as MongoStore(url, collection=...)"
        )
    database: str | None = parsed["database"]
    return database


def name_of(url: str, database: str) -> str:
    """Return *url* without user name, password and options."""
    scheme, _, rest = url.partition("://")
    hosts = rest.rpartition("@")[2].partition("/")[0].partition("?")[0]
    return f"{scheme}://{hosts}/{database}"


@contextmanager
def driver_errors_explained(url: str) -> Iterator[None]:
    """Turn what PyMongo raises for *url* into `ConfigurationError`."""
    try:
        yield
    except (PyMongoError, ValueError, TypeError, OSError, Warning) as error:  # OSError: of a file
        raise ConfigurationError(_mistake(url, str(error))) from None


def _mistake(url: str, message: str) -> str:
    """Name the option that *message* is about; nothing else of a URL is safe to quote."""
    options = re.findall(r"[?&;]([A-Za-z]+)=", url.rpartition("@")[2])
    named = [option for option in options if option.lower() in message.lower()]
    if "No such file" in message or "Permission denied" in message:
        return "the store's URL: a MongoDB option names a file that cannot be read"
    if named:
        return f"the store's URL: MongoDB does not accept the option {' or '.join(named)}"
    return (
        "the store's URL is not a MongoDB URL: write mongodb://user:password@host:port/database, "
        "with user name and password percent-encoded"
    )
