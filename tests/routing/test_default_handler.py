"""`default_handler_class` answers unknown paths under the flags of the root group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from app import Config, ConfigurationError, Cookie, Group, Route, SessionManager, make_app
from app import SessionMixin as Mixin
from stores import MemoryStore
from tests.helpers.pages import Keep, Page, Plain, SignIn
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]


class NotFound(Page):
    """Says what is kept, and keeps which page was looked for."""

    def initialize(self, word: str = "") -> None:
        self.word = word

    async def prepare(self) -> None:
        await super().prepare()
        self.set_status(404)
        self.write(f"{self.word} {self.session.get('kept')} {self.current_user}")
        self.session["kept"] = self.request.path
        self.finish()


class RaisesNotFound(Page):
    def get(self) -> None:
        raise HTTPError(404)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.write(f"no page for {self.current_user}, {self.session.get('kept')}")


class Echo(Mixin, WebSocketHandler):
    async def open(self) -> None:
        await self.write_message(str(self.current_user))


def browse(serve: Serve, handler: type[RequestHandler], **flags: Any) -> Browser:
    arguments = flags.pop("arguments", None)
    settings = {"default_handler_class": handler, "login_url": "/sign-in"}
    if arguments is not None:
        settings["default_handler_args"] = arguments
    open_pages = Group(
        "", Route("keep", Keep), Route("sign-in", SignIn), sessions=True, authenticated=False
    )
    routes = Group("/", open_pages, **flags)
    return serve(routes, SessionManager(MemoryStore()), **settings).browser()


@pytest.mark.gen_test
async def test_it_has_the_session_of_the_root_group(serve: Serve) -> None:
    browser = browse(serve, NotFound, sessions=True, arguments={"word": "sorry"})
    response = await browser.get("/one")
    assert (response.code, response.body) == (404, b"sorry None None")
    response = await browser.get("/two/deeper")
    assert (response.code, response.body) == (404, b"sorry /one None")
    await browser.text("/sign-in")
    assert (await browser.post("/three")).body == b"sorry /two/deeper ada"


@pytest.mark.gen_test
async def test_its_error_page_has_the_session(serve: Serve) -> None:
    browser = browse(serve, RaisesNotFound, sessions=True)
    await browser.text("/keep")
    await browser.text("/sign-in")
    response = await browser.get("/none")
    assert (response.code, response.body) == (404, b"no page for ada, before")
    assert response.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.gen_test
async def test_flags_of_the_root_hold_for_it(serve: Serve) -> None:
    class Writes(Page):
        def get(self) -> None:
            try:
                self.session["kept"] = "by default"
            except RuntimeError as error:
                self.write(str(error))

    read_only = browse(serve, Writes, sessions=True, read_only=True)
    assert "read_only=True" in await read_only.text("/none")
    off = browse(serve, Writes)
    assert "sessions are off in group /" in await off.text("/none")


@pytest.mark.gen_test
@pytest.mark.parametrize("handler", [NotFound, Plain])
async def test_only_users_reach_it_where_the_root_says_so(
    serve: Serve, handler: type[RequestHandler]
) -> None:
    browser = browse(serve, handler, sessions=True, authenticated=True)
    assert (await browser.get("/none")).code == 401
    response = await browser.get("/none", headers={"Accept": "text/html"})
    assert (response.code, response.headers["Location"]) == (302, "/sign-in?next=%2Fnone")
    await browser.text("/sign-in")
    assert (await browser.get("/none")).code in (200, 404)


@pytest.mark.gen_test
async def test_a_plain_one_stays_as_it_is(serve: Serve) -> None:
    browser = browse(serve, Plain, sessions=True)
    response = await browser.get("/none")
    assert (response.body, "Vary" in response.headers) == (b"plain", False)


@pytest.mark.gen_test
async def test_it_may_be_a_websocket(serve: Serve) -> None:
    browser = browse(serve, Echo, sessions=True)
    await browser.text("/sign-in")
    url = browser.site.url.replace("http", "ws") + "/any"
    cookie = {"Cookie": f"session={browser.cookies['session']}"}
    socket = await websocket_connect(HTTPRequest(url, headers=cookie))
    assert await socket.read_message() == "ada"
    socket.close()
    while await socket.read_message() is not None:
        pass


@pytest.mark.gen_test
async def test_its_manager_is_opened_and_closed(serve: Serve) -> None:
    store = SpyStore()
    own = SessionManager(store, cookie=Cookie(name="own"))
    site = serve(Group("/", sessions=own), default_handler_class=NotFound)
    assert site.application.managers == [own]
    assert (await site.fetch("/none")).code == 404


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "arguments that it does not take": (
        {"default_handler_class": Plain, "default_handler_args": {"word": "x"}},
        "does not fit Plain.initialize()",
    ),
    "no users without sessions": ({"default_handler_class": Plain}, "sessions are off"),
    "mixin behind RequestHandler": (
        {"default_handler_class": type("Wrong", (RequestHandler, Mixin), {})},
        "write class Wrong(SessionMixin, RequestHandler)",
    ),
    "no handler": ({"default_handler_class": dict}, "for a handler"),
}


@pytest.mark.parametrize(("settings", "text"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_it_is_found_when_built(settings: dict[str, Any], text: str) -> None:
    flags: dict[str, Any] = {"authenticated": True} if text == "sessions are off" else {}
    with pytest.raises(ConfigurationError, match=r"^default_handler_class: group /: ") as raised:
        make_app(Config(Group("/", **flags), settings=settings))
    assert text in str(raised.value)
