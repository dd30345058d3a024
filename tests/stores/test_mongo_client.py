"""What a `MongoStore` may be made from, and that nothing secret is told about it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import traceback
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from stores import ConfigurationError, MongoStore, StoreUnavailable, open_store
from stores.contract import Create, Update
from tests.helpers.records import make_record, make_rotation
from tests.helpers.servers import free_port


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("mongodb://localhost", "mongodb://localhost/sessions"),
        ("mongodb://localhost/app", "mongodb://localhost/app"),
        ("mongodb://localhost/?w=1", "mongodb://localhost/sessions"),
        ("mongodb://localhost?w=1", "mongodb://localhost/sessions"),
        ("mongodb://ada:hunter2@a:1,b:2/app?replicaSet=rs", "mongodb://a:1,b:2/app"),
        ("mongodb://ada:hunt%40%2F%3Aer2@[::1]:7000/app", "mongodb://[::1]:7000/app"),
        ("mongodb+srv://ada:hunter2@example.org/app?w=1", "mongodb+srv://example.org/app"),
        ("mongodb+srv://ada:hunter2@example.org", "mongodb+srv://example.org/sessions"),
    ],
)
def test_a_name_is_the_url_without_user_password_and_options(url: str, name: str) -> None:
    store = open_store(url)
    assert store.name == name
    assert "er2" not in repr(store)


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("redis://localhost", "not a MongoDB URL"),
        ("mongodb://", "not a MongoDB URL"),
        ("mongodb://ada:hunter2@", "not a MongoDB URL"),
        ("mongodb://ada:hun/ter2@localhost", "percent-encoded"),
        ("mongodb://ada:hun?ter2@localhost", "percent-encoded"),
        ("mongodb://ada:hun?ter2=w@localhost", "percent-encoded"),
        ("mongodb://ada:hun@ter2@localhost", "percent-encoded"),
        ("mongodb://ada:hun:ter2@localhost", "percent-encoded"),
        ("mongodb://ada:hun%zzter2@localhost", "percent-encoded"),
        ("mongodb://ada:hunter2", "percent-encoded"),
        ("mongodb+srv://ada:hun/ter2@example.org/app", "percent-encoded"),
        ("mongodb+srv://ada:hun@ter2@example.org/app", "percent-encoded"),
        ("mongodb+srv://", "not a MongoDB URL"),
        ("mongodb://localhost:99999", "not a MongoDB URL"),
        ("mongodb://[::1", "not a MongoDB URL"),
        ("mongodb://localhost/my%20app", "not a MongoDB URL"),
        ("mongodb://localhost/app.sessions", "collection="),
        ("mongodb://localhost/?maxPoolSize=hunter2", "not accept the option maxPoolSize"),
        ("mongodb://localhost/?maxPolSize=9", "not accept the option maxPolSize"),
        (
            "mongodb://ada:hunter2@a,b/?directConnection=true",
            "not accept the option directConnection",
        ),
    ],
)
def test_a_url_that_cannot_work_is_told_without_quoting_it(url: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError, match=mistake) as caught:
        MongoStore(url)
    told = "".join(traceback.format_exception(caught.value, chain=True))
    assert "hun" not in str(caught.value)
    assert "ter2" not in str(caught.value)
    assert "During handling" not in told


def test_something_else_than_a_client_is_told() -> None:
    client: Any = pymongo.MongoClient(connect=False)
    with client, pytest.raises(ConfigurationError, match="AsyncMongoClient, not MongoClient"):
        MongoStore(client)


@pytest.mark.gen_test
async def test_without_motor_pymongos_client_serves(
    monkeypatch: pytest.MonkeyPatch, mongod: Any
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "motor"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "motor", None)
    async with pymongo.AsyncMongoClient[Any](mongod.url) as client:
        store = MongoStore(client)
        await store.open()
        await store.ping()
        await store.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("turns", range(8))
async def test_a_client_closed_while_it_connects_leaves_no_socket(turns: int) -> None:
    """The tests see to that (`tests.helpers.cancelled_connects`), not the driver."""
    async with pymongo.AsyncMongoClient[Any](f"mongodb://127.0.0.1:{free_port()}") as client:
        pinging = asyncio.ensure_future(client.admin.command("ping"))
        for _ in range(turns):
            await asyncio.sleep(0)
    pinging.cancel()
    await asyncio.wait([pinging])
    del client, pinging
    gc.collect()


@pytest.mark.gen_test
async def test_a_name_server_that_knows_no_such_hosts_is_told() -> None:
    url = "mongodb+srv://ada:hunter2@sessions.invalid/app?connectTimeoutMS=500"
    store = MongoStore(url, timeout=0.5)
    with pytest.raises(StoreUnavailable) as caught:
        await store.open()
    await store.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.gen_test
async def test_a_wrong_password_is_told_without_it(mongod: Any) -> None:
    port = urlsplit(mongod.url).port
    url = f"mongodb://ada:hunter2@127.0.0.1:{port}/app?directConnection=true"
    store = MongoStore(url)
    with pytest.raises(StoreUnavailable, match="MongoDB refused: AuthenticationFailed") as caught:
        await store.open()
    await store.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.gen_test
async def test_a_store_that_is_not_open_says_so_and_opens_again(mongod: Any) -> None:
    record = make_record()
    store = MongoStore(mongod.url)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.load([record.id])
        await store.open()
        await store.write([Create(record)])
        assert list(await store.load([record.id])) == [record.id]
        await store.close()


@pytest.mark.gen_test
async def test_no_value_secret_or_password_is_logged_however_much_is(
    mongod: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "pymongo")
    logging.getLogger("pymongo.command").setLevel(logging.DEBUG)
    client: Any = AsyncIOMotorClient(mongod.url)
    record = make_record(data={"name": "value-of-ada"}, secret_hash=b"secret-of-ada" + bytes(19))
    for source in (mongod.url, client):
        store = MongoStore(source, database="logged")
        await store.open()
        await store.write([Create(record)])
        update = Update(record.id, {"name": "value-of-ada"}, rotation=make_rotation(record))
        await store.write([update])
        await store.load([record.id])
        await store.close()
    await client.drop_database("logged")
    client.close()
    assert any(r.name.startswith("pymongo") for r in caplog.records)  # it did log something
    assert "of-ada" not in caplog.text
    assert record.secret_hash.hex() not in caplog.text


@pytest.mark.gen_test
async def test_a_refusal_tells_its_kind_and_nothing_of_the_document(mongod: Any) -> None:
    record = make_record(data={"name": "value-of-ada"})
    administrator: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongod.url)
    with administrator:
        database = administrator["refusing"]
        administrator.drop_database(database)
        store = MongoStore(mongod.url, database="refusing")
        await store.open()
        database.command("collMod", "sessions", validator={"user": "nobody"})
        (answer,) = await store.write([Create(record)])
        await store.close()
        administrator.drop_database(database)
    assert isinstance(answer, StoreUnavailable)
    assert "code 121" in str(answer)
    assert "of-ada" not in "".join(traceback.format_exception(answer))
