"""The sessions of a user: seen, ended one by one, ended everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import Cookie, Device, SessionManager
from app.sessions import token, user_record
from stores import MemoryStore, Store
from stores.contract import JSON, Outcome, Update
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of
from tests.helpers.devices import client, listed, new_user, sign_in, user_of
from tests.helpers.opened import while_open
from tests.helpers.stores_for_tests import SpyStore


@pytest.fixture
def manager(any_store: Store, clock: FakeClock) -> SessionManager:
    return SessionManager(any_store, clock=clock)


@pytest.fixture
def opened(any_store: Store, manager: SessionManager, io_loop: Any) -> Any:
    """Open the store in the test's loop; every test here runs within `async with opened`."""
    return while_open(any_store)


Opened = AsyncIterator[Store]


def labels(devices: list[Device]) -> list[str | None]:
    return [device.label for device in devices]


@pytest.mark.gen_test(timeout=30)
async def test_devices_are_the_users_own_and_say_all(
    manager: SessionManager, clock: FakeClock, opened: Any
) -> None:
    async with opened:
        user = new_user()
        began = datetime.fromtimestamp(clock(), UTC)
        cookie, phone = await sign_in(manager, user, client=client("Phone/1"), label="phone")
        await sign_in(manager, new_user("eve"))
        clock.advance(3 * 3600)
        _, desk = await sign_in(manager, user, client=client("Desk/2"))
        clock.advance(60)
        session = await manager.load(header_of(cookie))
        await session.commit()  # which touches it
        now = datetime.fromtimestamp(clock(), UTC)
        first, second = await session.devices()
        assert (first.id, second.id) == (phone.id, desk.id)
        assert (first.agent, first.address, first.label) == ("Phone/1", None, "phone")
        assert (second.agent, second.label) == ("Desk/2", None)
        assert (first.current, second.current) == (True, False)
        for found, expected in (
            (first.signed_in, began),
            (second.signed_in, began + timedelta(hours=3)),
            (first.last_seen, now),
            (second.last_seen, now - timedelta(minutes=1)),
            (first.expires, now + timedelta(days=1)),
        ):
            assert abs(found - expected) < timedelta(milliseconds=2)
            assert found.tzinfo is UTC
        by_manager = await manager.devices(user)
        assert [d.current for d in by_manager] == [False, False]
        assert [d.id for d in by_manager] == [first.id, second.id]


@pytest.mark.gen_test(timeout=30)
async def test_a_device_is_signed_out_by_its_id(manager: SessionManager, opened: Any) -> None:
    async with opened:
        user = new_user()
        cookie, session = await sign_in(manager, user)
        other_cookie, other = await sign_in(manager, user)
        third_cookie, third = await sign_in(manager, user)
        assert other.id is not None
        assert third.id is not None
        assert await session.sign_out_device(other.id)
        assert await manager.sign_out(user, third.id)
        assert await user_of(manager, other_cookie) is None
        assert await user_of(manager, third_cookie) is None
        assert await user_of(manager, cookie) == user
        assert [d.id for d in await session.devices()] == [session.id]
        assert not await session.sign_out_device(other.id)


@pytest.mark.gen_test(timeout=30)
async def test_signing_out_ones_own_id_is_signing_out(manager: SessionManager, opened: Any) -> None:
    async with opened:
        cookie, session = await sign_in(manager, new_user())
        session = await manager.load(header_of(cookie))
        assert session.id is not None
        assert await session.sign_out_device(session.id)
        assert (session.user, session.live) == (None, False)
        assert "Max-Age=0" in str(session._cookie)
        assert await user_of(manager, cookie) is None


@pytest.mark.gen_test(timeout=30)
async def test_signing_out_the_others_renews_this_token(
    manager: SessionManager, opened: Any
) -> None:
    async with opened:
        user = new_user()
        cookie, session = await sign_in(manager, user)
        others = [await sign_in(manager, user) for _ in range(3)]
        stranger, _ = await sign_in(manager, new_user("eve"))
        session = await manager.load(header_of(cookie))
        session["kept"] = 1
        assert await session.sign_out_others() == 3
        found = await manager.load(header_of(session._cookie))
        assert (found.user, dict(found), found.id) == (user, {"kept": 1}, session.id)
        assert await user_of(manager, cookie) is None  # the former token
        assert [await user_of(manager, other) for other, _ in others] == [None] * 3
        assert await user_of(manager, stranger) is not None
        assert [d.id for d in await found.devices()] == [found.id]
        assert await found.sign_out_others() == 0


@pytest.mark.gen_test(timeout=30)
async def test_everywhere_ends_all_but_the_one_kept(manager: SessionManager, opened: Any) -> None:
    async with opened:
        user = new_user()
        cookies = [(await sign_in(manager, user))[0] for _ in range(3)]
        keep = await manager.load(header_of(cookies[1]))
        assert await manager.sign_out_everywhere(user, keep=keep) == 2
        assert [await user_of(manager, c) for c in cookies] == [None, user, None]
        assert await manager.sign_out_everywhere(user) == 1
        assert [await user_of(manager, c) for c in cookies] == [None] * 3
        assert await manager.devices(user) == []
        again, _ = await sign_in(manager, user)
        assert await user_of(manager, again) == user
        assert await manager.sign_out_everywhere(new_user()) == 0


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("keeps", [False, True])
async def test_everywhere_and_a_new_sign_in_in_one_request(
    manager: SessionManager, opened: Any, keeps: bool
) -> None:
    """A changed password: all others end, and the one who changed it goes on, signed in anew."""
    async with opened:
        user = new_user()
        cookie, _ = await sign_in(manager, user)
        other, _ = await sign_in(manager, user)
        session = await manager.load(header_of(cookie))
        ended = await manager.sign_out_everywhere(user, keep=session if keeps else None)
        assert ended == 2 - keeps
        session.sign_in(user)
        session["changed"] = True
        after = await session.commit()
        assert await user_of(manager, other) is None
        assert await user_of(manager, cookie) is None
        found = await manager.load(header_of(after))
        assert (found.user, dict(found)) == (user, {"changed": True})
        assert [d.id for d in await found.devices()] == [found.id]


@pytest.mark.gen_test(timeout=30)
async def test_the_oldest_sign_ins_end_beyond_the_limit(
    any_store: Store, clock: FakeClock, opened: Any
) -> None:
    manager = SessionManager(any_store, max_per_user=3, clock=clock)
    async with opened:
        user = new_user()
        cookies = []
        for number in range(5):
            cookies.append((await sign_in(manager, user, label=str(number)))[0])
            clock.advance(1)
        assert sorted(map(str, labels(await manager.devices(user)))) == ["2", "3", "4"]
        found = [await user_of(manager, cookie) is not None for cookie in cookies]
        assert found == [False, False, True, True, True]
        assert len(await listed(any_store, user)) == 3


@pytest.mark.gen_test(timeout=30)
async def test_somebody_elses_id_ends_nothing_and_tells_nothing(
    any_store: Store, clock: FakeClock
) -> None:
    """The store is asked the same for an id that is foreign, unknown or none at all."""
    spy = SpyStore(any_store)
    manager = SessionManager(spy, clock=clock)
    async with while_open(any_store):
        cookie, session = await sign_in(manager, new_user())
        theirs, other = await sign_in(manager, new_user("eve"))
        asked = []
        for id in (other.id, token.public_id(token.new_id()), "", "../../ada", "é" * 22):
            assert id is not None
            spy.calls.clear()
            assert not await session.sign_out_device(id)
            asked.append([(call, len(items)) for call, items in spy.calls])
            sizes = [len(i.unset) for _, items in spy.calls for i in items if hasattr(i, "unset")]
            assert sizes == [1]
        assert asked == [asked[0]] * 5
        assert await user_of(manager, theirs) == other.user
        assert await user_of(manager, cookie) == session.user


@pytest.mark.gen_test(timeout=30)
async def test_names_that_look_alike_are_apart(manager: SessionManager, opened: Any) -> None:
    """As are names that normalise to one, that have NUL, and of 255 characters."""
    async with opened:
        tail = new_user("")
        names = [
            *(f"é{tail}", f"e\u0301{tail}", f"E\u0301{tail}", f"{tail}\0", f"{tail}\0\0", tail),
            *(("😀\0" * 128)[: 255 - len(tail)] + tail, ("😀\0" * 128)[: 254 - len(tail)] + tail),
            *(f" {tail}", f"{tail} ", f"\u200b{tail}", f"%00{tail}"),
        ]
        cookies = {name: (await sign_in(manager, name))[0] for name in names}
        for name in names:
            assert len(await manager.devices(name)) == 1
        assert await manager.sign_out_everywhere(names[0]) == 1
        for name, cookie in cookies.items():
            assert await user_of(manager, cookie) == (None if name == names[0] else name)


@pytest.mark.gen_test(timeout=30)
async def test_a_neighbours_sessions_are_not_ones_own(
    any_store: Store, clock: FakeClock, opened: Any
) -> None:
    """Another cookie's manager over the same store may have users of the same names."""
    managers = [
        SessionManager(any_store, cookie=Cookie(name=name), max_per_user=2, clock=clock)
        for name in ("shop", "admin")
    ]
    async with opened:
        user = new_user()
        shop = [(await sign_in(managers[0], user))[0] for _ in range(2)]
        admin = [(await sign_in(managers[1], user))[0] for _ in range(2)]
        assert [len(await manager.devices(user)) for manager in managers] == [2, 2]
        foreign = (await managers[1].devices(user))[0].id
        assert not await managers[0].sign_out(user, foreign)
        assert await managers[0].sign_out_everywhere(user) == 2
        assert [await user_of(managers[0], cookie) for cookie in shop] == [None] * 2
        assert [await user_of(managers[1], cookie) for cookie in admin] == [user] * 2
        assert len(await managers[1].devices(user)) == 2


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("when", [1e300, -1e300, 10**400])
async def test_an_entry_with_no_date_is_seen_and_ended(clock: FakeClock, when: float) -> None:
    """The device has the nearest date; it is not lost to the sign-out everywhere."""
    manager = SessionManager(MemoryStore(), clock=clock)
    user = new_user()
    _, session = await sign_in(manager, user)
    entry: JSON = {"in": when, "until": when, "cookie": manager.cookie.name}
    change = Update(user_record.id_of(user), {str(session.id): entry})
    assert await manager.records.write([change]) == [Outcome.DONE]
    (device,) = await manager.devices(user)
    assert device.signed_in.year in (1, 9999)
    assert await manager.sign_out_everywhere(user) == 1


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("cart", [{}, {"cart": 1}])
@pytest.mark.parametrize("restarts", [False, True])
async def test_the_latest_sign_in_stays_whatever_the_clock_says(
    any_store: Store, clock: FakeClock, opened: Any, cart: dict[str, Any], restarts: bool
) -> None:
    """It stands still, or went back, also in another process."""
    manager = SessionManager(any_store, max_per_user=1, clock=clock)
    async with opened:
        user, before = new_user(), None
        for back in (0, 0, 0, 3600, -60):
            if restarts and back:
                manager = SessionManager(any_store, max_per_user=1, clock=clock)
            clock.advance(-back)
            session = await manager.load(None)
            session.update(cart)
            cookie = await session.commit()
            cookie, _ = await sign_in(manager, user, cookie)
            found = await manager.load(header_of(cookie))
            assert (found.user, dict(found)) == (user, cart)
            assert await user_of(manager, before) is None
            assert [d.id for d in await manager.devices(user)] == [found.id]
            before = cookie
