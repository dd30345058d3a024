"""A store of each kind with a place of its own on a shared server: no records but the test's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pymongo
import pytest

from stores import MemoryStore, MongoStore, RedisStore, SQLStore, Store

OWN_STORES = ("memory", "mongodb", "valkey", "postgres", "mariadb", "sqlite")


class OwnStore(NamedTuple):
    """A store, which is not open, and the URL of its server."""

    store: Store
    url: str


@pytest.fixture(params=OWN_STORES)
def own_place(request: pytest.FixtureRequest) -> Iterator[OwnStore]:
    """A store of each kind; what it keeps is removed in the end."""
    name, kind = f"test_{os.urandom(6).hex()}", request.param
    if kind == "memory":
        yield OwnStore(MemoryStore(), "memory:")
    elif kind == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('tmp_path')}/{name}.db"
        yield OwnStore(SQLStore(url, table=name), url)
    elif kind == "mongodb":
        url = request.getfixturevalue("mongod").url
        yield OwnStore(MongoStore(url, collection=name), url)
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(url)
        with client:
            client.get_default_database("sessions").drop_collection(name)
    elif kind == "valkey":
        url = request.getfixturevalue("valkey").url
        yield OwnStore(RedisStore(url, prefix=f"{name}:"), url)
    else:
        url = request.getfixturevalue(kind).url
        yield OwnStore(SQLStore(url, table=name), url)


@pytest.fixture
def own_store(own_place: OwnStore) -> Store:
    return own_place.store
