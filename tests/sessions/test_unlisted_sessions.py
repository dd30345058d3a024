"""Sessions from before there was a list of a user's: listed, or ended, when they come."""

from __future__ import annotations

import pytest

from app import SessionConflict, SessionManager
from app.sessions import user_record
from stores import Store
from stores.contract import Create, Delete
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of
from tests.helpers.devices import everywhere, new_user, record_id, sign_in, user_of
from tests.helpers.opened import while_open
from tests.helpers.records import load_record

HOUR = 3600


async def unlisted(store: Store, manager: SessionManager, user: str, clock: FakeClock) -> str:
    """Return the cookie of a session as an earlier version has left it."""
    cookie, session = await sign_in(manager, user)
    record = await load_record(store, record_id(session))
    await store.write([Delete(record.id), Delete(user_record.id_of(user))])
    await store.write([Create(record._replace(authenticated=None))])
    clock.advance(3 * HOUR)
    assert cookie is not None
    return cookie


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("how", ["touch", "regenerate", "sign in"])
async def test_a_session_from_before_is_listed_when_it_comes(
    any_store: Store, clock: FakeClock, how: str
) -> None:
    async with while_open(any_store):
        manager, user = SessionManager(any_store, clock=clock), new_user()
        cookie = await unlisted(any_store, manager, user, clock)
        assert await manager.devices(user) == []
        session = await manager.load(header_of(cookie))
        if how == "regenerate":
            session.regenerate()
        elif how == "sign in":
            session.sign_in(user)
        after = await session.commit() or cookie
        (device,) = await manager.devices(user)
        assert device.id == session.id
        assert await manager.sign_out_everywhere(user) == 1
        assert await user_of(manager, after) is None


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("how", ["touch", "regenerate", "sign in"])
async def test_a_session_from_before_ends_by_everywhere(
    any_store: Store, clock: FakeClock, how: str
) -> None:
    """It is not listed then, so it ends when it comes; the one that is kept does not."""
    async with while_open(any_store):
        manager, user = SessionManager(any_store, clock=clock), new_user()
        kept = await unlisted(any_store, manager, user, clock)
        cookie = await unlisted(any_store, manager, user, clock)
        keep, session = [await manager.load(header_of(c)) for c in (kept, cookie)]
        assert await everywhere(manager, user, keep) == 0
        if how == "regenerate":
            session.regenerate()
        elif how == "sign in":
            session.sign_in(user)
        if how == "sign in":
            with pytest.raises(SessionConflict):
                await session.commit()
            session = await manager.load(header_of(cookie))
        await session.commit()
        assert await user_of(manager, cookie) is None
        await keep.commit()
        assert await user_of(manager, kept) == user
        assert [d.id for d in await manager.devices(user)] == [keep.id]
