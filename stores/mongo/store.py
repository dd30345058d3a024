"""Sessions in MongoDB, through motor or PyMongo's own asynchronous client.

A majority acknowledges each write, and reads go to the primary. A TTL index on `expires` makes the
server remove expired sessions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pymongo

from stores.contract import (
    Change,
    ConfigurationError,
    Count,
    Outcome,
    Page,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
)
from stores.cursor import count_in_steps, id_after, page_of
from stores.mongo.client import Client, check_client, make_client, motor_client_class
from stores.mongo.clocks import gap_between_clocks
from stores.mongo.collection import check_documents, collection_of, ensure_index
from stores.mongo.errors import explained, trouble
from stores.mongo.reading import count_behind, read, read_behind
from stores.mongo.url import Parts, check_collection_name, name_of, parts_of
from stores.mongo.writing import Writing

log = logging.getLogger(__name__)

DEFAULT_NAME = "sessions"
"""Of the database, and of the collection."""

LOOK_EVERY = 60.0
"""Seconds between looks for the TTL index, which goes with a collection that is dropped."""


class MongoStore(Store):
    """Keeps records in one collection of a MongoDB database (server 4.4 or later).

    *source* is a URL (`mongodb://` or `mongodb+srv://`), from which a motor client is made when
    the store is opened, or a client of the application's own: motor's `AsyncIOMotorClient` or
    `MotorClient`, or PyMongo's `AsyncMongoClient`. The store does not close such a client.
    *database* and *collection* are by default those the URL names, else "sessions". *timeout*
    bounds a whole operation, in seconds.

    Raises `ConfigurationError` for a bad URL, another kind of client, and without motor for a URL.
    """

    expires_itself = True

    def __init__(
        self,
        source: str | Client,
        *,
        database: str | None = None,
        collection: str | None = None,
        timeout: float = 2.0,
    ) -> None:
        self.timeout = timeout
        self._patience = 0.9 * timeout
        self._parts: Parts | None = None
        self._client: Any = None
        self._collection: Any = None
        self._limit: int | None = None  # of updates, for the records that are created
        self._index_problem: str | None = None
        self._look_at = 0.0
        self._looking: asyncio.Task[None] | None = None
        if isinstance(source, str):
            motor_client_class()  # so that a missing driver is found before the store is opened
            self._parts = parts_of(source)
            self._database = database or self._parts.database or DEFAULT_NAME
            collection = self._parts.collection if collection is None else collection
            self._overridden = self._parts.overridden
        else:
            check_client(source)
            self._client = source
            self._database = database or source.get_default_database(DEFAULT_NAME).name
            self._overridden = []
        self._collection_name = DEFAULT_NAME if collection is None else collection
        check_collection_name(self._collection_name)

    @property
    def name(self) -> str:
        database = self._database
        if self._collection_name != DEFAULT_NAME:
            database = f"{database}?collection={self._collection_name}"
        return f"mongodb:{database}" if self._parts is None else name_of(self._parts.url, database)

    async def open(self) -> None:
        # At DEBUG level, PyMongo logs every command with its values and secrets.
        logging.getLogger("pymongo.command").setLevel(logging.INFO)
        if self._client is None:
            assert self._parts is not None
            self._client = make_client(self._parts.url)
        database = self._client[self._database]
        collection = collection_of(database, self._collection_name)
        with self._deadline():
            await check_documents(collection)
            self._index_problem = await ensure_index(collection)
            warnings = [self._index_problem, await gap_between_clocks(database)]
        if self._overridden:
            warnings.append(
                f"{', '.join(self._overridden)} in its URL has no effect: sessions are read from "
                "the primary, and a majority acknowledges each write"
            )
            self._overridden = []
        if self._parts is not None and self._parts.may_be_overheard and self._collection is None:
            warnings.append(
                "sessions may cross the network in plain text; where the server speaks TLS, write "
                "tls=true into its URL"
            )
        for warning in filter(None, warnings):
            log.warning("store %s: %s", self.name, warning)
        self._look_at = time.monotonic() + LOOK_EVERY
        self._collection = collection

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
        client, self._collection = self._client, None
        if client is not None and self._parts is not None:
            self._client = None
            # The driver first tells the server which of its sessions end, and waits for a server.
            with pymongo.timeout(self._patience):
                await asyncio.to_thread(client.close)

    async def ping(self) -> None:
        collection = self._opened()
        with self._deadline():
            await collection.find_one({"_id": b""}, {"_id": 1})

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record | Unreadable]:
        collection = self._opened()
        with self._deadline():
            return await read(collection, ids)

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        writing = Writing(self._opened(), changes, self._limit)
        with self._deadline():
            await writing.run()
        self._limit = writing.limit
        if time.monotonic() >= self._look_at and self._looking is None:
            self._looking = asyncio.ensure_future(self._look_for_index())
        return writing.answers

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        collection, behind = self._opened(), id_after(after)
        with self._deadline():
            return page_of(await read_behind(collection, behind, limit), limit)

    async def count(self, *, exact: bool = False) -> Count:
        collection = self._opened()
        if not exact:
            with self._deadline():
                return Count(await collection.estimated_document_count(), False)

        async def step(after: bytes, limit: int) -> tuple[int, bytes | None]:
            with self._deadline():
                return await count_behind(collection, after, limit)

        return Count(await count_in_steps(step), True)

    async def _look_for_index(self) -> None:
        """Make the TTL index anew where somebody has dropped it, or the whole collection."""
        try:
            with self._deadline():
                problem = await ensure_index(self._opened())
        except (StoreUnavailable, ConfigurationError) as error:
            problem = str(error)
        finally:
            self._look_at = time.monotonic() + LOOK_EVERY
            self._looking = None
        if problem is not None and problem != self._index_problem:
            log.warning("store %s: %s", self.name, problem)
        self._index_problem = problem

    def _opened(self) -> Any:
        if self._collection is None:
            raise StoreUnavailable("the MongoDB store is not open")
        return self._collection

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Bound what PyMongo does inside, and turn its errors into `StoreUnavailable`.

        Without this deadline, a driver thread would go on waiting for a server (30 s by default)
        long after its request was answered. The driver looks at the time twice a second, so the
        gateway's deadline may come first, as a cancellation; that knows no reason.
        """
        begun, client = time.monotonic(), self._client
        try:
            with explained(client), pymongo.timeout(self._patience):
                yield
        except asyncio.CancelledError:
            found = trouble(client) if time.monotonic() - begun > self._patience / 2 else None
            if found is None:
                raise
            raise StoreUnavailable(f"MongoDB does not answer: {found}") from None
