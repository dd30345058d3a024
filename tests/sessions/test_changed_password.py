"""A changed password in one request: everywhere else is over, and this client is signed in anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import quote

import pytest

from app import Cookie, Group, Route, SessionManager
from stores import MemoryStore, Store
from tests.helpers.devices import new_user
from tests.helpers.pages import Page
from tests.helpers.site import Site

Serve = Callable[..., Site]


class SignIn(Page):
    def get(self) -> None:
        self.session.sign_in(self.get_argument("user"))


class Who(Page):
    def get(self) -> None:
        self.write(str(self.session.user))


async def in_a_group(saying: Coroutine[Any, Any, int]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(saying)


WAYS: dict[str, Callable[[Coroutine[Any, Any, int]], Awaitable[Any]]] = {
    "awaited": lambda saying: saying,
    "gather": lambda saying: asyncio.gather(saying, asyncio.sleep(0)),
    "wait_for": lambda saying: asyncio.wait_for(saying, 20),
    "a group": in_a_group,
}
"""How a handler may wait for what it does."""


class Password(Page):
    """Changes the password: everywhere else is over, and this client signed in anew."""

    async def get(self) -> None:
        user, policy = self.session.user, self.session_policy
        assert user is not None
        assert policy is not None
        assert policy.manager is not None
        keep = self.session if self.get_argument("keep", "") else None
        saying = policy.manager.sign_out_everywhere(user, keep)
        await WAYS[self.get_argument("way")](saying)
        self.session.sign_in(user)


ROUTES = Group(
    "/", Route("in", SignIn), Route("who", Who), Route("password", Password), sessions=True
)


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("keep", ["", "1"])
async def test_a_changed_password_leaves_the_one_who_changed_it(
    serve: Serve, any_store: Store, keep: str
) -> None:
    """In whichever task of the request "everywhere" is said."""
    site, user = serve(ROUTES, SessionManager(any_store)), new_user()
    here, there = site.browser(), site.browser()
    for way in WAYS:
        for browser in (here, there):
            await browser.text(f"/in?user={user}")
        await here.text(f"/password?way={quote(way)}&keep={keep}")
        assert await here.text("/who") == user
        assert await there.text("/who") == "None"


@pytest.mark.gen_test(timeout=30)
async def test_who_changes_a_password_may_have_many_devices(serve: Serve) -> None:
    """The request's own session is the first, or the last, of those that it ends."""
    site = serve(ROUTES, SessionManager(MemoryStore(), max_per_user=600))
    browsers = [site.browser() for _ in range(300)]
    for browser in browsers:
        await browser.sign_in("ada")
    await browsers[0].text("/password?way=awaited")
    assert await browsers[0].text("/who") == "ada"
    for browser in browsers[1:]:
        await browser.sign_in("ada")
    await browsers[-1].text("/password?way=awaited")
    assert await browsers[-1].text("/who") == "ada"


@pytest.mark.gen_test(timeout=30)
async def test_a_further_session_belongs_to_the_same_request(serve: Serve) -> None:
    """It is that of another manager, loaded after or before "everywhere"."""
    shop, admin = (SessionManager(MemoryStore(), cookie=Cookie(name)) for name in ("a", "b"))

    class Both(Page):
        async def get(self) -> None:
            if self.get_argument("first", ""):
                await self.session_of(admin)
            await asyncio.gather(shop.sign_out_everywhere("ada"))
            await self.session_of(admin)
            self.session.sign_in("ada")

    routes = Group("/", Route("in", SignIn), Route("who", Who), Route("both", Both), sessions=True)
    group = Group("/", routes, Group("admin", Route("", Who), sessions=admin))
    browser = serve(group, shop).browser()
    for first in ("", "1"):
        await browser.text("/in?user=ada")
        await browser.text(f"/both?first={first}")
        assert await browser.text("/who") == "ada"
