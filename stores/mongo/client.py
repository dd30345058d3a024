"""Making a client of motor, and checking an application's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from pymongo import AsyncMongoClient

from stores.contract import ConfigurationError
from stores.drivers import MONGODB
from stores.mongo.url import driver_errors_explained

if TYPE_CHECKING:  # an application's own AsyncMongoClient works without motor
    from motor.motor_asyncio import AsyncIOMotorClient
    from motor.motor_tornado import MotorClient

Client: TypeAlias = "AsyncIOMotorClient[Any] | MotorClient[Any] | AsyncMongoClient[Any]"


def motor_client_class() -> type[AsyncIOMotorClient[Any]]:
    """Return motor's client for asyncio; raise `ConfigurationError` unless motor is installed."""
    client: type[AsyncIOMotorClient[Any]] = MONGODB.load("motor.motor_asyncio").AsyncIOMotorClient
    return client


def make_client(url: str) -> Client:
    """Return a motor client for *url*; its connections are made when they are needed."""
    with driver_errors_explained(url):
        # No time-out options: the store gives each operation a deadline of its own.
        return motor_client_class()(url)


def check_client(client: object) -> None:
    """Raise `ConfigurationError` unless the store can use *client*."""
    motor: Any = sys.modules.get("motor.core")  # imported by whoever made a client of motor
    if not isinstance(client, AsyncMongoClient) and not (
        motor and isinstance(client, motor.AgnosticClient)
    ):
        raise ConfigurationError(
            "MongoStore takes a URL, or a client that is AsyncIOMotorClient, MotorClient or "
            f"AsyncMongoClient, not {type(client).__name__}"
        )
