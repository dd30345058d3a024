"""What `required` keeps from whoever has no session: every handler, before it runs."""

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
from tests.helpers.pages import Keep, Page, Renew
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
        "socket": GuardedSocket,
        "plain-socket": GuardedPlainSocket,
        "upload": GuardedUpload,
        "session-upload": GuardedUploadWithSession,
    }
    inside = Group("in", *(Route(path, h) for path, h in handlers.items()), authenticated=True)
    routes = Group("/", Route("keep", Keep), Route("renew", Renew), inside, sessions=True)
    return serve(routes, SessionManager(MemoryStore(), clock=clock))


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/mixin", "/in/plain"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_required_group_is_401_before_the_handler(
    guarded: Site, ran: list[str], path: str, method: str
) -> None:
    """Without a session, a required group answers 401 before the handler runs."""
    for cookie in ("", "session=garbage", f"session={'A' * 54}"):
        headers = {"Cookie": cookie} if cookie else {}
        response = await guarded.fetch(path, method=method, headers=headers)
        assert response.code == 401
        assert b"secret" not in response.body
        assert "Set-Cookie" not in response.headers
    assert ran == []
    browser = guarded.browser()
    await browser.text("/keep")
    response = await browser.get(path, method=method)
    assert response.code == 200
    assert ran == ["prepare", method]


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["dead", "replaced"])
async def test_a_session_that_ended_is_401_in_a_required_group(
    guarded: Site, ran: list[str], clock: FakeClock, how: str
) -> None:
    browser = guarded.browser()
    await browser.text("/keep")
    former = browser.cookies["session"]
    await browser.text("/renew")
    if how == "replaced":
        browser.cookies["session"] = former
    else:
        clock.advance(timedelta(days=2).total_seconds())
    assert (await browser.get("/in/mixin")).code == 401
    assert ran == []


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/socket", "/in/plain-socket"])
async def test_a_required_group_opens_no_socket_without_a_session(
    guarded: Site, ran: list[str], path: str
) -> None:
    assert (await guarded.fetch(path, headers=HANDSHAKE)).code == 401
    assert ran == []
    browser = guarded.browser()
    await browser.text("/keep")
    cookie = {"Cookie": f"session={browser.cookies['session']}"}
    url = guarded.url.replace("http", "ws") + path
    socket = await websocket_connect(HTTPRequest(url, headers=cookie))
    socket.close()
    while await socket.read_message() is not None:
        pass
    assert "open" in ran


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/upload", "/in/session-upload"])
async def test_an_upload_without_a_session_is_not_received(
    guarded: Site, ran: list[str], path: str
) -> None:
    """Without a session, no byte of an upload reaches the handler."""
    async with RawConnection(guarded) as connection:
        connection.send("POST", path, "Content-Length: 0")  # the body is what follows
        assert b" 401 " in (await connection.read_to_end())[:20]
    response = await guarded.fetch(path, method="POST", body="x" * 200_000)
    assert response.code == 401
    assert ran == []
    browser = guarded.browser()
    await browser.text("/keep")
    assert (await browser.post(path, body="x" * 200_000)).code == 200
    assert ran[-1] == "POST"
    assert "data" in ran
