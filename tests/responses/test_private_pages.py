"""Pages of a signed-in user are told to caches as private, unless the handler says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from app import Cookie, Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import Keep, Page, Renew, SignIn, open_page
from tests.helpers.site import Browser, Site

Serve = Callable[..., Site]

PRIVATE = "private, no-cache"


class Shows(Page):
    """Answers by ?how=, without looking at the session."""

    def get(self) -> None:
        match self.get_argument("how", ""):
            case "redirect":
                self.redirect("/elsewhere")
            case "flush":
                self.write("page")
                self.flush()
            case "raise" | "404":
                raise HTTPError(404)
            case "500":
                raise KeyError("bug")
            case "send":
                self.send_error(403)
            case "public":
                self.set_header("Cache-Control", "public, max-age=60")
            case "cleared":
                self.clear_header("Cache-Control")
            case _:
                self.write("page")

    head = get


HOW = {"": 200, "redirect": 302, "304": 304, "flush": 200, "404": 404, "500": 500, "send": 403}


@pytest.mark.gen_test
@pytest.mark.parametrize(("how", "status"), HOW.items(), ids=HOW)
async def test_a_signed_in_users_page_is_private(serve: Serve, how: str, status: int) -> None:
    browser = open_page(serve, Shows)
    headers = {"If-None-Match": "*"} if how == "304" else {}
    for method in ("GET", "HEAD"):
        response = await browser.get(f"/page?how={how}", headers=headers, method=method)
        assert response.code == status
        assert "Cache-Control" not in response.headers
    await browser.text("/keep")
    response = await browser.get(f"/page?how={how}", headers=headers)
    assert "Cache-Control" not in response.headers
    await sign_in(browser)
    for method in ("GET", "HEAD"):
        response = await browser.get(f"/page?how={how}", headers=headers, method=method)
        assert response.code == status
        assert response.headers.get_list("Cache-Control") == [PRIVATE]


async def sign_in(browser: Browser) -> None:
    """Sign in at the server of *browser*, whose routes have no page for it."""
    manager = browser.site.application.managers[0]
    session = await manager.load(None)
    session.sign_in("ada")
    cookie = await session.commit()
    assert cookie is not None
    browser.cookies["session"] = cookie.partition(";")[0].partition("=")[2]


@pytest.mark.gen_test
async def test_what_a_method_says_of_caching_stays(serve: Serve) -> None:
    browser = open_page(serve, Shows)
    await sign_in(browser)
    response = await browser.get("/page?how=public")
    assert response.headers.get_list("Cache-Control") == ["public, max-age=60"]
    assert "Cache-Control" not in (await browser.get("/page?how=cleared")).headers


class SaysByDefault(Shows):
    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")


class AddsByDefault(Shows):
    def set_default_headers(self) -> None:
        self.add_header("cache-control", "no-store")


class SaysInPrepare(Shows):
    async def prepare(self) -> None:
        await super().prepare()
        self.set_header("Cache-Control", "no-store")


class SaysBeforePrepare(Shows):
    def initialize(self) -> None:
        self.set_header("Cache-Control", "no-store")


class SaysOnErrorPage(Shows):
    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Cache-Control", "no-store")


SAY: list[tuple[type[RequestHandler], str, str]] = [
    (SaysByDefault, "no-store", "no-store"),
    (AddsByDefault, "no-store", "no-store"),
    (SaysInPrepare, "no-store", PRIVATE),  # Tornado clears it for the error page
    (SaysBeforePrepare, "no-store", PRIVATE),
    (SaysOnErrorPage, PRIVATE, "no-store"),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("page", "told", "on_error_page"), SAY)
async def test_what_the_handler_says_elsewhere_stays(
    serve: Serve, page: type[RequestHandler], told: str, on_error_page: str
) -> None:
    browser = open_page(serve, page)
    await sign_in(browser)
    response = await browser.get("/page")
    assert response.headers.get_list("Cache-Control") == [told]
    for how in ("404", "500", "send"):
        response = await browser.get(f"/page?how={how}")
        assert response.headers.get_list("Cache-Control") == [on_error_page], how


class PrivateFile(SessionMixin, StaticFileHandler):
    """A file behind the mixin."""


@pytest.mark.gen_test
async def test_files_behind_the_mixin_are_private(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("contents")
    kwargs = {"path": str(tmp_path)}
    files = [
        Group(prefix, Route("<path:path>", handler, kwargs=kwargs), authenticated=guarded)
        for prefix, handler, guarded in (
            ("open", PrivateFile, None),
            ("in", PrivateFile, True),
            ("plain", StaticFileHandler, True),
        )
    ]
    routes = Group("/", Route("sign-in", SignIn), *files, sessions=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    assert (await browser.get("/in/file.txt")).code == 401
    assert "Cache-Control" not in (await browser.get("/open/file.txt")).headers
    await browser.text("/sign-in")
    for path in ("/open/file.txt", "/in/file.txt", "/plain/file.txt"):
        response = await browser.get(path)
        assert response.body == b"contents"
        assert response.headers["Cache-Control"] == PRIVATE
        not_modified = await browser.get(path, headers={"If-None-Match": response.headers["Etag"]})
        assert (not_modified.code, not_modified.headers["Cache-Control"]) == (304, PRIVATE)
        missing = await browser.get(path + "x")
        assert (missing.code, missing.headers["Cache-Control"]) == (404, PRIVATE)


@pytest.mark.gen_test
async def test_the_page_of_another_managers_user_is_private(serve: Serve) -> None:
    admin = SessionManager(MemoryStore(), cookie=Cookie(name="admin"))

    class ShowsAdmin(Page):
        async def get(self) -> None:
            session = await self.session_of(admin)
            self.write(str(session.user))

    routes = Group(
        "/",
        Route("page", ShowsAdmin),
        Group("admin", Route("sign-in", SignIn), sessions=admin),
        sessions=True,
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    assert "Cache-Control" not in (await browser.get("/page")).headers
    await browser.text("/admin/sign-in")
    response = await browser.get("/page")
    assert (response.body, response.headers["Cache-Control"]) == (b"ada", PRIVATE)


@pytest.mark.gen_test
async def test_who_is_a_user_by_other_means_has_private_pages(serve: Serve) -> None:
    class ByHeader(Page):
        def get_current_user(self) -> Any:
            return self.request.headers.get("X-User")

        def get(self) -> None:
            self.write("page")

    routes = Group("/", Route("", ByHeader), sessions=True, authenticated=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    response = await browser.get("/", headers={"X-User": "ada"})
    assert (response.code, response.headers["Cache-Control"]) == (200, PRIVATE)


@pytest.mark.gen_test
async def test_a_new_cookie_goes_with_no_store(serve: Serve) -> None:
    routes = Group(
        "/",
        *(Route("keep", Keep), Route("renew", Renew), Route("sign-in", SignIn)),
        sessions=True,
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    for path in ("/sign-in", "/renew"):
        response = await browser.get(path)
        assert response.headers.get_list("Cache-Control") == ["no-store"]
    response = await browser.get("/keep")
    assert response.headers.get_list("Cache-Control") == [PRIVATE]


class Nonce(Shows):
    """Has a nonce for each response, in a default header and in the page."""

    said = 0

    def set_default_headers(self) -> None:
        Nonce.said += 1
        self.nonce = f"nonce-{Nonce.said}"
        self.set_header("Content-Security-Policy", f"script-src '{self.nonce}'")

    def get(self) -> None:
        self.write(self.nonce)


class PlainNonce(RequestHandler):
    set_default_headers = Nonce.set_default_headers
    get = Nonce.get


@pytest.mark.gen_test
@pytest.mark.parametrize("authenticated", [False, True])
async def test_default_headers_are_set_once(serve: Serve, authenticated: bool) -> None:
    pages = [Route("page", Nonce), Route("plain", PlainNonce), Route("sign-in", SignIn)]
    inside = Group("in", *pages[:2], authenticated=authenticated)
    routes = Group("/", pages[2], inside, sessions=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    await browser.text("/sign-in")
    for path in ("/in/page", "/in/plain"):
        before = Nonce.said
        response = await browser.get(path)
        assert Nonce.said == before + 1
        nonce = response.headers["Content-Security-Policy"].split("'")[1]
        assert response.body.decode() == nonce
    assert (await browser.get("/in/page")).headers["Cache-Control"] == PRIVATE
