"""The collection over time: its TTL index, the rights that its user has, the server's clock."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stores import MongoStore, StoreUnavailable
from stores.contract import Create, Delete, Outcome, Record, Update
from stores.mongo import store as store_module
from tests.helpers.mongo_servers import GuardedMongod
from tests.helpers.opened import while_open
from tests.helpers.records import load_record, make_record
from tests.helpers.servers import missing

DONE = Outcome.DONE
README = Path(__file__).parents[2] / "stores/README.md"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def has_index(collection: Any) -> bool:
    indexes = collection.index_information().values()
    return any(i["key"] == [("expires", 1)] and i["expireAfterSeconds"] == 0 for i in indexes)


async def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, f"waited for {what}"
        await asyncio.sleep(0.02)


# The index


@pytest.mark.gen_test
async def test_a_dropped_collection_gets_its_index_again(
    mongod: Any, mongo_collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOOK_EVERY", 0.0)
    store = MongoStore(mongod.url, database=mongo_collection.database.name)
    async with while_open(store):
        lost, record = make_record(), make_record()
        await store.write([Create(lost)])
        mongo_collection.drop()
        assert await store.load([lost.id]) == {}
        assert await store.write([Update(lost.id, {"n": 1})]) == [Outcome.MISSING]
        assert await store.write([Create(record)]) == [DONE]
        await until(lambda: has_index(mongo_collection), "the index")
        assert (await load_record(store, record.id)).id == record.id


@pytest.mark.gen_test
async def test_a_look_for_the_index_is_rare(mongod: Any, mongo_collection: Any) -> None:
    store = MongoStore(mongod.url, database=mongo_collection.database.name)
    async with while_open(store):
        mongo_collection.drop()
        for _ in range(50):
            await store.write([Create(make_record())])
        assert not has_index(mongo_collection)


@pytest.mark.gen_test
async def test_a_damaged_session_does_not_close_a_collection(
    mongod: Any, mongo_collection: Any
) -> None:
    """The first document of a collection need not be a session, if others are."""
    store = MongoStore(mongod.url, database=mongo_collection.database.name)
    async with while_open(store):
        records = [make_record() for _ in range(3)]
        await store.write([Create(record) for record in records])
    mongo_collection.update_one({}, {"$unset": {"data": ""}})
    async with while_open(store):
        await store.ping()


# The rights


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMongod]:
    if reason := missing("mongod"):
        pytest.skip(reason)
    server = GuardedMongod(tmp_path_factory.mktemp("guarded"))
    yield server
    server.kill()


def documented_rights() -> list[str]:
    """Return the actions that the README's command grants."""
    (actions,) = re.findall(r"actions: \[([^\]]*)\]", README.read_text())
    return re.findall(r'"(\w+)"', actions)


def grant(server: GuardedMongod, actions: Sequence[str], collection: str = "sessions") -> str:
    """Return the URL of a user who has these rights in a database of his own, and no others."""
    name = f"app_{os.urandom(4).hex()}"
    privileges = [{"resource": {"db": name, "collection": collection}, "actions": list(actions)}]
    with server.as_root() as root:
        root[name].command("createRole", "sessions", privileges=privileges, roles=[])
        root[name].command("createUser", "ada", pwd="ada", roles=["sessions"])
    return server.url_of("ada", "ada", name)


def collection_at(server: GuardedMongod, client: Any, url: str) -> Any:
    return client[url.rpartition("/")[2].partition("?")[0]]["sessions"]


async def use(store: MongoStore) -> Record:
    """Do all that a store does; return the record that is there in the end."""
    kept, gone = make_record(data={"n": 0}), make_record()
    assert await store.write([Create(kept), Create(gone)]) == [DONE] * 2
    updates = [Update(kept.id, {"n": 1}, limit=200_000), Update(kept.id, or_create=kept)]
    assert await store.write([*updates, Delete(gone.id)]) == [DONE] * 3
    assert await store.write([Update(gone.id, {"n": 1})]) == [Outcome.MISSING]
    assert list(await store.load([kept.id, gone.id])) == [kept.id]
    await store.ping()
    return kept


@pytest.mark.gen_test(timeout=20)
async def test_the_documented_rights_are_enough(
    guarded: GuardedMongod, caplog: pytest.LogCaptureFixture
) -> None:
    url = grant(guarded, documented_rights())
    async with while_open(MongoStore(url)) as store:
        await use(store)
        with guarded.as_root() as root:
            assert has_index(collection_at(guarded, root, url))
    assert not warnings_of(caplog)


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("right", ["find", "insert", "update", "remove"])
async def test_each_documented_right_is_needed(guarded: GuardedMongod, right: str) -> None:
    """Without it the store says so, and without two more the log does: the test after this."""
    assert set(documented_rights()) - {"listIndexes", "createIndex"} >= {right}
    url = grant(guarded, [other for other in documented_rights() if other != right])
    store = MongoStore(url)
    with pytest.raises(StoreUnavailable, match="Unauthorized: the user lacks a right"):
        async with while_open(store):
            await use(store)


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("may_look", [True, False])
async def test_without_the_right_to_make_an_index_it_serves(
    guarded: GuardedMongod, caplog: pytest.LogCaptureFixture, may_look: bool
) -> None:
    """An index that is there is enough; the log tells of one that is not, or is not seen."""
    rights = ["find", "insert", "update", "remove", *(["listIndexes"] if may_look else [])]
    url = grant(guarded, rights)
    with guarded.as_root() as root:
        collection = collection_at(guarded, root, url)
        async with while_open(MongoStore(url)) as store:
            await use(store)
        (told,) = warnings_of(caplog)
        assert "expired sessions stay there" in told
        assert 'db.getCollection("sessions").createIndex({expires: 1}' in told
        caplog.clear()
        collection.create_index("expires", expireAfterSeconds=0)  # as the warning says
        async with while_open(MongoStore(url)) as store:
            await use(store)
        assert bool(warnings_of(caplog)) is not may_look


# The clock


@pytest.mark.gen_test
@pytest.mark.parametrize("ahead", [-600.0, -4.5, -1.0, 0.0, 1.0, 4.5, 600.0])
async def test_clocks_that_differ_are_told(
    mongod: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ahead: float
) -> None:
    monkeypatch.setattr("stores.mongo.clocks.time", lambda: time.time() - ahead)
    async with while_open(MongoStore(mongod.url)):
        told = warnings_of(caplog)
    assert bool(told) is (abs(ahead) > 3)
    if told:
        assert re.search(r"MongoDB's clock says [\d :-]+ UTC, ours [\d :-]+ UTC", told[0])
        apart = re.search(r"which is (\d+) s apart", told[0])
        assert apart is not None
        assert abs(int(apart[1]) - abs(ahead)) <= 1
        assert "NTP" in told[0]
