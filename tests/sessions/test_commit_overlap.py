"""A session that is changed while a commit of it is on its way: nothing of that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app import SessionManager
from app.sessions.saving import is_unsaved
from app.sessions.working_copy import take_cookie
from stores import MemoryStore
from tests.helpers.cookies import header_of
from tests.helpers.pages import Page, kept, open_page
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


def held(store: FaultyStore) -> asyncio.Event:
    """Let the next writes wait for the event that is returned."""
    store.gate["write"] = asyncio.Event()
    return store.gate["write"]


async def arrived(store: FaultyStore) -> None:
    """Return when a write waits at the gate."""
    while not store.waiting:
        await asyncio.sleep(0)


@pytest.mark.gen_test
async def test_a_key_set_during_a_flush_that_nobody_awaits_is_kept(serve: Serve) -> None:
    store = FaultyStore()

    class Streams(Page):
        async def get(self) -> None:
            self.session["first"] = 1
            gate = held(store)
            self.write("begun")
            self.flush()
            await arrived(store)
            self.session["kept"] = "late"
            gate.set()

    browser = open_page(serve, Streams, store)
    assert await browser.text("/page") == "begun"
    assert await kept(browser) == "late"


@pytest.mark.gen_test
async def test_a_destroy_during_a_flush_removes_the_cookie(serve: Serve) -> None:
    """A destroy during a flush ends the session and tells the client."""
    store = FaultyStore()

    class Streams(Page):
        async def get(self) -> None:
            self.session["kept"] = "first"
            gate = held(store)
            self.flush()
            await arrived(store)
            self.session.destroy()
            gate.set()

    browser = open_page(serve, Streams, store)
    await browser.text("/keep")
    before = dict(browser.cookies)
    await browser.text("/page")
    assert before
    assert browser.cookies == {}
    browser.cookies = before
    assert await kept(browser) == "nothing"


@pytest.mark.gen_test
@pytest.mark.parametrize("change", ["set", "sign in", "regenerate", "destroy", "destroy and set"])
async def test_what_changes_during_a_commit_is_left_to_the_next(change: str) -> None:
    store = FaultyStore()
    manager = SessionManager(store)
    session = await manager.load(None)
    session["old"] = 1
    await session.commit()
    session["old"] = 2
    session["nested"] = [1]
    id = session.id
    gate = held(store)
    commit = asyncio.ensure_future(session.commit())
    await arrived(store)
    if change == "set":
        session["new"] = 1
        del session["old"]
    elif change == "sign in":
        session.sign_in("ada")
    elif change == "regenerate":
        session.regenerate()
    else:
        session.destroy()
        if "set" in change:
            session["new"] = 1
    take_cookie(session)
    gate.set()
    await commit
    assert is_unsaved(session)
    cookie = await session.commit()
    assert not is_unsaved(session)
    assert (cookie is None) == (change in ("set", "destroy"))
    again = await manager.load(cookie.partition(";")[0] if cookie else None)
    if change == "set":
        assert dict(session) == {"nested": [1], "new": 1}
        assert session.id == id
    elif change == "sign in":
        assert (again.user, again.id, dict(again)) == ("ada", id, {"old": 2, "nested": [1]})
    elif change == "regenerate":
        assert (again.id, dict(again)) == (id, {"old": 2, "nested": [1]})
    elif change == "destroy":
        assert not again.live
        assert len(store.inner) == 0  # type: ignore[arg-type]
    else:
        assert dict(again) == {"new": 1}
        assert len(store.inner) == 1  # type: ignore[arg-type]
    await manager.close()


@pytest.mark.gen_test
async def test_two_tasks_that_commit_one_new_session_create_it_once() -> None:
    store = FaultyStore()
    manager = SessionManager(store)
    session = await manager.load(None)
    session["kept"] = 1
    gate = held(store)
    commits = [asyncio.ensure_future(session.commit()) for _ in range(3)]
    await arrived(store)
    gate.set()
    await asyncio.gather(*commits)
    assert store.kinds == ["Create"]
    await manager.close()


@pytest.mark.gen_test
async def test_a_failed_commit_can_be_tried_again() -> None:
    store = FaultyStore(MemoryStore())
    manager = SessionManager(store)
    session = await manager.load(None)
    session["kept"] = 1
    await session.commit()
    session.destroy()
    session["kept"] = 2
    store.fail["write"] = OSError()
    with pytest.raises(Exception, match="503"):
        await session.commit()
    store.mend()
    cookie = await session.commit()
    assert len(store.inner) == 1  # type: ignore[arg-type]
    again = await manager.load(header_of(cookie))
    assert dict(again) == {"kept": 2}
    await manager.close()
