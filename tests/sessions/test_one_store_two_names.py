"""A token is good under its cookie's name only, whoever else keeps sessions in the same store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app import Cookie, Group, Route, SessionManager
from stores import MemoryStore, Store
from tests.helpers.account import Cart, SignIn, SignOut, Who
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import token_of
from tests.helpers.opened import while_open
from tests.helpers.pages import Page, Plain, Renew
from tests.helpers.records import sessions_in
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

NOBODY = "[null, {}, false]"


@pytest.fixture
def store() -> SpyStore:
    return SpyStore(MemoryStore())


@pytest.fixture
def browser(serve: Callable[..., Site], store: SpyStore, clock: FakeClock) -> Browser:
    """Visits a shop and its administration, which keep their sessions in one store."""
    shop = SessionManager(store, cookie=Cookie("shop"), clock=clock)
    admin = SessionManager(
        store, cookie=Cookie("admin"), idle_timeout=timedelta(minutes=15), clock=clock
    )

    class Both(Page):
        async def get(self) -> None:
            other = await self.session_of(admin)
            self.write(f"{self.session.user} {other.user}")

    pages = (
        Route("who", Who),
        Route("cart", Cart),
        Route("sign-in", SignIn),
        Route("sign-out", SignOut),
        Route("renew", Renew),
    )
    routes = Group(
        "/",
        Group("shop", *pages, Route("both", Both), sessions=True),
        Group("admin", *pages, sessions=admin),
        Group("safe", Route("who", Who), Route("plain", Plain), sessions=admin, authenticated=True),
    )
    return serve(routes, shop).browser()


def moved(browser: Browser, name: str, to: str) -> Browser:
    """Return a client that sends the token of one cookie as another."""
    other = browser.site.browser()
    other.cookies = {to: browser.cookies[name]}
    return other


@pytest.mark.gen_test
@pytest.mark.parametrize("user", ["", "ada"])
async def test_a_shops_token_opens_no_administration(
    browser: Browser, store: SpyStore, user: str
) -> None:
    await browser.text("/shop/cart?item=x")
    if user:
        await browser.text(f"/shop/sign-in?user={user}")
    thief = moved(browser, "shop", "admin")
    assert await thief.text("/admin/who") == NOBODY
    for path in ("/safe/who", "/safe/plain"):
        assert (await thief.get(path)).code == 401, path
    await thief.text("/admin/sign-out")
    assert "true" in await browser.text("/shop/who")  # it was not his to end
    assert sessions_in(store) == 1


@pytest.mark.gen_test
async def test_nor_the_other_way_round(browser: Browser, clock: FakeClock) -> None:
    """A session of fifteen minutes is not one of a day elsewhere."""
    await browser.text("/admin/sign-in?user=root")
    assert await moved(browser, "admin", "shop").text("/shop/who") == NOBODY
    clock.advance(14 * 60)
    assert '"root"' in await browser.text("/admin/who")
    clock.advance(15 * 60)
    assert await browser.text("/admin/who") == NOBODY


@pytest.mark.gen_test
async def test_one_token_as_both_cookies_opens_one_session(browser: Browser) -> None:
    await browser.text("/shop/sign-in?user=ada")
    browser.cookies["admin"] = browser.cookies["shop"]
    assert await browser.text("/shop/both") == "ada None"


@pytest.mark.gen_test
async def test_a_new_token_is_bound_to_its_name_as_well(browser: Browser) -> None:
    """And so is the former one, within its grace: it is no conflict elsewhere."""
    await browser.text("/shop/sign-in?user=ada")
    former = moved(browser, "shop", "admin")
    await browser.text("/shop/renew")
    assert await moved(browser, "shop", "admin").text("/admin/who") == NOBODY
    assert await former.text("/admin/cart?item=x") == "x"


NAMES = ["session", "Session", "session2", "__Host-session", "__Secure-session", "__Http-session"]


@pytest.mark.gen_test
@pytest.mark.parametrize("name", NAMES)
async def test_two_services_over_one_database(any_store: Store, name: str) -> None:
    """A token opens no other name's session, be it the same but for a prefix or the case."""
    async with while_open(any_store) as store:
        session = await SessionManager(store, cookie=Cookie(name)).load(None)
        session.sign_in("ada")
        text = token_of(await session.commit())
        for other in NAMES:
            found = await SessionManager(store, cookie=Cookie(other)).load(f"{other}={text}")
            assert found.live == (other == name), other
