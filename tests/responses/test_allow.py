"""A method that a handler lacks: 405, and which ones it has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from app import Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.raw import raw_request
from tests.helpers.site import Site


class Own(RequestHandler):
    """Has pages of its own for errors, and two methods."""

    def post(self) -> None: ...

    def delete(self) -> None: ...

    def write_error(self, status_code: int, **kwargs: object) -> None:
        self.finish(f"own {status_code}")


class OwnWithSession(SessionMixin, Own):
    pass


class Socket(WebSocketHandler):
    pass


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "WRONG"])
@pytest.mark.parametrize("path", ["/plain", "/session", "/socket"])
async def test_405_says_which_methods_there_are(
    serve: Callable[..., Site], path: str, method: str
) -> None:
    routes = Group(
        "/",
        Route("plain", Own),
        Route("session", OwnWithSession),
        Route("socket", Socket),
        sessions=True,
    )
    site = serve(routes, SessionManager(MemoryStore()))
    status, head, body = await raw_request(site, method, path)
    if (path, method) == ("/socket", "GET"):
        assert status == 400  # and no handshake
        return
    allowed = "GET" if path == "/socket" else "POST, DELETE"
    assert (status, f"\r\nAllow: {allowed}\r\n" in f"{head}\r\n") == (405, True), head
    assert path == "/socket" or method == "HEAD" or body == b"own 405"
