"""Attacks from another site with the victim's own cookie: refused before the session is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from app import Group, Route, SessionManager, SessionMixin
from tests.helpers.pages import Page
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore
from tests.helpers.websockets import HANDSHAKE

EVIL = "https://evil.example"


class Transfer(Page):
    def get(self) -> None:
        self.session.sign_in("ada")
        self.write(self.xsrf_form_html())

    def post(self) -> None:
        self.session["transfers"] = 1
        self.write("done")

    put = delete = patch = post


class Plain(RequestHandler):
    def post(self) -> None:
        self.write("done")


class Socket(SessionMixin, WebSocketHandler):
    def open(self) -> None:
        self.write_message("open")


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


async def signed_in(serve: Callable[..., Site], store: SpyStore, **settings: object) -> Browser:
    routes = Group(
        "/",
        Route("transfer", Transfer),
        Route("socket", Socket),
        Group("in", Route("plain", Plain), authenticated=True),
        sessions=True,
    )
    browser = serve(routes, SessionManager(store), **settings).browser()
    await browser.text("/transfer")
    store.calls.clear()
    return browser


FROM_ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site", "Origin": EVIL},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://["},
]


@pytest.mark.gen_test
@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_another_sites_request_makes_no_store_call(
    serve: Callable[..., Site], store: SpyStore, headers: dict[str, str], method: str
) -> None:
    """A request from another site is refused without a store call."""
    browser = await signed_in(serve, store)
    for path in ("/transfer", "/in/plain"):
        response = await browser.get(path, method=method, headers=headers)
        assert response.code == 403
        assert b"done" not in response.body
        assert "Set-Cookie" not in response.headers
    assert store.calls == []
    for own in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": browser.site.url}, {}):
        assert (await browser.get("/transfer", method=method, headers=own)).body == b"done"


@pytest.mark.gen_test
async def test_a_socket_from_another_site_is_not_opened(
    serve: Callable[..., Site], store: SpyStore
) -> None:
    browser = await signed_in(serve, store)
    for origin in (EVIL, "null", browser.site.url + "1", "http://[", "http://a]b"):
        response = await browser.get("/socket", headers={**HANDSHAKE, "Origin": origin})
        assert response.code == 403, origin
        assert "Set-Cookie" not in response.headers
    assert set(store.kinds) <= {"load"}


@pytest.mark.gen_test
async def test_tornados_xsrf_cookie_works_beside_the_sessions(
    serve: Callable[..., Site], store: SpyStore
) -> None:
    browser = await signed_in(serve, store, xsrf_cookies=True)
    assert set(browser.cookies) == {"session", "_xsrf"}
    for headers in ({}, {"X-XSRFToken": "2|forged"}):
        response = await browser.post("/transfer", headers=headers)
        assert response.code == 403
        assert "session=" not in response.headers.get("Set-Cookie", "")
    assert store.calls == []
    response = await browser.post("/transfer", headers={"X-XSRFToken": browser.cookies["_xsrf"]})
    assert (response.code, response.body) == (200, b"done")
    assert store.kinds == ["load", "Update"]
