"""Nobody's browser is led to the login page, and back to no other site; all else is 401."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

import pytest
from tornado.httpclient import HTTPResponse
from tornado.web import HTTPError, RequestHandler

from app import (
    Config,
    ConfigurationError,
    Group,
    Route,
    SessionManager,
    SessionMixin,
    make_app,
)
from stores import MemoryStore
from tests.helpers.pages import Page, Plain, SignIn
from tests.helpers.raw import raw_request
from tests.helpers.site import Browser, Site

Serve = Callable[..., Site]

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Members(Page):
    def get(self, **arguments: str) -> None:
        self.write("members")

    head = post = put = get


class LoginAt:
    """Has a login page of its own."""

    url = ""

    def get_login_url(self) -> str:
        return self.url


class OwnLogin(LoginAt, Members):
    pass


class PlainOwnLogin(LoginAt, Plain):
    pass


class WithOptions(Members):
    async def options(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "https://a.example")
        self.set_status(204)


class PlainWithOptions(Plain):
    def options(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "https://a.example")
        self.set_status(204)


class OptionsOfAnother(WithOptions):
    """Has its options from a class between."""


class ErrorPage(Members):
    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.write(f"own page {status_code} for {self.current_user}")


class KnowsItsUser(Plain):
    def get_current_user(self) -> Any:
        return self.request.headers.get("X-User")


class PlainErrorPage(Plain):
    def set_default_headers(self) -> None:
        self.set_header("X-Site", "mine")
        self.set_header("Vary", "Accept-Language")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("WWW-Authenticate", "Bearer")
        self.write(f"own page {status_code}")

    def get(self) -> None:
        raise HTTPError(404)


def browse(serve: Serve, **settings: Any) -> Browser:
    inside = {
        "page": Members,
        "plain": Plain,
        "own": OwnLogin,
        "plain-own": PlainOwnLogin,
        "options": WithOptions,
        "plain-options": PlainWithOptions,
        "options-of-another": OptionsOfAnother,
        "error": ErrorPage,
        "plain-error": PlainErrorPage,
        "login": Members,
        "<path:rest>": Members,
    }
    routes = Group(
        "/",
        Route("sign-in", SignIn),
        Group("", *(Route(path, h) for path, h in inside.items()), authenticated=True),
        sessions=True,
    )
    return serve(routes, SessionManager(MemoryStore()), **settings).browser()


def login_page(response: HTTPResponse) -> tuple[str, str]:
    """Return the login page that *response* leads to, and the page to come back to."""
    assert response.code == 302, response.code
    assert response.headers["Vary"] == "Cookie"
    assert "Set-Cookie" not in response.headers
    url, _, query = response.headers["Location"].partition("?")
    return url, parse_qs(query).get("next", [""])[0]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/page", "/plain"])
async def test_a_navigation_is_led_to_the_login_page(serve: Serve, path: str) -> None:
    browser = browse(serve, login_url="/sign-in")
    for method in ("GET", "HEAD"):
        response = await browser.get(f"{path}?a=1&b=%2F", method=method, headers=HTML)
        assert login_page(response) == ("/sign-in", f"{path}?a=1&b=%2F")
    await browser.text("/sign-in")
    assert await browser.text(path, headers=HTML) in ("members", "plain")


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/page", "/plain"])
async def test_what_is_no_navigation_is_401(serve: Serve, path: str) -> None:
    browser = browse(serve, login_url="/sign-in")
    for method, headers in (
        ("GET", {}),
        ("GET", {"Accept": "*/*"}),
        ("GET", {"Accept": "application/json"}),
        ("POST", HTML),
        ("PUT", HTML),
    ):
        response = await browser.get(path, method=method, headers=headers)
        assert response.code == 401
        assert response.headers["WWW-Authenticate"] == 'Cookie realm="session"'


@pytest.mark.gen_test
async def test_without_a_login_url_a_navigation_is_401(serve: Serve) -> None:
    browser = browse(serve)
    for path in ("/page", "/plain"):
        assert (await browser.get(path, headers=HTML)).code == 401
    for path in ("/own", "/plain-own"):
        LoginAt.url = "/own-login"
        assert login_page(await browser.get(path, headers=HTML)) == ("/own-login", path)
        LoginAt.url = ""
        assert (await browser.get(path, headers=HTML)).code == 401


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("login", "path"),
    [
        ("{at}", "{at}"),
        ("{at}?from=members", "{at}"),
        ("?login=1", "{at}"),
        ("https://www.example{at}", "{at}?next=https%3A%2F%2Fwww.example%2Flogin"),
    ],
)
async def test_a_login_page_that_takes_users_only_is_401(
    serve: Serve, login: str, path: str
) -> None:
    """The way to the login page ends there, even if the page itself takes users only."""
    browser = browse(serve)
    for at in ("/own", "/plain-own"):
        LoginAt.url = login.format(at=at)
        assert (await browser.get(path.format(at=at), headers=HTML)).code == 401


@pytest.mark.parametrize("login", ["/in", "/in?from=members", "/in/page/7"])
def test_a_login_url_that_takes_users_only_is_refused(login: str) -> None:
    inside = (Route("", Plain), Route("page/<int:id>", Members))
    with pytest.raises(ConfigurationError, match="group /in: the setting login_url leads to /in"):
        build(*inside, login_url=login)
    build(*inside, login_url="https://id.example/in")
    build(*inside, login_url="/elsewhere")
    build(Route("", KnowsItsUser), login_url="/in")


@pytest.mark.parametrize("handler", [Plain, Members, KnowsItsUser])
def test_a_login_url_that_takes_fresh_users_only_is_refused(handler: Any) -> None:
    with pytest.raises(ConfigurationError, match="with authenticated=False, fresh=False"):
        build(Route("", handler), login_url="/in", fresh=timedelta(minutes=1))


def build(*inside: Route, fresh: timedelta | None = None, **settings: Any) -> None:
    routes = Group("/", Group("in", *inside, authenticated=True, fresh=fresh), sessions=True)
    make_app(Config(routes, SessionManager(MemoryStore()), settings))


@pytest.mark.gen_test
async def test_a_login_page_elsewhere_may_have_the_same_path(serve: Serve) -> None:
    browser = browse(serve, login_url="https://id.example/page")
    here = browser.site.url
    response = await browser.get("/page", headers=HTML)
    assert login_page(response) == ("https://id.example/page", f"{here}/page")


@pytest.mark.gen_test
async def test_an_absolute_login_url_gets_an_absolute_next(serve: Serve) -> None:
    for login in ("https://id.example/in", "//id.example/in"):
        browser = browse(serve, login_url=login)
        response = await browser.get("/page?a=1", headers=HTML)
        assert login_page(response) == (login, f"{browser.site.url}/page?a=1")


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/x",
        "/\\evil.example/x",
        "///evil.example",
        "/\\/evil.example",
        "//evil.example@127.0.0.1/",
    ],
)
async def test_next_names_no_other_site(serve: Serve, target: str) -> None:
    for login in ("/sign-in", "https://id.example/in"):
        site = browse(serve, login_url=login).site
        status, head, _ = await raw_request(site, "GET", target, "Accept: text/html")
        assert status == 302
        (location,) = (x for x in head.splitlines() if x.lower().startswith("location:"))
        back = parse_qs(urlsplit(location.partition(" ")[2]).query)["next"][0]
        where = urlsplit(back.replace("\\", "/"))  # as browsers read it
        assert where.netloc in ("", "localhost"), back


@pytest.mark.gen_test
async def test_next_has_the_bytes_of_the_request(serve: Serve) -> None:
    site = browse(serve, login_url="/sign-in").site
    for target in ("/page?a=%C3%A9&b=%0d%0a", "/page?a=\xe9".encode()):
        status, head, _ = await raw_request(site, "GET", target, "Accept: text/html")
        assert status == 302
        (location,) = (x for x in head.splitlines() if x.lower().startswith("location:"))
        sent = target if isinstance(target, str) else target.decode("latin-1")
        assert unquote_to_bytes(location.partition("next=")[2]) == sent.encode("latin-1")


# Preflights


PREFLIGHT = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/options", "/plain-options", "/options-of-another"])
async def test_a_preflight_passes_to_the_handlers_own_options(serve: Serve, path: str) -> None:
    browser = browse(serve, login_url="/sign-in")
    response = await browser.get(path, method="OPTIONS", headers=PREFLIGHT)
    assert response.code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"
    for name in PREFLIGHT:
        headers = {k: v for k, v in PREFLIGHT.items() if k != name}
        assert (await browser.get(path, method="OPTIONS", headers=headers)).code == 401
    for method in ("GET", "POST", "DELETE"):
        assert (await browser.get(path, method=method, headers=PREFLIGHT)).code in (401, 403)


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/page", "/plain"])
async def test_a_preflight_without_an_options_is_401(serve: Serve, path: str) -> None:
    browser = browse(serve)
    assert (await browser.get(path, method="OPTIONS", headers=PREFLIGHT)).code == 401


# Error pages


@pytest.mark.gen_test
async def test_a_refusal_has_the_handlers_own_error_page(serve: Serve) -> None:
    browser = browse(serve)
    response = await browser.get("/error")
    assert (response.code, response.body) == (401, b"own page 401 for None")
    assert response.headers["WWW-Authenticate"] == 'Cookie realm="session"'
    response = await browser.get("/plain-error")
    assert (response.code, response.body) == (401, b"own page 401")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["X-Site"] == "mine"
    assert response.headers.get_list("Vary") == ["Accept-Language", "Cookie"]
    await browser.text("/sign-in")
    response = await browser.get("/plain-error")
    assert (response.code, response.body) == (404, b"own page 404")
    assert response.headers.get_list("Vary") == ["Accept-Language", "Cookie"]


class LedBehind(RequestHandler):
    def get_login_url(self) -> str:
        return "/behind"


@pytest.mark.gen_test
async def test_the_login_url_of_a_class_behind_counts(serve: Serve) -> None:
    page = type("Private", (SessionMixin, LedBehind), {})
    routes = Group("/", Route("page", page), sessions=True, authenticated=True)
    browser = serve(routes, SessionManager(MemoryStore()), login_url="/sign-in").browser()
    assert login_page(await browser.get("/page", headers=HTML)) == ("/behind", "/page")
