"""A store of each kind with a place of its own on a shared server: no records but the test's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from stores import MemoryStore, MongoStore, RedisStore, SQLStore, Store

OWN_STORES = ("memory", "mongodb", "valkey", "postgres", "mariadb", "sqlite")


@pytest.fixture(params=OWN_STORES)
def own_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store that is not open, and what it keeps is removed in the end."""
    name = f"test_{os.urandom(6).hex()}"
    ask = request.getfixturevalue
    if request.param == "mongodb":
        url = ask("mongod").url
        yield MongoStore(url, collection=name)
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(url)
        with client:
            client.get_default_database("sessions").drop_collection(name)
    elif request.param == "valkey":
        yield RedisStore(ask("valkey").url, prefix=f"{name}:")
    elif request.param == "sqlite":
        yield SQLStore(f"sqlite:///{ask('tmp_path')}/{name}.db")
    elif request.param == "memory":
        yield MemoryStore()
    else:
        yield SQLStore(ask(request.param).url, table=name)
