"""Reading records, one of which may be unreadable without harm to the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure

from stores.contract import Record, Unreadable
from stores.mongo.documents import record

_RAW = CodecOptions(document_class=RawBSONDocument)
_READ_CONCERN = {"readConcern": {"level": "local"}}

_ID = slice(14, 30)
"""Where a document has its `_id`, which MongoDB keeps first: 16 bytes of binary."""


async def read(collection: Any, ids: Sequence[bytes]) -> dict[bytes, Record | Unreadable]:
    """Return the records with these ids; leave out an id without a record."""
    return await _records(collection, lambda documents: _find(documents, ids))


async def read_behind(
    collection: Any, after: bytes, limit: int
) -> dict[bytes, Record | Unreadable]:
    """Return the first *limit* records whose ids come after this one, in the order of the ids."""
    return await _records(
        collection,
        lambda documents: _behind(documents, after).sort("_id", 1).limit(limit).to_list(None),
    )


async def count_behind(collection: Any, after: bytes, limit: int) -> tuple[int, bytes | None]:
    """Return how many records come after this id, and `None`; or *limit*, and the last one's id."""
    last = _behind(collection, after, {"_id": 1}).sort("_id", 1).skip(limit - 1).limit(1)
    for document in await last.to_list(None):
        return limit, document["_id"]
    return await collection.count_documents(_range(after)), None


def _behind(collection: Any, after: bytes, *projection: Any) -> Any:
    return collection.find(_range(after), *projection)


def _range(after: bytes) -> dict[str, Any]:
    # What else may be an `_id`, of another type or length, sorts outside of these.
    return {"_id": {"$gt" if after else "$gte": after or bytes(16), "$lte": b"\xff" * 16}}


async def _records(
    collection: Any, find: Callable[[Any], Awaitable[list[Any]]]
) -> dict[bytes, Record | Unreadable]:
    try:
        documents = await find(collection)
    except BSONError:  # the driver decodes all or none
        raw = await find(collection.with_options(codec_options=_RAW))
        return dict(_decode(document.raw) for document in raw)
    return {document["_id"]: record(document) for document in documents}


async def _find(collection: Any, ids: Sequence[bytes]) -> list[Any]:
    """Return the documents with these ids.

    One command costs less of the processor's time than a cursor, and motor fewer turns of the loop.
    The driver does not send a command again, nor ask for what a single answer of 16 MB leaves out;
    a cursor does both.
    """
    where = {"_id": ids[0] if len(ids) == 1 else {"$in": list(ids)}}
    size = len(ids) + 1  # one more than there can be, so that the first batch ends the cursor
    command = {"find": collection.name, "filter": where, "batchSize": size, **_READ_CONCERN}
    run = collection.database.command
    try:
        cursor = (await run(command, codec_options=collection.codec_options))["cursor"]
    except ExecutionTimeout:  # there is no time left
        raise
    except (ConnectionFailure, OperationFailure):
        pass
    else:
        if not cursor["id"]:
            return list(cursor["firstBatch"])
        await run("killCursors", collection.name, cursors=[cursor["id"]])
    found: list[Any] = await collection.find(where, batch_size=size).to_list(None)
    return found


def _decode(raw: Any) -> tuple[bytes, Record | Unreadable]:
    id = bytes(raw[_ID])
    try:
        return id, record(bson.decode(raw))
    except BSONError:  # whose text may quote a value
        return id, Unreadable("it has a date or a text that cannot be decoded")
