"""Sessions in MongoDB, through motor or PyMongo's own asynchronous client.

A majority acknowledges each write, and reads go to the primary. A TTL index on `expires` makes the
server remove expired sessions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from stores.contract import (
    Change,
    ConfigurationError,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
)
from stores.mongo.client import Client, check_client, make_client, motor_client_class
from stores.mongo.documents import FIELDS
from stores.mongo.errors import explained
from stores.mongo.reading import read
from stores.mongo.url import database_of, name_of
from stores.mongo.writing import Writing

DEFAULT_DATABASE = "sessions"

# The server's codes when something else exists in the place of the index or the collection.
INDEX_CONFLICTS = {85, 86}  # IndexOptionsConflict, IndexKeySpecsConflict
NOT_A_PLAIN_COLLECTION = {67, 72, 166}  # capped, time series, view


class MongoStore(Store):
    """Keeps records in one collection of a MongoDB database (server 4.4 or later).

    *source* is a URL (`mongodb://` or `mongodb+srv://`), from which a motor client is made when
    the store is opened, or a client of the application's own: motor's `AsyncIOMotorClient` or
    `MotorClient`, or PyMongo's `AsyncMongoClient`. The store does not close such a client.
    *database* is by default the one the URL names, else "sessions". *timeout* bounds a whole
    operation, in seconds.

    Raises `ConfigurationError` for a bad URL, another kind of client, and without motor for a URL.
    """

    expires_itself = True

    def __init__(
        self,
        source: str | Client,
        *,
        database: str | None = None,
        collection: str = "sessions",
        timeout: float = 2.0,
    ) -> None:
        self.timeout = timeout
        self._collection_name = collection
        self._url: str | None = None
        self._client: Any = None
        self._collection: Any = None
        if isinstance(source, str):
            motor_client_class()  # so that a missing driver is found before the store is opened
            self._url = source
            self._database = database or database_of(source) or DEFAULT_DATABASE
        else:
            check_client(source)
            self._client = source
            self._database = database or source.get_default_database(DEFAULT_DATABASE).name

    @property
    def name(self) -> str:
        if self._url is None:
            return f"mongodb:{self._database}"
        return name_of(self._url, self._database)

    async def open(self) -> None:
        # At DEBUG level, PyMongo logs every command with its values and secrets.
        logging.getLogger("pymongo.command").setLevel(logging.INFO)
        if self._client is None:
            assert self._url is not None
            self._client = make_client(self._url)
        collection = _collection(self._client[self._database], self._collection_name)
        with self._deadline():
            await self._make_index(collection)
        self._collection = collection

    async def close(self) -> None:
        client, self._collection = self._client, None
        if client is not None and self._url is not None:
            self._client = None
            client.close()

    async def ping(self) -> None:
        with self._deadline():
            await self._opened().find_one({"_id": b""}, {"_id": 1})

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record | Unreadable]:
        collection = self._opened()
        with self._deadline():
            return await read(collection, ids)

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        writing = Writing(self._opened(), changes)
        with self._deadline():
            await writing.run()
        return writing.answers

    async def _make_index(self, collection: Any) -> None:
        """Create the TTL index; refuse a collection that is not for sessions."""
        where = f"collection {collection.name} of database {self._database}"
        # In another application's collection, the index would make the server remove documents.
        sample = await collection.find_one({}, dict.fromkeys(FIELDS, 1))
        if sample is not None and not sample.keys() >= set(FIELDS):
            raise ConfigurationError(
                f"{where} has documents that are not sessions; choose another collection"
            )
        try:
            await collection.create_index("expires", expireAfterSeconds=0)
        except OperationFailure as error:
            if error.code in INDEX_CONFLICTS:
                raise ConfigurationError(
                    f"{where} has another index on `expires`, or one named expires_1; "
                    "drop that index, or choose another collection"
                ) from None
            if error.code in NOT_A_PLAIN_COLLECTION:
                raise ConfigurationError(
                    f"{where} is a view, capped or a time series; choose another collection"
                ) from None
            raise

    def _opened(self) -> Any:
        if self._collection is None:
            raise StoreUnavailable("the MongoDB store is not open")
        return self._collection

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Bound what PyMongo does inside, and turn its errors into `StoreUnavailable`.

        Without this deadline, a driver thread would go on waiting for a server (30 s by default)
        long after its request was answered.
        """
        with explained(), pymongo.timeout(self.timeout):
            yield


def _collection(database: Any, name: str) -> Any:
    """Return the collection with the store's settings in the place of the client's."""
    return database.get_collection(
        name,
        codec_options=CodecOptions(),
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("local"),
        write_concern=WriteConcern("majority"),
    )
