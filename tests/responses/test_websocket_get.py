"""A WebSocket's handler with a `get` of its own: saved with the handshake, or with the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import HTTPError
from tornado.websocket import WebSocketHandler

from app import SessionManager
from stores import MemoryStore
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.helpers.websockets import (
    HANDSHAKE,
    Talk,
    ask,
    closing_code,
    leave,
    open_socket,
    talk,
    talking,
)

Serve = Callable[..., Site]


class Own(Talk):
    """Does in `get` what the query says, then opens, or answers with a page."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        match self.get_argument("do", ""):
            case "keep":
                self.session["kept"] = "by get"
            case "sign-in":
                self.session.sign_in("ada")
            case "403":
                self.session["kept"] = "by get"
                raise HTTPError(403)
            case "500":
                self.session["kept"] = "by get"
                raise HTTPError(500)
            case "wait":
                self.settings["arrived"].set()
                await self.settings["gate"].wait()
            case "past":
                self.session["kept"] = "by get"
                await WebSocketHandler.get(self, *args, **kwargs)
                return
        if self.get_argument("page", ""):
            self.write("page")
        else:
            await super().get(*args, **kwargs)


@pytest.fixture
def browser(serve: Serve) -> Browser:
    return serve(talking(talk(Own)), SessionManager(MemoryStore())).browser()


async def connect(browser: Browser, query: str) -> Any:
    socket = await open_socket(browser, f"/socket?{query}")
    assert socket.headers is not None
    for cookie in socket.headers.get_list("Set-Cookie"):
        browser.cookies["session"] = cookie.partition(";")[0].partition("=")[2]
    return socket


@pytest.mark.gen_test
async def test_an_own_get_saves_with_the_handshake(browser: Browser) -> None:
    socket = await connect(browser, "do=keep")
    assert await browser.text("/do/look") == "by get"
    await browser.text("/do/destroy")
    assert await closing_code(socket) == 1008


@pytest.mark.gen_test
async def test_an_own_get_may_sign_in(browser: Browser) -> None:
    await browser.text("/do/keep")
    former = dict(browser.cookies)
    socket = await connect(browser, "do=sign-in")
    assert browser.cookies != former
    assert await ask(socket, "user") == "ada"
    await leave(socket)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "code", "kept"),
    [
        ("do=keep&page=1", 200, "by get"),
        ("do=403", 403, "by get"),
        ("do=500", 500, "nothing"),
        ("do=keep", 400, "by get"),
    ],
)
async def test_the_page_of_an_own_get_is_saved_as_any(
    browser: Browser, query: str, code: int, kept: str
) -> None:
    """A request that is no handshake is answered, and its session saved, as anywhere."""
    assert (await browser.get(f"/socket?{query}")).code == code
    assert await browser.text("/do/look") == kept
    assert not browser.site.application.activity.sockets


@pytest.mark.gen_test
async def test_an_end_while_an_own_get_waits_is_heard(serve: Serve) -> None:
    """A session that ends before the handshake leaves no socket open."""
    gate, arrived = asyncio.Event(), asyncio.Event()
    handler = talk(Own)
    site = serve(talking(handler), SessionManager(MemoryStore()), gate=gate, arrived=arrived)
    browser = site.browser()
    await browser.text("/do/keep")
    opening = asyncio.ensure_future(open_socket(browser, "/socket?do=wait"))
    await arrived.wait()
    await browser.text("/do/destroy")
    gate.set()
    assert await closing_code(await opening) == 1008


@pytest.mark.gen_test
async def test_an_own_get_without_acknowledgement_is_503(serve: Serve) -> None:
    store = FaultyStore()
    browser = serve(talking(talk(Own)), SessionManager(store)).browser()
    store.break_down("write")
    response = await browser.get("/socket?do=keep", headers=HANDSHAKE)
    assert response.code == 503
    assert "Set-Cookie" not in response.headers


@pytest.mark.gen_test
async def test_a_get_that_goes_past_the_session_is_told(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    response = await browser.get("/socket?do=past", headers=HANDSHAKE)
    assert response.code == 500
    assert "let it call `await super().get(...)`" in caplog.text


class GetsItBack(Talk):
    get = WebSocketHandler.get


@pytest.mark.gen_test
async def test_tornados_get_by_another_way_is_no_own_one(serve: Serve) -> None:
    """A handler that names Tornado's `get` as its own has its session all the same."""
    browser = serve(talking(talk(GetsItBack)), SessionManager(MemoryStore())).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    await browser.text("/do/destroy")
    assert await closing_code(socket) == 1008
