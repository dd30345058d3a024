"""Reading records, one of which may be unreadable without harm to the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from stores.contract import Record, Unreadable
from stores.mongo.documents import record

_RAW = CodecOptions(document_class=RawBSONDocument)
_ID = slice(14, 30)
"""Where a document has its `_id`, which MongoDB keeps first: 16 bytes of binary."""


async def read(collection: Any, ids: Sequence[bytes]) -> dict[bytes, Record | Unreadable]:
    """Return the records with these ids; leave out an id without a record."""
    try:
        documents = await _find(collection, ids)
    except BSONError:  # the driver decodes all or none
        raw = await _find(collection.with_options(codec_options=_RAW), ids)
        return dict(_decode(document.raw) for document in raw)
    return {document["_id"]: record(document) for document in documents}


async def _find(collection: Any, ids: Sequence[bytes]) -> list[Any]:
    if len(ids) == 1:  # find_one is faster, in the driver and in the server
        document = await collection.find_one({"_id": ids[0]})
        return [] if document is None else [document]
    # One more than there can be, so that the first batch ends the cursor.
    found: list[Any] = await collection.find(
        {"_id": {"$in": list(ids)}}, batch_size=len(ids) + 1
    ).to_list(None)
    return found


def _decode(raw: Any) -> tuple[bytes, Record | Unreadable]:
    id = bytes(raw[_ID])
    try:
        return id, record(bson.decode(raw))
    except BSONError:  # whose text may quote a value
        return id, Unreadable("it has a date or a text that cannot be decoded")
