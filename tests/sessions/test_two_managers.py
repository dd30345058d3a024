"""Two managers in one application: two cookies, two stores, both usable on one page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketHandler, websocket_connect

from app import Cookie, Group, Route, SessionCommitted, SessionManager, SessionsOff
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Page, Renew
from tests.helpers.records import sessions_in
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


class Show(Page):
    def get(self) -> None:
        self.write(f"{self.session.get('kept', 'nothing')} {self.session.user}")


class Set(Page):
    def get(self, value: str) -> None:
        self.session["kept"] = value


class SignIn(Page):
    def get(self) -> None:
        self.session.sign_in("ada")


class SignOut(Page):
    def get(self) -> None:
        self.session.sign_out()


def both(other: SessionManager) -> type[Page]:
    class Both(Page):
        async def get(self) -> None:
            admin = await self.session_of(other)
            assert await self.session_of(other) is admin
            if self.get_argument("set", ""):
                self.session["kept"] = "both shop"
                admin["kept"] = "both admin"
            self.write(f"{self.session.get('kept')} {admin.get('kept')} {admin.user}")

    return Both


def open_both(serve: Serve, shop: SessionManager, admin: SessionManager) -> Browser:
    pages = (Route("", Show), Route("set/<value>", Set), Route("in", SignIn))
    page = both(admin)
    routes = Group(
        "/",
        Group("shop", *pages, Route("both", page), sessions=True),
        Group("admin", *pages, sessions=admin),
        Group("look", Route("both", page), sessions=True, read_only=True),
        Group("off", Route("both", page)),
    )
    return serve(routes, shop).browser()


def managers(*stores: FaultyStore) -> tuple[SessionManager, SessionManager]:
    shop, admin = stores or (FaultyStore(), FaultyStore())
    return (
        SessionManager(shop, cookie=Cookie("shop")),
        SessionManager(admin, cookie=Cookie("admin")),
    )


@pytest.mark.gen_test
async def test_each_group_keeps_its_own_session_in_its_own_store(serve: Serve) -> None:
    shop, admin = FaultyStore(), FaultyStore()
    browser = open_both(serve, *managers(shop, admin))
    await browser.text("/shop/set/apple")
    assert set(browser.cookies) == {"shop"}
    await browser.text("/admin/set/key")
    await browser.text("/admin/in")
    assert set(browser.cookies) == {"shop", "admin"}
    assert await browser.text("/shop") == "apple None"
    assert await browser.text("/admin") == "key ada"
    assert sessions_in(shop) == sessions_in(admin) == 1


@pytest.mark.gen_test
async def test_one_page_reads_and_writes_both(serve: Serve) -> None:
    shop, admin = FaultyStore(), FaultyStore()
    browser = open_both(serve, *managers(shop, admin))
    await browser.text("/shop/set/apple")
    await browser.text("/admin/set/key")
    await browser.text("/admin/in")
    assert await browser.text("/shop/both") == "apple key ada"
    shop.calls.clear()
    admin.calls.clear()
    assert await browser.text("/shop/both?set=1") == "both shop both admin ada"
    assert (shop.kinds, admin.kinds) == (["load", "Update"], ["load", "Update"])
    assert await browser.text("/shop") == "both shop None"
    assert await browser.text("/admin") == "both admin ada"


@pytest.mark.gen_test
async def test_one_page_begins_both_and_gives_both_cookies(serve: Serve) -> None:
    browser = open_both(serve, *managers())
    answer = await browser.get("/shop/both?set=1")
    assert {c.partition("=")[0] for c in answer.headers.get_list("Set-Cookie")} == {"shop", "admin"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert await browser.text("/admin") == "both admin None"


@pytest.mark.gen_test
async def test_a_token_of_one_manager_is_nothing_to_the_other(serve: Serve) -> None:
    browser = open_both(serve, *managers())
    await browser.text("/admin/in")
    browser.cookies = {"shop": browser.cookies["admin"]}
    assert await browser.text("/shop") == "nothing None"


@pytest.mark.gen_test
@pytest.mark.parametrize("failing", [0, 1])
async def test_a_failure_of_either_store_is_503(serve: Serve, failing: int) -> None:
    stores = (FaultyStore(), FaultyStore())
    browser = open_both(serve, *managers(*stores))
    await browser.text("/shop/set/apple")
    await browser.text("/admin/set/key")
    stores[failing].break_down("write")
    answer = await browser.get("/shop/both?set=1")
    assert (answer.code, answer.headers["Retry-After"]) == (503, "1")
    assert b"both" not in answer.body
    stores[failing].break_down("load")
    assert (await browser.get("/shop/both")).code == 503
    stores[failing].mend()
    # One after the other: what the first store acknowledged stays.
    assert await browser.text("/shop") == ("apple None", "both shop None")[failing]
    assert await browser.text("/admin") == "key None"


@pytest.mark.gen_test
async def test_the_flags_of_the_handlers_group_hold_for_both(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    browser = open_both(serve, *managers())
    await browser.text("/admin/set/key")
    assert await browser.text("/look/both") == "None key None"
    assert (await browser.get("/look/both?set=1")).code == 500
    assert await browser.text("/admin") == "key None"
    assert (await browser.get("/off/both")).code == 500
    assert "sessions are off in group /off" in caplog.text


@pytest.mark.gen_test
async def test_a_manager_of_no_group_is_refused(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    shop, admin = managers()
    page = both(SessionManager(MemoryStore(), cookie=Cookie("third")))
    routes = Group(
        "/", Route("both", page), Group("admin", Route("", Show), sessions=admin), sessions=True
    )
    assert (await serve(routes, shop).browser().get("/both")).code == 500
    assert SessionsOff.__name__ in caplog.text
    assert "takes the manager of a group" in caplog.text


@pytest.mark.gen_test
async def test_time_outs_and_tokens_are_each_managers_own(serve: Serve, clock: FakeClock) -> None:
    shop = SessionManager(MemoryStore(), cookie=Cookie("shop"), clock=clock)
    admin = SessionManager(
        MemoryStore(), cookie=Cookie("admin"), idle_timeout=timedelta(minutes=5), clock=clock
    )
    pages = (Route("", Show), Route("set/<value>", Set), Route("renew", Renew))
    routes = Group(
        "/", Group("shop", *pages, sessions=True), Group("admin", *pages, sessions=admin)
    )
    browser = serve(routes, shop).browser()
    await browser.text("/shop/set/apple")
    await browser.text("/admin/set/key")
    tokens = dict(browser.cookies)
    await browser.text("/shop/renew")
    assert browser.cookies["shop"] != tokens["shop"]
    assert browser.cookies["admin"] == tokens["admin"]
    assert await browser.text("/admin") == "key None"
    clock.advance(301)
    assert await browser.text("/admin") == "nothing None"
    assert await browser.text("/shop") == "apple None"


class Open(Page, WebSocketHandler):
    session_check = 0.02
    other: SessionManager

    async def open(self) -> None:
        admin = await self.session_of(self.other)
        assert admin.live
        with pytest.raises(SessionCommitted):
            admin.destroy()
        admin["kept"] = "from the socket"
        await admin.commit()
        await self.write_message("open")


@pytest.mark.gen_test
async def test_a_socket_saves_the_other_session_and_ends_with_it(serve: Serve) -> None:
    """A socket saves the other session, and is closed when that ends."""
    shop, admin = managers()
    page = type("Socket", (Open,), {"other": admin})
    routes = Group(
        "/",
        Route("socket", page),
        Route("set/<value>", Set),
        Group("admin", Route("", Show), Route("in", SignIn), Route("out", SignOut), sessions=admin),
        sessions=True,
    )
    browser = serve(routes, shop).browser()
    await browser.text("/set/apple")
    await browser.text("/admin/in")
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    url = browser.site.url.replace("http", "ws") + "/socket"
    socket = await websocket_connect(HTTPRequest(url, headers={"Cookie": cookie}))
    assert await socket.read_message() == "open"
    assert await browser.text("/admin") == "from the socket ada"
    await browser.text("/admin/out")
    assert await socket.read_message() is None
    assert socket.close_code == 1008
    socket.close()


class SlowStore(FaultyStore):
    """Takes as long as *delay* says."""

    timeout = 1.0
    delay = 0.0

    async def _before(self, operation: str) -> None:
        await asyncio.sleep(self.delay)


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("delay", [0.4, 0.8])
async def test_a_page_of_both_waits_as_long_as_one(serve: Serve, delay: float) -> None:
    """The stores share the time that a request may wait; the second load or a save ends it."""
    shop, admin = SlowStore(), SlowStore()
    browser = open_both(serve, *managers(shop, admin))
    await browser.text("/shop/set/apple")
    await browser.text("/admin/set/key")
    shop.delay = admin.delay = delay
    began = time.monotonic()
    assert (await browser.get("/shop/both?set=1")).code == 503
    assert time.monotonic() - began < 1.55
    shop.delay = admin.delay = 0.0
