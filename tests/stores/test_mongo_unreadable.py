"""Documents of MongoDB that are no sessions: each is told in its own place, and harms no other."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Binary, Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient

from stores import MongoStore, StoreUnavailable
from stores.contract import MAX_DATA, Create, Delete, Outcome, Record, Unreadable, Update
from tests.helpers.opened import while_open
from tests.helpers.records import make_record, make_rotation

Change = Callable[[dict[str, Any]], object]

MISFITS: dict[str, tuple[Change, str]] = {
    "no secret": (lambda d: d.pop("secret"), "secret"),
    "a short secret": (lambda d: d.update(secret=b"Ada"), "secret"),
    "a secret of text": (lambda d: d.update(secret="Ada" * 11), "secret"),
    "a secret of another subtype": (lambda d: d.update(secret=Binary(bytes(32), 5)), "secret"),
    "a former secret that is short": (lambda d: d.update(former=b""), "former"),
    "no data": (lambda d: d.pop("data"), "data"),
    "data of text": (lambda d: d.update(data="Ada"), "data"),
    "data in a list": (lambda d: d.update(data=[1]), "data"),
    "a user that is a number": (lambda d: d.update(user=7), "user"),
    "a user that is a document": (lambda d: d.update(user={"name": "Ada"}), "user"),
    "persistence of a number": (lambda d: d.update(persistent=1), "persistent"),
    "no beginning": (lambda d: d.pop("created"), "dates"),
    "an end of text": (lambda d: d.update(expires="Ada"), "dates"),
    "an end that is null": (lambda d: d.update(expires=None), "dates"),
    "a rotation at a number": (lambda d: d.update(rotated=5), "dates"),
    "seen at a text": (lambda d: d.update(seen="Ada"), "dates"),
    "a date past all calendars": (lambda d: d.update(expires=DatetimeMS(2**62)), "date or a text"),
    "a text that is not UTF-8": (lambda d: d.update(user="Ada?"), "date or a text"),
    "a value of MongoDB's own": (lambda d: d["data"].update(v=[{"x": ObjectId()}]), "JSON"),
    "a decimal": (lambda d: d["data"].update(v=Decimal128("1.5")), "JSON"),
    "a date in the data": (lambda d: d["data"].update(v=datetime.now(UTC)), "JSON"),
    "bytes in the data": (lambda d: d["data"].update(v=b"Ada"), "JSON"),
    "not a number": (lambda d: d["data"].update(v=float("nan")), "NaN"),
    "infinity in a list": (lambda d: d["data"].update(v=[float("-inf")]), "NaN"),
    "an array of more than there can be": (
        lambda d: d["data"].update(v=[[None] * 9] * 200_000),
        "more than 4194304 bytes",
    ),
    "more keys than there can be": (
        lambda d: d["data"].update((f"{n:x}", 1) for n in range(MAX_DATA // 5)),
        "more than 4194304 bytes",
    ),
}


def put_misfit(collection: Any, change: Change) -> bytes:
    """Change a document behind the store's back; return its id, which is another then."""
    document = collection.find_one_and_delete({"data.name": "Ada"})
    document["_id"] = os.urandom(16)
    change(document)
    raw = bson.encode(document).replace(b"Ada?\0", b"Ad\xff\xfe\0")
    collection.insert_one(RawBSONDocument(raw))
    return bytes(document["_id"])


@asynccontextmanager
async def opened(kind: str, url: str, database: str) -> AsyncIterator[MongoStore]:
    """A store, open, through motor or through PyMongo's own client."""
    source: Any = AsyncMongoClient(url) if kind == "pymongo" else url
    try:
        async with while_open(MongoStore(source, database=database)) as store:
            yield store
    finally:
        if source is not url:
            await source.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", ["motor", "pymongo"])
@pytest.mark.parametrize(("change", "reason"), MISFITS.values(), ids=MISFITS)
async def test_an_unreadable_record_harms_no_other(
    mongod: Any, mongo_collection: Any, kind: str, change: Change, reason: str
) -> None:
    good = make_record(data={"n": 1})
    async with opened(kind, mongod.url, mongo_collection.database.name) as store:
        await store.write([Create(good), Create(make_record(data={"name": "Ada"}, user="Ada"))])
        bad = put_misfit(mongo_collection, change)
        for ids in ([bad], [good.id, bad], [bad, good.id, bytes(16)]):
            found = await store.load(ids)
            assert set(found) == {good.id, bad} & set(ids)
            told = found[bad]
            assert isinstance(told, Unreadable)
            assert reason in told.reason
            assert "Ada" not in told.reason
            assert all(isinstance(found[id], Record) for id in ids if id == good.id)
        rotation = make_rotation(make_record())
        updates = [Update(bad, rotation=rotation), Update(good.id, {"n": 2})]
        refused, done = await store.write(updates)
        assert isinstance(refused, StoreUnavailable)
        assert done is Outcome.DONE
        await store.open()  # whatever it finds there
        assert await store.write([Delete(bad)]) == [Outcome.DONE]
        assert list(await store.load([bad, good.id])) == [good.id]


@pytest.mark.gen_test
async def test_a_scan_tells_of_unreadable_records(mongod: Any, mongo_collection: Any) -> None:
    good = make_record(data={"n": 1})
    async with opened("motor", mongod.url, mongo_collection.database.name) as store:
        await store.write([Create(good)])
        bad = []
        for what in ("no data", "a date past all calendars"):
            await store.write([Create(make_record(data={"name": "Ada"}))])
            bad.append(put_misfit(mongo_collection, MISFITS[what][0]))
        mongo_collection.insert_many([{}, {"_id": "text"}, {"_id": b"bytes"}, {"_id": bytes(17)}])
        page = await store.scan()
        assert page.found == await store.load([good.id, *bad])
        assert isinstance(page.found[bad[1]], Unreadable)
        assert (await store.count(exact=True)).number == 3


@pytest.mark.gen_test
async def test_a_value_that_json_lacks_is_not_measured(mongod: Any, mongo_collection: Any) -> None:
    """An update with a limit measures the record first, where its counter is missing."""
    bad, good = (make_record(data={"n": 0}) for _ in range(2))
    async with opened("motor", mongod.url, mongo_collection.database.name) as store:
        await store.write([Create(bad), Create(good)])
        mongo_collection.update_one({"_id": bad.id}, {"$set": {"data.n": float("nan")}})
        mongo_collection.update_many({}, {"$unset": {"room": ""}})
        changes = [Update(id, {"m": 1}, limit=65536) for id in (good.id, bad.id, good.id)]
        first, refused, last = await store.write(changes)
        assert isinstance(refused, StoreUnavailable)
        assert (first, last) == (Outcome.DONE, Outcome.DONE)


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("item", ["1", "[]", '"x"', "{}"])
async def test_what_was_acknowledged_is_read_again(
    mongod: Any, mongo_collection: Any, item: str
) -> None:
    """As many values as a document takes, of the shortest there are."""
    count = 1_000_000 if item == "1" else 700_000
    data = {"v": json.loads(f"[{','.join([item] * count)}]")}
    record = make_record(data=data)
    database = mongo_collection.database.name
    async with while_open(MongoStore(mongod.url, database=database, timeout=20)) as store:
        assert await store.write([Create(record)]) == [Outcome.DONE]
        found = (await store.load([record.id]))[record.id]
        assert isinstance(found, Record)
        assert found.data == data
