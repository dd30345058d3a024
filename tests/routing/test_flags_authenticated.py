"""Only users come in to an `authenticated` group: whatever the handler, before it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar

import pytest
from tornado.httpclient import HTTPRequest
from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler, websocket_connect

from app import Group, Route, SessionManager
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Keep, Page, Renew, SignIn
from tests.helpers.raw import RawConnection
from tests.helpers.site import Site
from tests.helpers.websockets import HANDSHAKE

Serve = Callable[..., Site]


class Guarded(Page):
    """Notes that it ran, in any of its methods."""

    ran: ClassVar[list[str]] = []

    async def prepare(self) -> None:
        await super().prepare()
        self.ran.append("prepare")

    def get(self) -> None:
        self.ran.append(str(self.request.method))
        self.write("secret")

    post = put = delete = patch = options = head = get


class GuardedPlain(RequestHandler):
    ran = Guarded.ran

    def prepare(self) -> None:
        self.ran.append("prepare")

    def get(self) -> None:
        self.ran.append(str(self.request.method))
        self.write("secret")

    post = put = delete = patch = options = head = get


class GuardedSocket(Guarded, WebSocketHandler):
    get = WebSocketHandler.get  # type: ignore[assignment]

    def open(self) -> None:
        self.ran.append("open")


class GuardedPlainSocket(WebSocketHandler):
    ran = Guarded.ran

    def open(self) -> None:
        self.ran.append("open")


@stream_request_body
class GuardedUpload(RequestHandler):
    ran = Guarded.ran

    def data_received(self, chunk: bytes) -> None:
        self.ran.append("data")

    def post(self) -> None:
        self.ran.append("POST")


@stream_request_body
class GuardedUploadWithSession(Page):
    ran = Guarded.ran

    def data_received(self, chunk: bytes) -> None:
        self.ran.append("data")

    def post(self) -> None:
        self.ran.append("POST")


@pytest.fixture
def ran() -> list[str]:
    Guarded.ran.clear()
    return Guarded.ran


@pytest.fixture
def guarded(serve: Serve, clock: FakeClock, ran: list[str]) -> Site:
    handlers: dict[str, type[RequestHandler]] = {
        "mixin": Guarded,
        "plain": GuardedPlain,
        "bare": Renew,
        "socket": GuardedSocket,
        "plain-socket": GuardedPlainSocket,
        "upload": GuardedUpload,
        "session-upload": GuardedUploadWithSession,
    }
    inside = Group("in", *(Route(path, h) for path, h in handlers.items()), authenticated=True)
    reading = Group("reading", Route("mixin", Guarded), read_only=True, authenticated=True)
    pages = (Route("keep", Keep), Route("renew", Renew), Route("sign-in", SignIn))
    routes = Group("/", *pages, inside, reading, sessions=True)
    return serve(routes, SessionManager(MemoryStore(), clock=clock))


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/mixin", "/in/plain"])
@pytest.mark.parametrize("method", METHODS)
async def test_nobody_is_401_before_the_handler(
    guarded: Site, ran: list[str], path: str, method: str
) -> None:
    """Without a session, or with one that is anonymous, the answer is 401 and nothing runs."""
    browser = guarded.browser()
    await browser.text("/keep")
    anonymous = f"session={browser.cookies['session']}"
    for cookie in ("", "session=garbage", f"session={'A' * 54}", anonymous):
        headers = {"Cookie": cookie} if cookie else {}
        response = await guarded.fetch(path, method=method, headers=headers)
        assert response.code == 401
        assert response.headers["WWW-Authenticate"] == 'Cookie realm="session"'
        assert response.headers["Vary"] == "Cookie"
        assert b"secret" not in response.body
        assert "Set-Cookie" not in response.headers
    assert ran == []
    await browser.text("/sign-in")
    response = await browser.get(path, method=method)
    assert response.code == 200
    assert ran == ["prepare", method]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/mixin", "/in/plain", "/reading/mixin"])
async def test_a_token_that_was_just_replaced_is_409(
    guarded: Site, ran: list[str], clock: FakeClock, path: str
) -> None:
    """A token that was just replaced is 409, for the browser has the new one by then."""
    browser = guarded.browser()
    await browser.text("/sign-in")
    former = guarded.browser()
    former.cookies = dict(browser.cookies)
    await browser.text("/renew")
    clock.advance(3)
    for headers in ({}, {"Accept": "text/html"}):
        response = await former.get(path, headers=headers)
        assert (response.code, response.headers["Retry-After"]) == (409, "7")
        assert response.headers["Vary"] == "Cookie"
    clock.advance(8)
    assert (await former.get(path)).code == 401
    assert ran == []


@pytest.mark.gen_test
async def test_a_session_that_expired_is_401(
    guarded: Site, ran: list[str], clock: FakeClock
) -> None:
    browser = guarded.browser()
    await browser.text("/sign-in")
    clock.advance(timedelta(days=2).total_seconds())
    assert (await browser.get("/in/mixin")).code == 401
    assert ran == []


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/socket", "/in/plain-socket"])
async def test_nobody_opens_a_socket(guarded: Site, ran: list[str], path: str) -> None:
    browser = guarded.browser()
    await browser.text("/keep")
    assert (await guarded.fetch(path, headers=HANDSHAKE)).code == 401
    assert (await browser.get(path, headers=HANDSHAKE)).code == 401
    assert ran == []
    await browser.text("/sign-in")
    cookie = {"Cookie": f"session={browser.cookies['session']}"}
    url = guarded.url.replace("http", "ws") + path
    socket = await websocket_connect(HTTPRequest(url, headers=cookie))
    socket.close()
    while await socket.read_message() is not None:
        pass
    assert "open" in ran


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/upload", "/in/session-upload"])
async def test_nobodys_upload_is_not_received(guarded: Site, ran: list[str], path: str) -> None:
    """Of nobody's upload, no byte reaches the handler."""
    async with RawConnection(guarded) as connection:
        connection.send("POST", path, "Content-Length: 0")  # the body is what follows
        assert b" 401 " in (await connection.read_to_end())[:20]
    browser = guarded.browser()
    await browser.text("/keep")
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    for method, headers in (("POST", {}), ("OPTIONS", preflight)):
        response = await browser.get(
            path, method=method, headers=headers, body="x" * 200_000, allow_nonstandard_methods=True
        )
        assert response.code == 401
    assert ran == []
    await browser.text("/sign-in")
    assert (await browser.post(path, body="x" * 200_000)).code == 200
    assert ran[-1] == "POST"
    assert "data" in ran


@pytest.mark.gen_test
async def test_being_refused_extends_an_anonymous_session(
    guarded: Site, ran: list[str], clock: FakeClock
) -> None:
    """The idle time counts from the last request that presented the session, refused or not."""
    for path in ("/in/mixin", "/in/plain", "/in/bare"):
        browser = guarded.browser()
        await browser.text("/keep")
        for _ in range(3):
            clock.advance(timedelta(hours=20).total_seconds())
            assert (await browser.get(path)).code == 401
        clock.advance(timedelta(hours=20).total_seconds())
        assert "Set-Cookie" not in (await browser.get("/keep")).headers
