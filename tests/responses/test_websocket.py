"""WebSockets: the session before `open`, the commit with the handshake, and after it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from tornado.httpclient import HTTPRequest
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

from app import Group, Route, SessionCommitted, SessionManager, SessionMixin
from stores import StoreUnavailable
from tests.helpers.clock import FakeClock
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.helpers.websockets import HANDSHAKE


class Page(SessionMixin, RequestHandler):
    """Reads, and by ?name=, ?destroy= or ?sign_in= changes the session."""

    def get(self) -> None:
        if name := self.get_argument("name", ""):
            self.session["name"] = name
        if self.get_argument("destroy", ""):
            self.session.destroy()
        self.write(str(self.session.get("name", "n/a")))


class Socket(SessionMixin, WebSocketHandler):
    """Answers each message by what its name says."""

    session_check = 0.02

    async def prepare(self) -> None:
        await super().prepare()
        if self.get_argument("refuse", ""):
            raise HTTPError(403)
        if name := self.get_argument("name", ""):
            self.session["name"] = name

    async def open(self) -> None:
        await self.write_message(f"hello {self.session.get('name', 'n/a')}")

    async def on_message(self, message: str | bytes) -> None:
        try:
            await self.write_message(await self.answer(str(message)))
        except SessionCommitted:
            await self.write_message("needs a cookie")

    async def answer(self, message: str) -> str:
        if message == "refresh":
            return f"{await self.session.refresh()} {self.session.get('name', 'n/a')}"
        if message == "destroy":
            self.session.destroy()
        self.session["name"] = message
        await self.session.commit()
        return f"kept {message}"


ROUTES = Group("/", Route("page", Page), Route("socket", Socket), sessions=True)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def site(serve: Callable[..., Site], store: FaultyStore, clock: FakeClock) -> Site:
    return serve(ROUTES, SessionManager(store, clock=clock))


@contextlib.asynccontextmanager
async def connect(browser: Browser, query: str = "") -> AsyncIterator[WebSocketClientConnection]:
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    url = browser.site.url.replace("http", "ws") + "/socket" + query
    request = HTTPRequest(url, headers={"Cookie": cookie} if cookie else {})
    socket = await websocket_connect(request)
    yield socket
    socket.close()
    while socket.close_code is None and await socket.read_message() is not None:
        pass


@pytest.mark.gen_test
async def test_the_session_is_loaded_before_open(site: Site) -> None:
    browser = site.browser()
    await browser.text("/page?name=Ada")
    async with connect(browser) as socket:
        assert await socket.read_message() == "hello Ada"


@pytest.mark.gen_test
async def test_changes_before_the_handshake_are_committed_with_it(
    site: Site, store: FaultyStore
) -> None:
    browser = site.browser()
    async with connect(browser, "?name=Ada") as socket:
        assert await socket.read_message() == "hello Ada"
        assert store.kinds == ["Create"]
        assert socket.headers is not None
        (cookie,) = socket.headers.get_list("Set-Cookie")
        browser.cookies["session"] = cookie.partition(";")[0].partition("=")[2]
        assert await browser.text("/page") == "Ada"


@pytest.mark.gen_test
async def test_no_handshake_without_the_stores_acknowledgement(
    site: Site, store: FaultyStore
) -> None:
    store.break_down("write")
    response = await site.fetch("/socket?name=Ada", headers=HANDSHAKE)
    assert response.code == 503
    assert response.headers["Retry-After"] == "1"
    assert "Set-Cookie" not in response.headers


@pytest.mark.gen_test
async def test_what_prepare_refuses_is_not_upgraded(site: Site) -> None:
    assert (await site.fetch("/socket?refuse=1", headers=HANDSHAKE)).code == 403


@pytest.mark.gen_test
async def test_a_change_on_the_open_socket_is_kept_by_commit(site: Site) -> None:
    browser = site.browser()
    await browser.text("/page?name=Ada")
    async with connect(browser) as socket:
        await socket.read_message()
        await socket.write_message("Grace")
        assert await socket.read_message() == "kept Grace"
        assert await browser.text("/page") == "Grace"


@pytest.mark.gen_test
async def test_a_change_that_needs_a_cookie_raises_on_the_open_socket(site: Site) -> None:
    async with connect(site.browser()) as socket:
        assert await socket.read_message() == "hello n/a"
        await socket.write_message("Grace")
        assert await socket.read_message() == "needs a cookie"
        await socket.write_message("destroy")
        assert await socket.read_message() == "needs a cookie"


@pytest.mark.gen_test
async def test_refresh_sees_what_other_requests_committed(site: Site) -> None:
    browser = site.browser()
    await browser.text("/page?name=Ada")
    async with connect(browser) as socket:
        await socket.read_message()
        await browser.text("/page?name=Grace")
        await socket.write_message("refresh")
        assert await socket.read_message() == "True Grace"


@pytest.mark.gen_test
async def test_the_socket_is_closed_when_its_session_is_destroyed(site: Site) -> None:
    browser = site.browser()
    await browser.text("/page?name=Ada")
    async with connect(browser) as socket:
        await socket.read_message()
        await browser.text("/page?destroy=1")
        assert await socket.read_message() is None
        assert socket.close_code == 1008


@pytest.mark.gen_test
async def test_the_socket_is_closed_when_its_session_expires(site: Site, clock: FakeClock) -> None:
    browser = site.browser()
    await browser.text("/page?name=Ada")
    async with connect(browser) as socket:
        await socket.read_message()
        clock.advance(24 * 3600)
        assert await socket.read_message() is None
        assert socket.close_code == 1008


@pytest.mark.gen_test
async def test_an_outage_of_the_store_closes_no_socket(site: Site, store: FaultyStore) -> None:
    browser = site.browser()
    await browser.text("/page?name=Ada")
    async with connect(browser) as socket:
        await socket.read_message()
        looked = asyncio.Event()

        def fail() -> StoreUnavailable:
            looked.set()
            return StoreUnavailable("out of order")

        store.fail["load"] = fail
        await looked.wait()
        store.mend()
        await socket.write_message("Grace")
        assert await socket.read_message() == "kept Grace"
