"""Sessions in MongoDB, through motor or PyMongo's own asynchronous client.

Writes are acknowledged by a majority, reads go to the primary, and a TTL index on `expires` lets
the server remove what is dead. A plain update is `updateOne` without upsert; a rotation has the
expected secret in its filter.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stores.contract import (
    Change,
    ConfigurationError,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Update,
)
from stores.mongo_documents import operation, record

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorClient
    from motor.motor_tornado import MotorClient
    from pymongo import AsyncMongoClient

    Client = AsyncIOMotorClient[Any] | MotorClient[Any] | AsyncMongoClient[Any]

DUPLICATE_KEY = 11000
DEFAULT_DATABASE = "sessions"


class MongoStore(Store):
    """Keeps records in one collection of a MongoDB database (server 4.4 or later).

    *source* is a URL (`mongodb://` or `mongodb+srv://`), from which a motor client is made when
    the store is opened, or a client of the application's own: motor's `AsyncIOMotorClient` or
    `MotorClient`, or PyMongo's `AsyncMongoClient`. A client that was passed in is not closed.
    *database* is by default the one the URL names, else "sessions". *timeout* is in seconds.
    """

    def __init__(
        self,
        source: str | Client,
        *,
        database: str | None = None,
        collection: str = "sessions",
        timeout: float = 2.0,
    ) -> None:
        try:
            import motor
            import pymongo  # noqa: F401
        except ImportError as error:
            raise ConfigurationError(
                f"MongoDB needs the package {error.name}: pip install motor"
            ) from None
        del motor
        self.timeout = timeout
        self._database = database
        self._collection_name = collection
        self._url = source if isinstance(source, str) else None
        self._client: Any = None if isinstance(source, str) else source
        self._owns_client = isinstance(source, str)
        self._collection: Any = None
        if self._url is not None:
            self._database = database or _check_url(self._url)

    @property
    def name(self) -> str:
        if self._url is None:
            return f"mongodb:{self._database or DEFAULT_DATABASE}"
        parts = urlsplit(self._url)
        hosts = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{hosts}/{self._database or DEFAULT_DATABASE}"

    async def open(self) -> None:
        from pymongo import ReadPreference, WriteConcern

        # At DEBUG level PyMongo logs every command with what it holds: values and secrets.
        logging.getLogger("pymongo.command").setLevel(logging.INFO)
        if self._client is None:
            from motor.motor_asyncio import AsyncIOMotorClient

            # No time-out options: each operation has a deadline of its own, see _deadline().
            self._client = AsyncIOMotorClient(self._url)
        if self._database is None:
            self._database = self._client.get_default_database(DEFAULT_DATABASE).name
        collection = self._client[self._database].get_collection(
            self._collection_name,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern("majority"),
        )
        with self._deadline():
            await collection.create_index("expires", expireAfterSeconds=0)
        self._collection = collection

    async def close(self) -> None:
        client, self._collection = self._client, None
        if client is not None and self._owns_client:
            self._client = None
            closing = client.close()  # motor's returns None, PyMongo's a coroutine
            if inspect.isawaitable(closing):
                await closing

    async def ping(self) -> None:
        with self._deadline():
            await self._opened().find_one({"_id": b""}, {"_id": 1})

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
        with self._deadline():
            cursor = self._opened().find({"_id": {"$in": list(ids)}})
            documents = await cursor.to_list(None)
        return {document["_id"]: record(document) for document in documents}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        from pymongo.errors import BulkWriteError

        collection = self._opened()
        outcomes = [Outcome.DONE] * len(changes)
        operations = [operation(change) for change in changes]
        with self._deadline():
            try:
                # Unordered: a taken id must not stop the others.
                result = await collection.bulk_write(operations, ordered=False)
                matched = result.matched_count
            except BulkWriteError as error:
                matched = error.details["nMatched"]
                failed = error.details["writeErrors"]
                if error.details["writeConcernErrors"] or any(
                    e["code"] != DUPLICATE_KEY for e in failed
                ):
                    codes = sorted({e["code"] for e in failed})
                    raise StoreUnavailable(
                        f"MongoDB did not complete a write (codes {codes or 'write concern'})"
                    ) from None
                for e in failed:
                    outcomes[e["index"]] = Outcome.EXISTS
            updates = {i: c for i, c in enumerate(changes) if isinstance(c, Update)}
            if matched < len(updates):
                outcomes_of_updates = await self._what_became_of(updates)
                for i, outcome in outcomes_of_updates.items():
                    outcomes[i] = outcome
        return outcomes

    async def _what_became_of(self, updates: Mapping[int, Update]) -> dict[int, Outcome]:
        """Tell which updates of a batch did not apply; MongoDB 6 only says how many.

        Ids are never used again and secrets are never repeated, so that the state after the batch
        tells what happened in it.
        """
        ids = list({update.id for update in updates.values()})
        cursor = self._collection.find({"_id": {"$in": ids}}, {"secret": 1, "former": 1})
        secrets = {d["_id"]: (d["secret"], d.get("former")) for d in await cursor.to_list(None)}
        outcomes = {}
        for i, update in updates.items():
            now = secrets.get(update.id)
            if now is None:
                outcomes[i] = Outcome.MISSING
            elif update.rotation is not None and update.rotation.secret_hash not in now:
                outcomes[i] = Outcome.CONFLICT
            else:
                outcomes[i] = Outcome.DONE
        return outcomes

    def _opened(self) -> Any:
        if self._collection is None:
            raise StoreUnavailable("the MongoDB store is not open")
        return self._collection

    def _deadline(self) -> _Deadline:
        return _Deadline(self.timeout)


class _Deadline:
    """Bounds what PyMongo does inside, and turns its errors into `StoreUnavailable`.

    Without it a driver thread would go on waiting for a server (30 s by default) long after the
    request it worked for has been answered.
    """

    def __init__(self, seconds: float | None) -> None:
        import pymongo

        self._timeout = pymongo.timeout(seconds)

    def __enter__(self) -> None:
        self._timeout.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        from pymongo.errors import OperationFailure, PyMongoError

        self._timeout.__exit__(kind, error, traceback)
        if isinstance(error, OperationFailure):
            # The server's message may quote the document; its code's name does not.
            details = error.details or {}
            what = details.get("codeName") or f"code {error.code}"
            raise StoreUnavailable(f"MongoDB refused: {what}") from None
        if isinstance(error, PyMongoError):
            raise StoreUnavailable(f"MongoDB does not answer ({type(error).__name__})") from None


def _check_url(url: str) -> str | None:
    """Return the database that a URL names; raise `ConfigurationError` for a bad one."""
    from pymongo.errors import InvalidURI, PyMongoError
    from pymongo.uri_parser import parse_uri

    parts = urlsplit(url)
    if parts.scheme == "mongodb+srv":  # parsing it in full would ask the name server
        return parts.path.strip("/") or None
    try:
        return parse_uri(url)["database"]  # type: ignore[no-any-return]
    except InvalidURI as error:
        reason = str(error)
        if parts.password and parts.password in reason:
            reason = "user name and password must be percent-encoded"
    except (PyMongoError, ValueError) as error:
        reason = type(error).__name__
    raise ConfigurationError(f"the store's URL is not a MongoDB URL: {reason}")
