"""The collection of the sessions: its settings, what it must look like, its TTL index."""

from __future__ import annotations

from typing import Any

from bson.codec_options import CodecOptions
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from stores.contract import ConfigurationError
from stores.mongo.documents import FIELDS
from stores.mongo.errors import UNAUTHORIZED

SAMPLE = 20
"""Documents that are looked at: one alone may be a session that somebody has damaged."""

# The server's codes when something else exists in the place of the index or the collection.
INDEX_CONFLICTS = {85, 86}  # IndexOptionsConflict, IndexKeySpecsConflict
NOT_A_PLAIN_COLLECTION = {67, 72, 166}  # capped, time series, view


def collection_of(database: Any, name: str) -> Any:
    """Return the collection with the store's settings in the place of the client's."""
    return database.get_collection(
        name,
        codec_options=CodecOptions(),
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("local"),
        write_concern=WriteConcern("majority"),
    )


async def check_documents(collection: Any) -> None:
    """Raise `ConfigurationError` for a collection that has documents, and no sessions.

    In another application's collection, the index would make the server remove documents.
    """
    # The server tells the types, since a value may be one that cannot be decoded.
    types = {"_id": 0, **{field: {"$type": f"${field}"} for field in FIELDS}}
    sample = await collection.find({}, types, limit=SAMPLE).to_list(None)
    if sample and not any("missing" not in document.values() for document in sample):
        raise ConfigurationError(
            f"{_where(collection)} has documents that are not sessions; choose another collection"
        )


async def ensure_index(collection: Any) -> str | None:
    """Create the TTL index unless it exists; return what is wrong when the user may not.

    Raises `ConfigurationError` where another index or collection is in its place.
    """
    try:
        if await _has_index(collection):
            return None
        await collection.create_index("expires", expireAfterSeconds=0)
    except OperationFailure as error:
        if error.code == UNAUTHORIZED:
            return (
                f"{_where(collection)} has no TTL index, or its user may not look for one: expired "
                "sessions stay there. Create it as an administrator: "
                f'db.getCollection("{collection.name}")'
                ".createIndex({expires: 1}, {expireAfterSeconds: 0})"
            )
        if error.code in INDEX_CONFLICTS:
            raise _another_index(collection) from None
        if error.code in NOT_A_PLAIN_COLLECTION:
            raise ConfigurationError(
                f"{_where(collection)} is a view, capped or a time series; "
                "choose another collection"
            ) from None
        raise
    return None


async def _has_index(collection: Any) -> bool:
    for index in (await collection.index_information()).values():
        if index["key"] == [("expires", 1)]:
            if index.get("expireAfterSeconds") != 0 or "partialFilterExpression" in index:
                raise _another_index(collection)
            return True
    return False


def _another_index(collection: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{_where(collection)} has another index on `expires`, or one named expires_1; "
        "drop that index, or choose another collection"
    )


def _where(collection: Any) -> str:
    return f"collection {collection.name} of database {collection.database.name}"
