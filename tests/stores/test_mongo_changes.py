"""What MongoDB is asked to change, what it refuses, and that the outcomes tell the truth."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from stores import MongoStore, StoreUnavailable
from stores.contract import Change, Create, Delete, Outcome, Record, Update
from stores.json_text import size_of
from tests.helpers.mongo_commands import Commands
from tests.helpers.records import load_record, make_record, make_rotation, same_record

DONE, EXISTS, MISSING = Outcome.DONE, Outcome.EXISTS, Outcome.MISSING
CONFLICT, TOO_LARGE = Outcome.CONFLICT, Outcome.TOO_LARGE

LIMIT = 128 * 1024


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def store(
    io_loop: Any, mongod: Any, mongo_collection: Any, commands: Commands
) -> Iterator[MongoStore]:
    """A store whose commands the test sees."""
    client: Any = pymongo.AsyncMongoClient(mongod.url, event_listeners=[commands])
    store = MongoStore(client, database=mongo_collection.database.name, timeout=5)
    io_loop.run_sync(store.open)
    commands.sent.clear()
    yield store
    io_loop.run_sync(store.close)
    io_loop.run_sync(client.close)


def insert(mongo_collection: Any, record: Record) -> Any:
    """Return what makes a copy of *record*'s document, as another process would."""
    document = mongo_collection.find_one({"_id": record.id})

    def act() -> None:
        mongo_collection.insert_one(document)

    return act


# The truth


@pytest.mark.gen_test
async def test_a_record_that_comes_late_does_not_make_an_update_done(
    store: MongoStore, mongo_collection: Any, commands: Commands
) -> None:
    """Created between the batch and the look at what became of it."""
    late, other = make_record(data={"n": 0}), make_record()
    await store.write([Create(late), Create(other)])
    again = insert(mongo_collection, late)
    await store.write([Delete(late.id)])
    commands.before["find"] = again
    outcomes = await store.write([Update(late.id, {"n": 1}), Update(other.id, {"n": 1})])
    found = (await load_record(store, late.id)).data["n"]
    assert (outcomes, found) in (([DONE, DONE], 1), ([MISSING, DONE], 0))


@pytest.mark.gen_test
async def test_a_record_that_goes_late_was_changed_all_the_same(
    store: MongoStore, mongo_collection: Any, commands: Commands
) -> None:
    gone, stale = make_record(), make_record()
    await store.write([Create(gone), Create(stale)])
    commands.before["find"] = lambda: mongo_collection.delete_one({"_id": gone.id})
    rotation = make_rotation(make_record())
    changes = [Update(gone.id, {"n": 1}), Update(stale.id, rotation=rotation)]
    assert await store.write(changes) == [DONE, CONFLICT]


@pytest.mark.gen_test
async def test_a_rotation_that_was_replaced_again_is_done(
    store: MongoStore, mongo_collection: Any, commands: Commands
) -> None:
    """Who looks at the record afterwards finds neither secret of it."""
    record, stale = make_record(), make_record()
    await store.write([Create(record), Create(stale)])
    others = {"$set": {"secret": os.urandom(32), "former": os.urandom(32)}}
    commands.before["find"] = lambda: mongo_collection.update_one({"_id": record.id}, others)
    outcomes = await store.write(
        [
            Update(record.id, rotation=make_rotation(record)),
            Update(stale.id, rotation=make_rotation(make_record())),
        ]
    )
    assert outcomes == [DONE, CONFLICT]


@pytest.mark.gen_test
async def test_an_update_that_creates_changes_what_another_created(
    store: MongoStore, mongo_collection: Any, commands: Commands
) -> None:
    record = make_record()
    await store.write([Create(record._replace(data={"theirs": 1}))])
    again = insert(mongo_collection, record)
    await store.write([Delete(record.id)])
    commands.before["insert"] = again
    assert await store.write([Update(record.id, {"ours": 1}, or_create=record)]) == [DONE]
    assert (await load_record(store, record.id)).data == {"theirs": 1, "ours": 1}


@pytest.mark.gen_test
async def test_nothing_is_looked_up_when_all_is_done(store: MongoStore, commands: Commands) -> None:
    records = [make_record() for _ in range(20)]
    await store.write([Update(bytes(16), {"n": 1}, limit=LIMIT)])  # so it knows the limit
    await store.write([Create(record) for record in records])
    commands.sent.clear()
    changes: list[Change] = []
    for n, record in enumerate(records):
        changes += [
            Update(record.id, {"n": n}, limit=LIMIT, seen=record.created),
            Update(record.id, {"m": n}, rotation=make_rotation(record), limit=LIMIT),
        ]
    assert await store.write(changes) == [DONE] * 40
    assert commands.names() == ["update"]


@pytest.mark.gen_test
async def test_a_rotation_expects_a_time_to_the_millisecond(store: MongoStore) -> None:
    """As the server keeps it, though who rotated last knows it to the microsecond."""
    record = make_record(data={"text": "x" * 5000})
    await store.write([Create(record)])
    first = make_rotation(record, rotated=1_700_000_000.123_987)
    await store.write([Update(record.id, rotation=first)])
    known = first.rotated
    second = make_rotation(record, expected_hash=first.secret_hash, expected_rotated=known)
    update = Update(record.id, {"more": "x" * 5000}, rotation=second, limit=8192)
    assert await store.write([update]) == [TOO_LARGE]  # not a conflict
    assert await store.write([update._replace(limit=LIMIT)]) == [DONE]


# Documents of before


@pytest.mark.gen_test
async def test_a_document_of_before_is_read_and_limited(
    store: MongoStore, mongo_collection: Any
) -> None:
    record = make_record(data={"text": "x" * 60_000}, user="ada")
    await store.write([Create(record)])
    newer = dict.fromkeys(("room", "seen", "authenticated", "former", "rotated"), "")
    mongo_collection.update_one({"_id": record.id}, {"$unset": newer})
    assert same_record(record, await load_record(store, record.id))
    more = Update(record.id, {"more": "y" * 80_000}, limit=LIMIT)
    assert await store.write([more]) == [TOO_LARGE]
    rotation = make_rotation(record, expected_rotated=0.0)
    less = Update(record.id, {"n": 1}, rotation=rotation, limit=LIMIT, seen=record.created)
    assert await store.write([less]) == [DONE]
    assert await store.write([more]) == [TOO_LARGE]
    assert (await load_record(store, record.id)).seen is not None


# Limits


@pytest.mark.gen_test(timeout=60)
async def test_a_record_is_measured_once_in_many_updates(
    store: MongoStore, commands: Commands
) -> None:
    record = make_record(data={"n": 0, "text": "x" * 2000})
    await store.write([Create(record)])
    commands.sent.clear()
    for n in range(500):
        assert await store.write([Update(record.id, {"n": n}, limit=LIMIT)]) == [DONE]
    assert commands.names().count("find") <= 1


@pytest.mark.gen_test(timeout=60)
async def test_what_replaces_itself_is_never_too_large(store: MongoStore) -> None:
    record = make_record()
    await store.write([Create(record)])
    for n in range(40):
        value = str(n % 10) * 60_000
        assert await store.write([Update(record.id, {"v": value}, limit=LIMIT)]) == [DONE]


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("limit", [100, 8192, LIMIT])
async def test_no_order_of_updates_passes_any_limit(store: MongoStore, limit: int) -> None:
    """Also after updates without a limit, and after another limit."""
    record = make_record()
    await store.write([Create(record)])
    await store.write([Update(record.id, {"first": 1}, limit=limit)])
    await store.write([Update(record.id, {"free": "x" * (limit // 2)})])
    size = limit // 20

    async def change(n: int) -> Outcome | StoreUnavailable:
        return (await store.write([Update(record.id, {f"k{n}": "y" * size}, limit=limit)]))[0]

    outcomes = await asyncio.gather(*(change(n) for n in range(40)))
    data = (await load_record(store, record.id)).data
    assert size_of(data) <= limit
    assert set(outcomes) == {DONE, TOO_LARGE}
    assert outcomes.count(DONE) == len(data) - 2
    # What was removed makes room again.
    assert await store.write([Update(record.id, unset=["free"])]) == [DONE]
    assert await store.write([Update(record.id, {"a": "z" * size}, limit=limit)]) == [DONE]


@pytest.mark.gen_test(timeout=60)
async def test_another_limit_than_before_holds(store: MongoStore) -> None:
    """A service that starts again with another `max_bytes` finds what the former one measured."""
    record = make_record(data={"text": "x" * 4000})
    await store.write([Create(record)])
    for limit, fits in ((1_000_000, 1), (32_000, 4), (64_000, 6), (16_000, 0), (1_000_000, 20)):
        changes = [Update(record.id, {f"{limit} {n}": "y" * 5000}, limit=limit) for n in range(20)]
        outcomes = [(await store.write([change]))[0] for change in changes[:fits]]
        assert outcomes == [DONE] * fits
        if limit < 1_000_000:
            assert set(await store.write(changes[fits:])) == {TOO_LARGE}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "room", [1, "x", None, [], ["x"], {}, {f"l{LIMIT}": ["x"]}, {f"l{LIMIT}": 1}], ids=str
)
async def test_a_spoiled_counter_is_made_anew(
    store: MongoStore, mongo_collection: Any, room: Any
) -> None:
    record = make_record()
    await store.write([Create(record)])
    mongo_collection.update_one({}, {"$set": {"room": room}})
    assert await store.write([Update(record.id, {"n": 1}, limit=LIMIT)]) == [DONE]
    assert (await load_record(store, record.id)).data["n"] == 1


# What the server refuses


@pytest.mark.gen_test(timeout=60)
async def test_a_change_past_16_mb_refuses_no_other(
    store: MongoStore, mongo_collection: Any
) -> None:
    """The driver refuses some of them before they are sent, the server the others."""
    text = "x" * 9_000_000
    large, other = make_record(data={"a": text}), make_record()
    await store.write([Create(large), Create(other)])
    huge = make_record(data={"a": "y" * 17_000_000})
    changes: list[Change] = [
        Create(huge),
        Update(large.id, {"b": text}),
        Update(other.id, {"n": 1}),
        Update(large.id, {"b": "y" * 17_000_000}),
        Create(make_record(id=other.id)),
        Create(make_record(data={"v": [1] * 1_700_000})),
    ]
    outcomes = await store.write(changes)
    assert [type(outcome) for outcome in outcomes] == [
        *(StoreUnavailable, StoreUnavailable, Outcome, StoreUnavailable, Outcome),
        StoreUnavailable,
    ]
    assert (outcomes[2], outcomes[4]) == (DONE, EXISTS)
    assert "16 MB" in str(outcomes[0])
    assert "MongoDB refused a change" in str(outcomes[1])
    assert (await load_record(store, other.id)).data == {"n": 1}
    assert mongo_collection.count_documents({}) == 2


@pytest.mark.gen_test
async def test_a_document_that_cannot_be_changed_is_told_alone(
    store: MongoStore, mongo_collection: Any
) -> None:
    bad, good = make_record(), make_record()
    await store.write([Create(bad), Create(good)])
    mongo_collection.update_one({"_id": bad.id}, {"$set": {"data": "text"}})
    changes = [Update(bad.id, {"n": 1}, limit=LIMIT), Update(good.id, {"n": 1}, limit=LIMIT)]
    refused, done = await store.write(changes)
    assert isinstance(refused, StoreUnavailable)
    assert done is DONE


@pytest.mark.gen_test
async def test_a_hostile_id_or_key_is_no_operator(store: MongoStore, mongo_collection: Any) -> None:
    """Whatever bytes a client sends, a filter has them as a value."""
    record = make_record(data={"n": 1})
    await store.write([Create(record)])
    ids = [b"$ne\x00\x00\x00\x00\x00" * 2, b'{"$gt": ""}     ', b"\x00" * 16, b"\xff" * 16]
    for id in ids:
        assert await store.load([id, bytes(16)]) == {}
        assert await store.write([Delete(id)]) == [DONE]
        hostile = make_rotation(record, expected_hash=id * 2)
        assert await store.write([Update(id, {"n": 2}, rotation=hostile)]) == [MISSING]
        assert await store.write([Update(record.id, {"n": 2}, rotation=hostile)]) == [CONFLICT]
    keys = ["$set", "$where", "data", "_id", "secret", "$[]", "n.$[]", "n", "room", "..", "$"]
    data: dict[str, Any] = {key: {"$gt": [{"$ne": None}, "$secret"]} for key in keys}
    # Measured first, so that the data are in a filter, too.
    await store.write([Update(record.id, data)])
    assert await store.write([Update(record.id, {"m": 1}, limit=LIMIT)]) == [DONE]
    found = await load_record(store, record.id)
    assert dict(found.data) == {**data, "m": 1}
    assert found.secret_hash == record.secret_hash
    assert mongo_collection.count_documents({}) == 1
