"""Which responses take out the messages that they show: those that somebody gets to see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.web import Finish, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from app import Cookie, Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import Page
from tests.helpers.site import Browser, Site


class Add(Page):
    def get(self) -> None:
        self.session.flash("saved")


class Shows(Page):
    """Shows the messages, and answers as the query says."""

    async def get(self) -> None:
        self.set_header("X-Shown", len(self.session.flashes()))
        match self.get_argument("how", "page"):
            case "commit":
                await self.session.commit()
            case "flush":
                self.write("a page")
                await self.flush()
            case "finish":
                raise Finish("a page")
            case "redirect":
                self.redirect("/", status=303)
            case "raise 403":
                raise HTTPError(403)
            case "crash":
                raise ValueError
            case "commit, crash":
                await self.session.commit()
                raise ValueError
            case "page":
                self.write("a page")
            case status:
                self.set_status(int(status))

    head = get


class Fails(Page):
    """Shows the messages on its error page."""

    def get(self) -> None:
        raise HTTPError(int(self.get_argument("status")))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(" ".join(flash.text for flash in self.session.flashes()))


class Socket(SessionMixin, WebSocketHandler):
    async def open(self) -> None:
        texts = [flash.text for flash in self.session.flashes()]
        assert self.session.flashes() == []
        await self.session.commit()
        await self.write_message(" ".join(texts))


@pytest.fixture
def browser(serve: Callable[..., Site]) -> Browser:
    routes = (Route("add", Add), Route("shows", Shows), Route("fails", Fails))
    return serve(
        Group(
            "/",
            *routes,
            Route("socket", Socket),
            Group("read-only", *routes, read_only=True),
            sessions=True,
        ),
        SessionManager(MemoryStore()),
    ).browser()


async def left(browser: Browser) -> int:
    """Return how many messages there are, and leave them there."""
    return int((await browser.get("/shows", method="HEAD")).headers["X-Shown"])


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("how", "status"),
    [("page", 200), ("flush", 200), ("finish", 200), ("commit", 200), ("404", 404), ("201", 201)],
)
async def test_a_page_takes_them_out(browser: Browser, how: str, status: int) -> None:
    await browser.get("/add")
    response = await browser.get(f"/shows?how={how}")
    assert (response.code, response.headers["X-Shown"]) == (status, "1")
    assert await left(browser) == 0


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("redirect", 303),
        ("304", 304),
        ("204", 204),
        ("503", 503),
        ("crash", 500),
        ("commit,+crash", 500),
        ("raise+403", 403),
    ],
)
async def test_what_shows_no_page_leaves_them(browser: Browser, how: str, status: int) -> None:
    await browser.get("/add")
    assert (await browser.get(f"/shows?how={how}")).code == status
    assert await left(browser) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "Prefetch"},
    ],
)
async def test_a_prefetch_leaves_them(browser: Browser, headers: dict[str, str]) -> None:
    await browser.get("/add")
    for how in ("page", "commit", "flush"):
        response = await browser.get(f"/shows?how={how}", headers=headers)
        assert (response.code, response.headers["X-Shown"]) == (200, "1")
    assert await left(browser) == 1
    response = await browser.get("/shows", headers={"Sec-Purpose": "other", "X-Moz": "other"})
    assert await left(browser) == 0


@pytest.mark.gen_test
async def test_the_same_page_again_is_shown_by_its_304(browser: Browser) -> None:
    await browser.get("/add")
    etag = (await browser.get("/shows")).headers["ETag"]
    await browser.get("/add")
    response = await browser.get("/shows", headers={"If-None-Match": etag})
    assert (response.code, response.headers["X-Shown"]) == (304, "1")
    assert await left(browser) == 0


@pytest.mark.gen_test
async def test_a_read_only_group_shows_and_keeps_them(browser: Browser) -> None:
    await browser.get("/add")
    for _ in range(2):
        assert (await browser.get("/read-only/shows")).headers["X-Shown"] == "1"
    assert (await browser.get("/read-only/add")).code == 500
    assert await left(browser) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize("status", [404, 503])
async def test_an_error_page_shows_and_keeps_them(browser: Browser, status: int) -> None:
    await browser.get("/add")
    assert (await browser.get(f"/fails?status={status}")).body == b"saved"
    assert await left(browser) == 1


@pytest.mark.gen_test
async def test_an_open_websocket_takes_them_out_at_once(browser: Browser) -> None:
    await browser.get("/add")
    url = browser.site.url.replace("http", "ws") + "/socket"
    socket = await websocket_connect(
        HTTPRequest(url, headers={"Cookie": f"session={browser.cookies['session']}"})
    )
    assert await socket.read_message() == "saved"
    assert await left(browser) == 0
    socket.close()


class Plain(RequestHandler):
    def get(self) -> None: ...


@pytest.mark.gen_test
async def test_the_other_managers_messages_are_shown_too(serve: Callable[..., Site]) -> None:
    other = SessionManager(MemoryStore(), cookie=Cookie("other"))

    class Both(Page):
        async def get(self) -> None:
            session = await self.session_of(other)
            if self.get_argument("add", ""):
                session.flash("saved")
            else:
                self.write(str(len(session.flashes())))

    browser = serve(
        Group(
            "/",
            Route("both", Both),
            Group("other", Route("", Plain), sessions=other),
            sessions=True,
        ),
        SessionManager(MemoryStore()),
    ).browser()
    await browser.get("/both?add=1")
    assert [await browser.text("/both") for _ in range(2)] == ["1", "0"]
