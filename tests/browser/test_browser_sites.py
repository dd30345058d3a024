"""In a real browser: what a page of another site can do to a session, and cookies that need TLS.

To a browser, localhost and 127.0.0.1 are different sites, whatever serves them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from app import Cookie, Group, Route, SessionManager, SessionMixin
from handlers.sessions import SetName
from stores import MemoryStore
from tests.helpers.chromium import PAGES, TIMEOUT, Chromium, Scripted, Tab, address, browse
from tests.helpers.pages import Page
from tests.helpers.site import Site
from tests.helpers.steps import Steps, steps, until


class Name(Page, Scripted):
    """Shows the session's name, and by POST changes it."""

    def get(self) -> None:
        self.write_page(str(self.session.get("name", "n/a")))

    def post(self) -> None:
        self.session["name"] = self.get_argument("name")
        self.write_page("changed")

    def write_error(self, status_code: int, **_: Any) -> None:
        self.write_page(f"refused: {status_code}")


class Embedded(Steps):
    """Does steps for pages of other sites, too, and lets them read the answer."""

    def set_default_headers(self) -> None:
        self.set_header("Access-Control-Allow-Origin", self.request.headers.get("Origin", "*"))
        self.set_header("Access-Control-Allow-Credentials", "true")


class Socket(SessionMixin, WebSocketHandler):
    """Accepts whoever comes from its own origin."""


class Log:
    """The requests that a site answered: `log[path]` lists method, status, and whether a session
    cookie came with it.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[str, tuple[str, int, bool]]] = []

    def __call__(self, handler: RequestHandler) -> None:
        request = handler.request
        with_cookie = "session" in request.cookies
        entry = (str(request.method), handler.get_status(), with_cookie)
        self._entries.append((request.path, entry))

    def __getitem__(self, path: str) -> list[tuple[str, int, bool]]:
        return [entry for at, entry in self._entries if at == path]


@pytest.fixture
def log() -> Log:
    return Log()


SITE = Group(
    "/",
    *PAGES,
    Group(
        "",
        Route("steps", Steps),
        Route("name", Name),
        Route("embedded", Embedded),
        Route("socket", Socket),
        Route("sessions/set/<name>", SetName),
        sessions=True,
    ),
)


@pytest.fixture
def site(serve: Callable[..., Site], log: Log) -> Site:
    return serve(SITE, SessionManager(MemoryStore()), log_function=log)


async def have_a_session_at_localhost(tab: Tab) -> None:
    """Have a session at localhost, with the name Ada, and go to the other site."""
    await tab.fetch(steps('set name "Ada"'))
    await tab.open("127.0.0.1", "/")


async def name_at_localhost(tab: Tab) -> Any:
    return (await tab.open("localhost", "/name"))["text"]


async def embedded(tab: Tab, *words: str) -> Any:
    """Have the page do steps at localhost; return the data of the session it has there."""
    path = steps(*words).replace("/steps", "/embedded")
    target = json.dumps(address(tab.site, "localhost", path))
    answer = await tab.run(f"return (await fetch({target}, {{credentials: 'include'}})).json()")
    return answer["now"]["data"]


async def send(tab: Tab, path: str, method: str) -> Any:
    """Have the page send a request to localhost, with what cookies the browser allows."""
    options = json.dumps({"method": method, "mode": "no-cors", "credentials": "include"})
    target = json.dumps(address(tab.site, "localhost", path))
    return await tab.run(f"return (await fetch({target}, {options})).type")


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_another_sites_page_cannot_change_the_session_by_post(
    chromium: Chromium, site: Site, log: Log
) -> None:
    async with browse(chromium, site) as tab:
        await have_a_session_at_localhost(tab)
        assert await send(tab, "/name?name=Eve", "POST") == "opaque"
        page = await tab.leave(
            "const form = document.body.appendChild(document.createElement('form'));"
            f"form.method = 'POST'; form.action = '{address(site, 'localhost', '/name')}';"
            "form.innerHTML = '<input name=name value=Eve>'; form.submit()"
        )
        assert page == {"path": "/name", "text": "refused: 403"}
        assert log["/name"] == [("POST", 403, False)] * 2
        assert await name_at_localhost(tab) == "Ada"


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_another_sites_link_has_the_session_its_image_not(
    chromium: Chromium, site: Site, log: Log
) -> None:
    """A link from another site carries the session, and an image does not."""
    async with browse(chromium, site) as tab:
        await have_a_session_at_localhost(tab)
        await send(tab, "/sessions/set/Eve", "GET")
        assert log["/sessions/set/Eve"] == [("GET", 200, False)]
        assert await name_at_localhost(tab) == "Ada"
        # This is why what changes a session ought to be POST.
        await tab.open("127.0.0.1", "/")
        await tab.run(f"window.open('{address(site, 'localhost', '/sessions/set/Mallory')}')")
        await until(lambda: log["/sessions/set/Mallory"], "the link to be followed")
        assert log["/sessions/set/Mallory"] == [("GET", 200, True)]
        assert await name_at_localhost(tab) == "Mallory"


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_another_sites_page_opens_no_websocket(
    chromium: Chromium, site: Site, log: Log
) -> None:
    url = address(site, "localhost", "/socket").replace("http", "ws")
    connect = (
        f"const socket = new WebSocket('{url}');"
        "return new Promise(resolve => {"
        "  socket.onopen = () => resolve('open');"
        "  socket.onclose = event => resolve(event.code);"
        "})"
    )
    async with browse(chromium, site) as tab:
        assert await tab.run(connect) == "open"
        await have_a_session_at_localhost(tab)
        assert await tab.run(connect) == 1006  # there was no handshake
        assert ("GET", 403, False) in log["/socket"]


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_a_host_cookie_is_kept_replaced_and_removed(
    chromium: Chromium, serve_tls: Callable[..., Site]
) -> None:
    async with browse(chromium, serve_tls(SITE, Cookie("__Host-session"))) as tab:
        await tab.fetch(steps('set name "Ada"'))
        first = await tab.fetch("/sent-cookies")
        assert first.startswith("__Host-session=")
        await tab.fetch(steps("sign-in ada"))
        second = await tab.fetch("/sent-cookies")
        assert second.startswith("__Host-session=")
        assert second != first
        assert ";" not in second
        was = json.loads(await tab.fetch(steps()))["was"]
        assert (was["user"], was["data"]) == ("ada", {"name": "Ada"})
        await tab.fetch(steps("sign-out"))
        assert await tab.fetch("/sent-cookies") == ""


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_a_partitioned_cookie_is_a_session_for_each_site(
    chromium: Chromium, serve_tls: Callable[..., Site], log: Log
) -> None:
    site = serve_tls(SITE, Cookie(samesite="None", partitioned=True), log_function=log)
    async with browse(chromium, site) as tab:
        await have_a_session_at_localhost(tab)
        assert await embedded(tab, 'set name "Eve"') == {"name": "Eve"}
        assert await name_at_localhost(tab) == "Ada"
        await tab.open("127.0.0.1", "/")
        assert await embedded(tab) == {"name": "Eve"}
        assert await embedded(tab, "destroy") == {}
        assert await embedded(tab) == {}
        assert log["/embedded"][-2:] == [("GET", 200, True), ("GET", 200, False)]
        assert await name_at_localhost(tab) == "Ada"


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_another_sites_post_with_the_cookie_is_refused(
    chromium: Chromium, serve_tls: Callable[..., Site], log: Log
) -> None:
    site = serve_tls(SITE, Cookie(samesite="None", partitioned=True), log_function=log)
    async with browse(chromium, site) as tab:
        await tab.open("127.0.0.1", "/")
        await embedded(tab, 'set name "Ada"')
        await send(tab, "/name?name=Eve", "POST")
        assert log["/name"] == [("POST", 403, True)]
        assert await embedded(tab) == {"name": "Ada"}
