"""Reading many records of MongoDB at once, when one answer does not do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient

from stores import MongoStore
from stores.contract import Create, Outcome
from tests.helpers.mongo_commands import Commands
from tests.helpers.opened import while_open
from tests.helpers.records import make_record
from tests.helpers.relay import Relay

KINDS: list[Any] = [AsyncIOMotorClient, AsyncMongoClient]


@pytest.fixture
def relay(mongod: Any) -> Iterator[Relay]:
    relay = Relay(mongod.port)
    relay.switch_on()
    yield relay
    relay.close()


def _open_cursors(database: Any) -> int:
    status = database.client.admin.command("serverStatus")
    return int(status["metrics"]["cursor"]["open"]["total"])


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("kind", KINDS)
async def test_records_that_one_answer_cannot_hold_are_all_read(
    mongod: Any, mongo_collection: Any, kind: Any
) -> None:
    commands = Commands()
    client = kind(mongod.url, event_listeners=[commands])
    records = [make_record(data={"text": "x" * 4_000_000}) for _ in range(5)]
    database = mongo_collection.database
    async with while_open(MongoStore(client, database=database.name, timeout=20)) as store:
        for record in records:
            assert await store.write([Create(record)]) == [Outcome.DONE]
        commands.sent.clear()
        before = _open_cursors(database)
        found = await store.load([record.id for record in records])
        assert {id: len(found[id].data["text"]) for id in found} == {  # type: ignore[union-attr,arg-type]
            record.id: 4_000_000 for record in records
        }
        assert commands.names() == ["find", "killCursors", "find", "getMore"]
    assert _open_cursors(database) <= before  # it is not left to the server to close the first one
    if (closing := client.close()) is not None:
        await closing


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_read_whose_connection_breaks_is_sent_again(
    mongod: Any, mongo_collection: Any, relay: Relay, kind: Any
) -> None:
    commands = Commands()
    options = "directConnection=true&serverMonitoringMode=poll&heartbeatFrequencyMS=60000"
    client = kind(f"mongodb://127.0.0.1:{relay.port}/?{options}", event_listeners=[commands])
    record = make_record(data={"n": 1})
    store = MongoStore(client, database=mongo_collection.database.name, timeout=10)
    async with while_open(store):
        await store.write([Create(record)])
        commands.sent.clear()
        commands.before["find"] = lambda: setattr(relay, "cut_next_answer", True)
        assert list(await store.load([record.id, bytes(16)])) == [record.id]
        assert commands.names() == ["find", "find"]
    if (closing := client.close()) is not None:
        await closing
