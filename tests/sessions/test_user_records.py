"""What a store keeps of a user: what it costs, how it is bounded, what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from app import (
    EventKind,
    SessionEvent,
    SessionManager,
    SessionUnavailable,
)
from app.sessions import user_record, values
from stores import MemoryStore, Store, StoreUnavailable
from stores.contract import (
    JSON,
    NO_SECRET,
    Change,
    Create,
    Delete,
    Outcome,
    Record,
    Unreadable,
    Update,
)
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of
from tests.helpers.devices import client, everywhere, listed, new_user, record_id, sign_in, user_of
from tests.helpers.lost_answers import UNANSWERED, LosingStore
from tests.helpers.opened import while_open
from tests.helpers.records import load_record
from tests.helpers.stores_for_tests import SpyStore

HOUR = 3600


# What it costs


@pytest.mark.gen_test
async def test_only_a_sign_in_asks_for_the_users_record(clock: FakeClock) -> None:
    """One batch of writes and one load more; all else costs what it did."""
    spy = SpyStore()
    manager = SessionManager(spy, clock=clock)

    def asked() -> list[tuple[str, int]]:
        calls = [(operation, len(items)) for operation, items in spy.calls]
        spy.calls.clear()
        return calls

    session = await manager.load(None)
    session["cart"] = 1
    cookie = await session.commit()
    assert asked() == [("write", 1)]  # an anonymous session begins
    cookie, _ = await sign_in(manager, "ada", cookie)
    assert asked() == [("load", 1), ("write", 2), ("load", 2)]
    await sign_in(manager, "ada")
    assert asked() == [("write", 2), ("load", 2)]
    session = await manager.load(header_of(cookie))
    await session.commit()
    assert asked() == [("load", 1)]  # a read
    session["cart"] = 2
    await session.commit()
    assert asked() == [("write", 1)]
    clock.advance(3 * HOUR)
    session = await manager.load(header_of(cookie))
    await session.commit()
    assert asked() == [("load", 1), ("write", 1)]  # a touch
    session.regenerate()
    cookie = await session.commit()
    assert asked() == [("write", 1)]
    cookie, _ = await sign_in(manager, "ada", cookie)
    assert asked() == [("load", 1), ("write", 2), ("load", 2)]  # again
    session = await manager.load(header_of(cookie))
    session.sign_out()
    await session.commit()
    assert asked() == [("load", 1), ("write", 1), ("write", 1)]


# What bounds it


@pytest.mark.gen_test(timeout=60)
async def test_bots_do_not_grow_a_users_record_past_its_bound(
    any_store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest end, no sign-in is refused, and nobody who lives is not listed."""
    monkeypatch.setattr(user_record, "LIMIT", 20_000)
    async with while_open(any_store):
        manager = SessionManager(any_store, max_per_user=10_000, clock=clock)
        user, records = new_user(), []
        for _ in range(60):
            cookie, session = await sign_in(manager, user, client=client("é" * 900))
            records.append(record_id(session))
            assert await user_of(manager, cookie) == user
            clock.advance(20)
            assert len(values.encode(dict(await listed(any_store, user))).encode()) <= 20_000
        alive = [id for id in (await any_store.load(records)).values() if isinstance(id, Record)]
        keys = await listed(any_store, user)
        assert len(alive) == len(keys) == len(await manager.devices(user))
        assert 10 < len(alive) < 40
        assert {r.id for r in alive} == set(records[-len(alive) :])
        for _ in range(3):  # there is room for a fence, too
            await manager.sign_out_everywhere(user)
        assert await manager.devices(user) == []


@pytest.mark.gen_test(timeout=30)
async def test_fences_are_few_and_the_newest_stays(any_store: Store, clock: FakeClock) -> None:
    async with while_open(any_store):
        manager, user = SessionManager(any_store, clock=clock), new_user()
        for _ in range(user_record.MAX_FENCES + 5):
            await manager.sign_out_everywhere(user)
        assert len(await listed(any_store, user)) == user_record.MAX_FENCES
        clock.advance(30 * HOUR)
        await manager.sign_out_everywhere(user)
        assert len(await listed(any_store, user)) == 1
        record = await load_record(any_store, user_record.id_of(user))
        assert record.secret_hash == NO_SECRET
        assert record.expires >= clock() + 13 * 24 * HOUR


async def large(store: Store, manager: SessionManager, user: str, count: int, now: float) -> None:
    """Let *user* have so many sessions at once."""
    made = [
        Record(
            *(number.to_bytes(8, "big") + user.encode()[-8:], bytes(31) + b"\1", now),
            *(now + HOUR, {}, user),
            authenticated=now,
            seen=now,
        )
        for number in range(count)
    ]
    data: dict[str, JSON] = {}
    for number, record in enumerate(made):
        shown = {"agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/131.0"}
        join = user_record.join(user, record.id, "session", now - number, now + HOUR, shown)
        data.update(join.set)
    whole = user_record.blank(user, now, now + HOUR)._replace(data=data)
    await store.write([Create(whole)])
    for start in range(0, count, 500):
        await store.write([Create(record) for record in made[start : start + 500]])


@pytest.mark.gen_test(timeout=120)
@pytest.mark.faults
async def test_ten_thousand_sessions_of_a_user_everywhere(
    any_store: Store, clock: FakeClock
) -> None:
    """The same in every store; not a fault, but it takes long."""
    any_store.timeout = any_store.timeout and 10.0
    await ten_thousand(any_store, clock)


@pytest.mark.gen_test(timeout=60)
async def test_a_user_of_ten_thousand_sessions(clock: FakeClock) -> None:
    """They are listed, a sign-in joins them, the limit holds, and all others end."""
    await ten_thousand(MemoryStore(), clock)


async def ten_thousand(store: Store, clock: FakeClock) -> None:
    async with while_open(store):
        manager = SessionManager(store, max_per_user=10_000, clock=clock)
        user = new_user()
        await large(store, manager, user, 10_000, clock())
        assert len(await manager.devices(user)) == 10_000
        cookie, _ = await sign_in(manager, user)
        assert len(await manager.devices(user)) == 10_000
        session = await manager.load(header_of(cookie))
        assert await session.sign_out_others() == 9_999
        assert [d.id for d in await session.devices()] == [session.id]
        assert cookie != session._cookie


# What mends it


class Unread(SpyStore):
    """Some of its records cannot be read."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.bad: set[bytes] = set()

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        bad = {id: Unreadable("it is garbled") for id in ids if id in self.bad}
        return {**await super().load(ids), **bad}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        outcomes: list[Outcome | StoreUnavailable] = []
        for change in changes:
            if change.id in self.bad and isinstance(change, Update):
                outcomes.append(StoreUnavailable("it is garbled"))
                continue
            self.bad.discard(change.id)
            outcomes += await super().write([change])
        return outcomes


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("act", ["sign in again", "sign in", "everywhere"])
async def test_a_users_record_that_cannot_be_read_locks_nobody_out(
    any_store: Store, clock: FakeClock, caplog: pytest.LogCaptureFixture, act: str
) -> None:
    """It begins anew, and the log says so; one request is answered 503."""
    async with while_open(any_store):
        store, user = Unread(any_store), new_user()
        manager = SessionManager(store, clock=clock)
        cookie, _ = await sign_in(manager, user)
        store.bad.add(user_record.id_of(user))
        with pytest.raises(SessionUnavailable):
            if act == "everywhere":
                await everywhere(manager, user)
            else:
                await sign_in(manager, user, cookie if act == "sign in again" else None)
        assert "begins anew" in caplog.text
        assert user not in caplog.text
        after, session = await sign_in(manager, user)
        assert [await user_of(manager, c) for c in (cookie, after)] == [user, user]
        assert session.id in [d.id for d in await manager.devices(user)]
        assert await everywhere(manager, user) >= 1
        assert await user_of(manager, after) is None


@pytest.mark.gen_test(timeout=30)
async def test_a_list_that_was_lost_begins_anew(any_store: Store, clock: FakeClock) -> None:
    """Who signs in again is listed again, in the same session."""
    async with while_open(any_store):
        manager, user = SessionManager(any_store, clock=clock), new_user()
        cookie, session = await sign_in(manager, user, label="desk")
        await any_store.write([Delete(user_record.id_of(user))])
        assert await manager.devices(user) == []
        after, again = await sign_in(manager, user, cookie, label="chair")
        assert (await user_of(manager, after), again.id) == (user, session.id)
        assert [(d.id, d.label) for d in await manager.devices(user)] == [(again.id, "chair")]


@pytest.mark.gen_test(timeout=30)
async def test_a_sign_in_without_an_answer_leaves_no_proof(
    any_store: Store, clock: FakeClock
) -> None:
    """The former token opens what it did, and nothing says that its holder proved who he is."""
    async with while_open(any_store):
        store, user = LosingStore(any_store), new_user()
        manager = SessionManager(store, clock=clock)
        session = await manager.load(None)
        session["cart"] = 1
        cookie = await session.commit()
        fates = [UNANSWERED]
        store.fate = lambda: fates.pop() if fates else "done"
        with pytest.raises(SessionUnavailable):
            await sign_in(manager, user, cookie)
        found = await manager.load(header_of(cookie))
        assert (found.user, dict(found)) == (None, {"cart": 1})
        assert not (await load_record(any_store, record_id(found))).authenticated
        assert await manager.devices(user) == []


# What is told


@pytest.mark.gen_test(timeout=30)
async def test_ends_from_elsewhere_are_told(any_store: Store, clock: FakeClock) -> None:
    heard: list[SessionEvent] = []
    ended: list[bytes] = []

    def note(id: bytes, _: bytes) -> None:
        ended.append(id)

    manager = SessionManager(any_store, on_event=heard.append, max_per_user=2, clock=clock)
    manager.endings.listeners.add(note)
    async with while_open(any_store):
        user = new_user()
        sessions = []
        for _ in range(4):
            sessions.append((await sign_in(manager, user))[1])
            clock.advance(1)
        ids = [session.id for session in sessions]
        assert await manager.sign_out(user, str(ids[2]))
        assert await manager.sign_out_everywhere(user) == 1
        await manager.events.settle()
        found = [(e.kind, e.session) for e in heard if e.user == user]
        kinds = (EventKind.LIMITED, EventKind.REVOKED)
        assert [(kind, id) for kind, id in found if kind in kinds] == [
            *((EventKind.LIMITED, ids[0]), (EventKind.LIMITED, ids[1])),
            *((EventKind.REVOKED, ids[2]), (EventKind.REVOKED, ids[3])),
        ]
        assert len(ended) == 4
