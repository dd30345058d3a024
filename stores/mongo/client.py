"""What a `MongoStore` is made from: a URL that is checked first, or a client."""

from __future__ import annotations

import re
import sys
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from stores.contract import ConfigurationError
from stores.drivers import MONGODB

if TYPE_CHECKING:  # an application's own AsyncMongoClient serves without motor
    from motor.motor_asyncio import AsyncIOMotorClient
    from motor.motor_tornado import MotorClient

Client: TypeAlias = "AsyncIOMotorClient[Any] | MotorClient[Any] | AsyncMongoClient[Any]"

SRV = "mongodb+srv://"


def database_of(url: str) -> str | None:
    """Return the database that *url* names; raise `ConfigurationError` for a bad one.

    Of a `mongodb+srv://` URL only the form is checked: its hosts and some of its options are in the
    name server, which is asked when the store is opened.
    """
    checked = url
    if url.startswith(SRV):
        checked = "mongodb://" + url.removeprefix(SRV).partition("?")[0]
        host = checked.rpartition("@")[2].removeprefix("mongodb://").partition("/")[0]
        if "," in host or ":" in host:
            raise ConfigurationError(
                "the store's URL: mongodb+srv:// takes one host name, without a port"
            )
    with _errors_of(url), warnings.catch_warnings():
        warnings.simplefilter("error")  # PyMongo warns of an option that it is going to ignore
        parsed = parse_uri(checked)
    if parsed["collection"]:
        raise ConfigurationError(
            "the store's URL names a collection after the database; "
            "pass it as MongoStore(url, collection=...)"
        )
    database: str | None = parsed["database"]
    return database


def motor_client_class() -> type[AsyncIOMotorClient[Any]]:
    """Return motor's client for asyncio; raise `ConfigurationError` unless motor is installed."""
    client: type[AsyncIOMotorClient[Any]] = MONGODB.load("motor.motor_asyncio").AsyncIOMotorClient
    return client


def connect(url: str) -> Client:
    """Return a motor client for *url*; its connections are made when they are needed."""
    with _errors_of(url):
        # No time-out options: the store gives each operation a deadline of its own.
        return motor_client_class()(url)


def check_client(client: object) -> None:
    """Raise `ConfigurationError` unless *client* is one that a store can use."""
    motor: Any = sys.modules.get("motor.core")  # which made the client, if one of motor's it is
    if not isinstance(client, AsyncMongoClient) and not (
        motor and isinstance(client, motor.AgnosticClient)
    ):
        raise ConfigurationError(
            "MongoStore takes a URL, or a client that is AsyncIOMotorClient, MotorClient or "
            f"AsyncMongoClient, not {type(client).__name__}"
        )


def name_of(url: str, database: str) -> str:
    """Return *url* without user name, password and options, for people."""
    scheme, _, rest = url.partition("://")
    hosts = rest.rpartition("@")[2].partition("/")[0].partition("?")[0]
    return f"{scheme}://{hosts}/{database}"


class _errors_of:  # noqa: N801 - reads as what it does
    """Turns what PyMongo raises for a URL into errors that quote nothing of it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        # OSError: a file that an option names.
        if isinstance(error, (PyMongoError, ValueError, TypeError, OSError, Warning)):
            raise ConfigurationError(_mistake(self._url, str(error))) from None


def _mistake(url: str, message: str) -> str:
    """Name the option that *message* is about, if it is; nothing else of a URL is safe to quote."""
    options = re.findall(r"[?&;]([A-Za-z]+)=", url.rpartition("@")[2])
    named = [option for option in options if option.lower() in message.lower()]
    if "No such file" in message or "Permission denied" in message:
        return "the store's URL has a MongoDB option that names a file which cannot be read"
    if named:
        return f"the store's URL has an option that MongoDB does not take so: {' or '.join(named)}"
    return (
        "the store's URL is not a MongoDB URL: write mongodb://user:password@host:port/database, "
        "with user name and password percent-encoded"
    )
