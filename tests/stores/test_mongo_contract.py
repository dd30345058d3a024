"""The contract over MongoDB, through each kind of client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from motor.motor_tornado import MotorClient
from pymongo import AsyncMongoClient

from stores import MongoStore, Store
from tests.store_contract import StoreContract


class TestMongoStore(StoreContract):
    @pytest.fixture
    def store(self, mongod: Any) -> Store:
        return MongoStore(mongod.url)


class TestMongoStoreWithMotorsAsyncioClient(StoreContract):
    @pytest.fixture
    def store(self, mongod: Any) -> Iterator[Store]:
        client: Any = AsyncIOMotorClient(mongod.url)
        yield MongoStore(client)
        client.close()


class TestMongoStoreWithMotorsTornadoClient(StoreContract):
    @pytest.fixture
    def store(self, io_loop: Any, mongod: Any) -> Iterator[Store]:
        client: Any = MotorClient(mongod.url)
        yield MongoStore(client)
        client.close()


class TestMongoStoreWithPyMongosClient(StoreContract):
    @pytest.fixture
    def store(self, io_loop: Any, mongod: Any) -> Iterator[Store]:
        client: Any = AsyncMongoClient(mongod.url)
        yield MongoStore(client)
        io_loop.run_sync(client.close)
