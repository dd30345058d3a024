"""Sessions in MongoDB: what is in the server, and what an application's own client may be."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pymongo
import pytest
from bson import Int64
from bson.codec_options import TypeRegistry
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from motor.motor_tornado import MotorClient
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from stores import ConfigurationError, MongoStore
from stores.contract import Change, Create, Delete, Outcome, Record, Update
from stores.json_text import size_of
from tests.helpers.mongo_commands import Commands
from tests.helpers.opened import while_open
from tests.helpers.records import load_record, make_record, same_record

DONE = Outcome.DONE


def opened(source: Any, **options: Any) -> AbstractAsyncContextManager[MongoStore]:
    return while_open(MongoStore(source, **options))


@asynccontextmanager
async def closing(client: Any) -> AsyncIterator[Any]:
    """Close a client of any kind in the end."""
    try:
        yield client
    finally:
        closed = client.close()
        if inspect.isawaitable(closed):
            await closed


# What is in the server


@pytest.mark.gen_test
async def test_a_session_is_a_document_that_people_can_read(
    mongod: Any, mongo_collection: Any
) -> None:
    now = time.time()
    record = Record(
        id=bytes(range(16)),
        secret_hash=b"\x01" * 32,
        created=now,
        expires=now + 600,
        data={"name": "Zoë", "cart": [{"sku": "x", "price": 9.5}], "n": 2**40, "none": None},
        user="ada",
        persistent=False,
        former_hash=b"\x02" * 32,
        rotated=now,
        authenticated=now,
    )
    async with opened(mongod.url, database=mongo_collection.database.name) as store:
        await store.write([Create(record), Update(bytes(16), {"n": 1}, limit=65536)])
        (document,) = mongo_collection.find().to_list()
        assert "room" not in document
        await store.write([Delete(record.id)])
        await store.write([Create(record)])
        (document,) = mongo_collection.find().to_list()
        assert document.pop("room") == {"l65536": [2**63 - 1 - 8192 + size_of(record.data)]}
        at = datetime.fromtimestamp(int(now * 1000) / 1000, UTC).replace(tzinfo=None)
        assert abs(document.pop("created") - at).total_seconds() < 0.002
        assert abs(document.pop("rotated") - at).total_seconds() < 0.002
        assert abs(document.pop("authenticated") - at).total_seconds() < 0.002
        assert abs((document.pop("expires") - at).total_seconds() - 600) < 0.002
        assert document == {
            "_id": bytes(range(16)),
            "secret": b"\x01" * 32,
            "former": b"\x02" * 32,
            "user": "ada",
            "persistent": False,
            "data": {
                "name": "Zoë",
                "cart": [{"sku": "x", "price": 9.5}],
                "n": 2**40,
                "none": None,
            },
        }
        await store.write([Delete(record.id)])
        assert mongo_collection.count_documents({}) == 0


@pytest.mark.gen_test
async def test_keys_special_to_mongodb_are_percent_encoded(
    mongod: Any, mongo_collection: Any
) -> None:
    data = {"a.b": 1, "$set": {"$ref": {"x.y": 2}}, "": 3, "50%": 4, "\x00": 5, "plain": 6}
    record = make_record(data=data)
    async with opened(mongod.url, database=mongo_collection.database.name) as store:
        await store.write([Create(record)])
        assert mongo_collection.find_one()["data"] == {
            "a%2Eb": 1,
            "%24set": {"%24ref": {"x%2Ey": 2}},
            "%": 3,
            "50%25": 4,
            "%00": 5,
            "plain": 6,
        }
        assert mongo_collection.count_documents({"data.%24set.%24ref.x%2Ey": 2}) == 1
        assert (await load_record(store, record.id)).data == data


@pytest.mark.gen_test
async def test_an_update_writes_only_the_fields_that_changed(
    mongod: Any, mongo_collection: Any
) -> None:
    record = make_record(data={"kept": 1, "changed": 1, "removed": 1})
    async with opened(mongod.url, database=mongo_collection.database.name) as store:
        await store.write([Create(record)])
        mongo_collection.update_one(
            {}, {"$set": {"data.kept": Int64(2)}}
        )  # somebody else, meanwhile
        assert await store.write([Update(record.id, {"changed": 2}, ["removed"])]) == [DONE]
        found = await load_record(store, record.id)
        assert same_record(record._replace(data={"kept": 2, "changed": 2}), found)


@pytest.mark.gen_test
async def test_the_server_is_told_to_remove_what_expired(
    mongod: Any, mongo_collection: Any
) -> None:
    async with opened(mongod.url, database=mongo_collection.database.name) as store:
        await store.open()
        (index,) = [i for i in mongo_collection.list_indexes() if i["key"] != {"_id": 1}]
        assert (dict(index["key"]), index["expireAfterSeconds"]) == ({"expires": 1}, 0)


@pytest.mark.gen_test
async def test_hundreds_are_loaded_in_one_round_trip_from_the_primary(
    mongod: Any, mongo_collection: Any
) -> None:
    commands = Commands()
    url = mongod.url + "&readPreference=secondaryPreferred&w=0&readConcernLevel=available"
    client: Any = AsyncIOMotorClient(url, event_listeners=[commands])
    records = [make_record() for _ in range(400)]
    async with opened(client, database=mongo_collection.database.name) as store:
        await store.write([Create(record) for record in records])
        await store.write([Update(records[0].id, {"n": 1}), Delete(records[1].id)])
        writes = [command for name, command in commands.sent if name in WRITES]
        assert len(writes) == 3
        assert [command["writeConcern"] for command in writes] == [{"w": "majority"}] * 3
        assert all("txnNumber" in command for command in writes)  # sent again if it has to be
        commands.sent.clear()
        assert len(await store.load([record.id for record in records])) == 399
        assert len(await store.load([records[0].id])) == 1
        assert commands.names() == ["find", "find"]
        for _, command in commands.sent:
            assert command["readConcern"] == {"level": "local"}
            assert command.get("$readPreference", {"mode": "primary"})["mode"] == "primary"
    client.close()


WRITES = ("insert", "update", "delete")


# What is there already


SHAPES: list[tuple[str, str, Callable[[Any], Any]]] = [
    (
        "another life-time",
        "drop that index",
        lambda c: c.create_index("expires", expireAfterSeconds=9),
    ),
    ("no life-time", "drop that index", lambda c: c.create_index("expires")),
    ("another field", "drop that index", lambda c: c.create_index("other", name="expires_1")),
    ("capped", "capped", lambda c: c.database.create_collection(c.name, capped=True, size=4096)),
    ("a view", "a view", lambda c: c.database.create_collection(c.name, viewOn="x", pipeline=[])),
    (
        "a time series",
        "a time series",
        lambda c: c.database.create_collection(c.name, timeseries={"timeField": "expires"}),
    ),
    (
        "another application's",
        "not sessions",
        lambda c: c.insert_one({"expires": datetime.now(UTC)}),
    ),
]


def _indexes(mongo_collection: Any) -> list[Any]:
    try:
        return list(mongo_collection.list_indexes())
    except OperationFailure:  # a view has none
        return []


@pytest.mark.gen_test
@pytest.mark.parametrize(("mend", "make"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
async def test_another_shape_is_told_and_left_as_it_is(
    mongod: Any, mongo_collection: Any, mend: str, make: Callable[[Any], Any]
) -> None:
    make(mongo_collection)
    before = _indexes(mongo_collection)
    store = MongoStore(mongod.url, database=mongo_collection.database.name)
    with pytest.raises(ConfigurationError, match=mend) as caught:
        await store.open()
    assert f"collection sessions of database {mongo_collection.database.name}" in str(caught.value)
    assert _indexes(mongo_collection) == before
    mongo_collection.drop()
    await store.open()  # mended
    await store.close()


@pytest.mark.gen_test
async def test_another_collection_of_a_database_in_use_is_taken(
    mongod: Any, mongo_collection: Any
) -> None:
    mongo_collection.insert_one({"expires": datetime.now(UTC)})
    record = make_record()
    options = {"database": mongo_collection.database.name, "collection": "of-my.own"}
    async with opened(mongod.url, **options) as store:
        await store.write([Create(record)])
    assert mongo_collection.database["of-my.own"].count_documents({}) == 1


# An application's own client


OPTIONS: dict[str, dict[str, Any]] = {
    "tz_aware": {"tz_aware": True},
    "uuid": {"uuidRepresentation": "standard"},
    "document_class": {"document_class": RawBSONDocument},
    "datetime_ms": {"datetime_conversion": "DATETIME_MS"},
    "type_registry": {"type_registry": TypeRegistry(fallback_encoder=repr)},
    "no retries": {"retryWrites": False, "retryReads": False},
    "compressors": {"compressors": "zlib"},
    "stable api": {"server_api": pymongo.server_api.ServerApi("1", strict=True)},
}


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", [AsyncIOMotorClient, MotorClient, AsyncMongoClient])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_a_client_of_any_settings_serves_and_is_not_closed(
    mongod: Any, mongo_collection: Any, kind: Any, options: dict[str, Any]
) -> None:
    database = mongo_collection.database.name
    record = make_record(data={"n": [1, "text", {"deep": None}]}, user="ada")
    async with closing(kind(mongod.url, **options)) as client:
        async with opened(client, database=database) as store:
            assert store.name == f"mongodb:{database}"
            changes: list[Change] = [Create(record), Update(bytes(16), {"n": 1})]
            assert await store.write(changes) == [DONE, Outcome.MISSING]
            assert same_record(record, await load_record(store, record.id))
        assert (await client.admin.command("ping"))["ok"] == 1


@pytest.mark.gen_test
async def test_a_clients_default_database_is_used(mongod: Any) -> None:
    async with closing(AsyncMongoClient(mongod.url)) as client:
        async with opened(client, collection="named_nowhere") as store:
            assert store.name == "mongodb:test?collection=named_nowhere"
            await store.ping()
        await client.drop_database("test")
