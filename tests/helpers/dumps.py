"""All that a thief of a database finds in it, as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymongo
import redis
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from stores import MemoryStore, MongoStore, RedisStore, SQLStore, Store
from tests.helpers.sql_databases import ask

_RAW = CodecOptions(document_class=RawBSONDocument)


async def dump(store: Store, url: str) -> bytes:
    """Return everything that *store*, one of `own_store`, has put at *url*."""
    if isinstance(store, MongoStore):
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(url)
        with client:
            database = client.get_default_database("sessions")
            name = store.name.partition("collection=")[2]
            return b"".join(d.raw for d in database.get_collection(name, _RAW).find())
    if isinstance(store, RedisStore):
        with redis.Redis.from_url(url) as server:
            keys = list(server.scan_iter(store._prefix + b"*", count=1000))
            # The form of RDB files, and what redis-cli shows.
            return b"".join(server.dump(key) + repr(server.hgetall(key)).encode() for key in keys)
    if isinstance(store, SQLStore):
        rows = await ask(url, f"SELECT * FROM {store._statements.table.name}")
        found = repr([tuple(row) for row in rows]).encode()  # a Row shows long text in part
        if url.startswith("sqlite"):
            file = Path(url.removeprefix("sqlite:///"))
            found += b"".join(part.read_bytes() for part in file.parent.glob(f"{file.name}*"))
        return found
    assert isinstance(store, MemoryStore)
    return b"".join(packed for group in store._groups for packed in group.values())
