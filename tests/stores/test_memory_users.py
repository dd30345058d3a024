"""The memory store and what it keeps of users: their lists go after their sessions."""

from __future__ import annotations

import pytest

from app import ConfigurationError, SessionManager, SessionUnavailable
from app.sessions import token, user_record
from stores import MemoryStore
from stores.contract import NO_SECRET, Create, Record
from tests.helpers.devices import listed, record_id, sign_in, user_of
from tests.helpers.records import make_record


def list_of(*records: Record) -> Record:
    """Return a user's record that lists these sessions."""
    data = {token.public_id(record.id): {"in": 1.0} for record in records}
    return make_record(secret_hash=NO_SECRET, data=data)


@pytest.mark.gen_test
async def test_a_list_goes_after_its_sessions_and_before_others() -> None:
    store = MemoryStore(max_sessions=8)
    sessions = [make_record(user=name) for name in ("ada", "bob", "eve", "joe")]
    lists = [list_of(record) for record in sessions]
    await store.write([Create(r) for pair in zip(sessions, lists, strict=True) for r in pair])
    ids = {record.id for record in (*sessions, *lists)}
    for number in range(3):
        await store.write([Create(make_record(user="new"))])  # a session goes
        await store.write([Create(make_record(user="new"))])  # and the list that had it
        left = {record.id for record in await _all(store)} & ids
        for session, its_list in zip(sessions, lists, strict=True):
            assert (session.id in left) == (its_list.id in left)
        assert len(left) == 8 - 2 * (number + 1)


@pytest.mark.gen_test
async def test_a_flood_of_strangers_takes_no_list() -> None:
    """Nor does one of sign-ins: a list stays as long as one of its sessions does."""
    store = MemoryStore(max_sessions=60)
    manager = SessionManager(store)
    cookie, session = await sign_in(manager, "ada")
    for _ in range(300):
        await store.write([Create(make_record())])
    assert len(await listed(store, "ada")) == 1
    for number in range(300):
        await sign_in(manager, f"bot-{number}")
        assert await user_of(manager, cookie) == "ada"  # it is used meanwhile
    assert list(await listed(store, "ada")) == [session.id]
    assert len(store) <= 60
    alive = sum(record.user is not None for record in await _all(store))
    assert alive >= 20  # lists of sessions that went take no places for long
    for record in await _all(store):
        if record.user is not None:
            assert token.public_id(record.id) in await listed(store, record.user)


@pytest.mark.gen_test
async def test_users_who_sign_out_leave_no_list_in_a_full_store() -> None:
    store = MemoryStore(max_sessions=50)
    manager = SessionManager(store)
    cookie, kept = await sign_in(manager, "ada")
    for number in range(200):
        _, session = await sign_in(manager, f"user-{number}")
        session.sign_out()
        await session.commit()
        assert await user_of(manager, cookie) == "ada"
    assert record_id(kept) in {record.id for record in await _all(store)}
    assert len(store) <= 50


@pytest.mark.gen_test
async def test_a_fence_is_kept_as_long_as_there_is_place() -> None:
    """It may stop a sign-in that is on its way."""
    store = MemoryStore(max_sessions=20)
    manager = SessionManager(store)
    await manager.sign_out_everywhere("ada")
    for _ in range(100):
        await store.write([Create(make_record())])
    assert len(await listed(store, "ada")) == 1
    assert user_record.id_of("ada") in await store.load([user_record.id_of("ada")])


@pytest.mark.gen_test
async def test_lists_without_a_session_sign_nobody_out() -> None:
    """A bot signs in, everywhere out, under many names: the others go on, and come in."""
    store = MemoryStore(max_sessions=40)
    manager = SessionManager(store)
    before = {f"user-{n}": (await sign_in(manager, f"user-{n}"))[0] for n in range(5)}
    for number in range(200):
        bot = f"bot-{number}"
        await sign_in(manager, bot)
        await manager.sign_out_everywhere(bot)
    for number in range(200):
        await manager.sign_out_everywhere(f"nobody-{number}")
    for number in range(5, 10):
        before[f"user-{number}"] = (await sign_in(manager, f"user-{number}"))[0]
    assert [await user_of(manager, cookie) for cookie in before.values()] == [*before]


@pytest.mark.gen_test
async def test_a_sign_in_that_finds_no_place_is_no_success() -> None:
    """It is told that it was not saved, rather than answered without a cookie."""
    store = MemoryStore(max_bytes=1024)
    manager = SessionManager(store)
    session = await manager.load(None)
    session["large"] = "x" * 300
    session.sign_in("ada")
    with pytest.raises(SessionUnavailable):
        await session.commit()
    assert (await sign_in(manager, "ada"))[0] is not None


@pytest.mark.gen_test
async def test_the_smallest_store_takes_a_sign_in() -> None:
    manager = SessionManager(MemoryStore(max_sessions=2))
    for user in ("ada", "bob", "ada"):
        cookie, _ = await sign_in(manager, user)
        assert await user_of(manager, cookie) == user
    with pytest.raises(ConfigurationError, match="max_sessions is 1: give a whole number, 2"):
        MemoryStore(max_sessions=1)


async def _all(store: MemoryStore) -> list[Record]:
    page = await store.scan(limit=1000)
    return [record for record in page.found.values() if isinstance(record, Record)]
