"""What `read_only` keeps a handler from doing, and a client from getting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app import Group, Route, Session, SessionManager, SessionReadOnly
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Keep, Kept, Page, Renew
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]

CHANGES: dict[str, Callable[[Session], object]] = {
    "set": lambda session: session.__setitem__("kept", 1),
    "set anew": lambda session: session.__setitem__("new", 1),
    "del": lambda session: session.__delitem__("kept"),
    "pop": lambda session: session.pop("kept"),
    "popitem": lambda session: session.popitem(),
    "clear": lambda session: session.clear(),
    "update": lambda session: session.update(kept=1),
    "setdefault": lambda session: session.setdefault("new", 1),
    "destroy": lambda session: session.destroy(),
    "regenerate": lambda session: session.regenerate(),
    "sign_in": lambda session: session.sign_in("ada"),
    "sign_out": lambda session: session.sign_out(),
    "persistent": lambda session: setattr(session, "persistent", False),
}


class Change(Page):
    """Changes the session by ?how=, and tells what came of it."""

    async def get(self) -> None:
        before = dict(self.session)
        how = self.get_argument("how")
        try:
            if how in CHANGES:
                CHANGES[how](self.session)
        except SessionReadOnly as error:
            assert dict(self.session) == before
            self.write(str(error))


class ChangeInside(Page):
    """Changes a list of the session, and streams its answer if ?flush=1."""

    async def get(self) -> None:
        self.session["list"].append(2)  # type: ignore[union-attr]
        if self.get_argument("flush", ""):
            await self.flush()


class KeepList(Page):
    def get(self) -> None:
        self.session["list"] = [1]


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


@pytest.fixture
def browser(serve: Serve, store: SpyStore, clock: FakeClock) -> Browser:
    routes = Group(
        "/",
        Route("keep", Keep),
        Route("keep-list", KeepList),
        Route("renew", Renew),
        Group(
            "ro",
            Route("change", Change),
            Route("change-inside", ChangeInside),
            Route("kept", Kept),
            read_only=True,
        ),
        sessions=True,
    )
    manager = SessionManager(store, idle_timeout=timedelta(minutes=10), clock=clock)
    return serve(routes, manager).browser()


@pytest.mark.gen_test
@pytest.mark.parametrize("how", CHANGES)
async def test_every_change_when_read_only_raises_and_says_why(
    browser: Browser, store: SpyStore, how: str
) -> None:
    await browser.text("/keep")
    store.calls.clear()
    response = await browser.get(f"/ro/change?how={how.replace(' ', '+')}")
    assert response.body.decode() == (
        "the session was changed in a group with read_only=True; "
        "set read_only=False on the group of this route"
    )
    assert response.code == 200
    assert "Set-Cookie" not in response.headers
    assert store.kinds == ["load"]


@pytest.mark.gen_test
@pytest.mark.parametrize("flush", ["", "1"])
async def test_a_nested_change_when_read_only_fails_the_commit(
    browser: Browser, store: SpyStore, flush: str
) -> None:
    await browser.text("/keep-list")
    store.calls.clear()
    response = await browser.get(f"/ro/change-inside?flush={flush}")
    assert response.code == 500
    assert store.kinds == ["load"]
    await browser.text("/keep-list")
    assert store.kinds == ["load"]  # nothing had changed: [1] is still there


@pytest.mark.gen_test
async def test_a_read_only_group_never_extends_a_session(
    browser: Browser, store: SpyStore, clock: FakeClock
) -> None:
    await browser.text("/keep")
    store.calls.clear()
    for _ in range(4):
        clock.advance(140)
        assert await browser.text("/ro/kept") == "before"
    assert store.kinds == ["load"] * 4
    clock.advance(41)  # ten minutes and a second since /keep
    assert await browser.text("/ro/kept") == "nothing"
    assert store.kinds == ["load"]


@pytest.mark.gen_test
@pytest.mark.parametrize("cookie", ["none", "unknown", "no token", "replaced", "dead"])
async def test_a_read_only_group_sends_no_cookie_to_anybody(
    browser: Browser, store: SpyStore, clock: FakeClock, cookie: str
) -> None:
    if cookie in ("replaced", "dead"):
        await browser.text("/keep")
        former = dict(browser.cookies)
        await browser.text("/renew")
        browser.cookies = former
        clock.advance(3600 if cookie == "dead" else 0)
    elif cookie != "none":
        browser.cookies["session"] = "A" * 54 if cookie == "unknown" else "garbage"
    store.calls.clear()
    response = await browser.get("/ro/kept")
    assert (response.code, response.body) == (200, b"nothing")
    assert "Set-Cookie" not in response.headers
    assert set(store.kinds) <= {"load"}
