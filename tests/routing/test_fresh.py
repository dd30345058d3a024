"""Only who proved lately who he is comes in to a group with `fresh=`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from tornado.httpclient import HTTPResponse
from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from app import Group, Route, SessionManager
from app.freshness import SKEW
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Page, Plain, Renew, SignIn
from tests.helpers.site import Browser, Site
from tests.helpers.websockets import HANDSHAKE

Serve = Callable[..., Site]

QUARTER = timedelta(minutes=15)

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

CHALLENGE = 'Cookie realm="session", error="insufficient_user_authentication", max_age="900"'

PREFLIGHT = {"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"}

RAN: list[str] = []
"""What of a page ran in this test."""


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    RAN.clear()
    return RAN


class Notes(RequestHandler):
    """Notes that it ran, in any of its methods."""

    def get(self) -> None:
        RAN.append(str(self.request.method))
        self.write("done")

    post = put = delete = patch = head = options = get


class Secret(Page, Notes):
    pass


class PlainSecret(Notes):
    def prepare(self) -> None:
        RAN.append("prepare")
        if method := self.request.headers.get("X-Method"):
            self.request.method = method


class Swallows(Secret):
    async def prepare(self) -> None:
        with contextlib.suppress(BaseException):
            await super().prepare()


class Overrides(Secret):
    """Turns a preflight into another method."""

    async def prepare(self) -> None:
        await super().prepare()
        if method := self.request.headers.get("X-Method"):
            self.request.method = method


class Confirms(Secret):
    """Takes the password along with the request."""

    async def prepare(self) -> None:
        with contextlib.suppress(Exception):
            await super().prepare()
        if self.get_argument("password", ""):
            self.session.confirm()


class Socket(Secret, WebSocketHandler):
    get = WebSocketHandler.get  # type: ignore[assignment]

    def open(self) -> None:
        RAN.append("open")


class ByHeader(Notes):
    """Knows its users by a header; what the header says may be JSON's."""

    def get_current_user(self) -> Any:
        name = self.request.headers.get("X-User")
        return name.encode() if name and "X-Bytes" in self.request.headers else name


class ByHeaderWithSession(Page, ByHeader):
    pass


class ByRow(Page, Notes):
    """Has a row of a table for its user."""

    def get_current_user(self) -> Any:
        return {"name": self.session.user} if self.session.user else None


@stream_request_body
class Upload(Page):
    clock: ClassVar[FakeClock]

    def data_received(self, chunk: bytes) -> None:
        RAN.append("data")
        self.clock.advance(3600)

    def post(self) -> None:
        RAN.append("POST")


class Confirm(Page):
    def get(self) -> None:
        self.session.confirm()


HANDLERS: dict[str, type[RequestHandler]] = {
    "mixin": Secret,
    "plain": PlainSecret,
    "swallows": Swallows,
    "overrides": Overrides,
    "confirms": Confirms,
    "socket": Socket,
    "header": ByHeader,
    "session-header": ByHeaderWithSession,
    "row": ByRow,
    "upload": Upload,
}


@pytest.fixture
def site(serve: Serve, clock: FakeClock) -> Site:
    Upload.clock = clock
    routes = Group(
        "/",
        *(Route("sign-in", SignIn), Route("confirm", Confirm), Route("renew", Renew)),
        Group("in", *(Route(path, h) for path, h in HANDLERS.items()), fresh=QUARTER),
        Group("reading", Route("mixin", Secret), read_only=True, fresh=QUARTER),
        sessions=True,
    )
    return serve(routes, SessionManager(MemoryStore(), clock=clock), login_url="/sign-in")


async def signed_in(site: Site, clock: FakeClock, ago: float = 900) -> Browser:
    """Return a browser whose user signed in that many seconds *ago*."""
    browser = site.browser()
    await browser.text("/sign-in")
    clock.advance(ago)
    return browser


def login_query(response: HTTPResponse) -> dict[str, str]:
    """Return what the login page is told that *response* leads to."""
    assert response.code == 302, response.code
    assert "Cookie" in response.headers.get_list("Vary")
    url = urlsplit(response.headers["Location"])
    assert url.path == "/sign-in"
    return dict(parse_qsl(url.query))


PATHS = ["/in/mixin", "/in/plain", "/reading/mixin", "/in/row"]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
async def test_who_proved_long_ago_is_as_nobody(
    site: Site, ran: list[str], clock: FakeClock, path: str
) -> None:
    browser = await signed_in(site, clock, 899)
    assert await browser.text(path) == "done"
    ran.clear()
    clock.advance(1)
    for method in ("GET", "HEAD"):
        response = await browser.get(f"{path}?a=1", method=method, headers=HTML)
        assert login_query(response) == {"next": f"{path}?a=1", "reauthenticate": "1"}
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        headers = {} if method in ("GET", "HEAD") else HTML
        response = await browser.get(path, method=method, headers=headers, **body(method))
        assert (response.code, response.headers["WWW-Authenticate"]) == (401, CHALLENGE)
        assert "Set-Cookie" not in response.headers
    assert ran == []
    await browser.text("/renew")  # which proves nothing
    assert (await browser.get(path)).code == 401
    await browser.text("/confirm")
    assert await browser.text(path) == "done"
    clock.advance(900)
    assert (await browser.get(path)).code == 401
    await browser.text("/sign-in")
    assert await browser.text(path) == "done"


def body(method: str) -> dict[str, Any]:
    return {"body": "x"} if method in ("POST", "PUT", "PATCH") else {}


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
async def test_nobody_is_answered_as_before(site: Site, path: str) -> None:
    """Who is not signed in is not asked to prove it again."""
    response = await site.fetch(path, headers=HTML)
    assert login_query(response) == {"next": path}
    response = await site.fetch(path)
    assert response.headers["WWW-Authenticate"] == 'Cookie realm="session"'


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/mixin", "/in/plain", "/in/session-header", "/in/header"])
async def test_a_token_that_was_just_replaced_is_409(
    site: Site, clock: FakeClock, path: str
) -> None:
    browser = await signed_in(site, clock, 0)
    former = site.browser()
    former.cookies = dict(browser.cookies)
    await browser.text("/confirm")
    response = await former.get(path, headers={"X-User": "ada", **HTML})
    assert (response.code, response.headers["Retry-After"]) == (409, "10")
    assert await browser.text(path, headers={"X-User": "ada"}) == "done"


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/session-header", "/in/header"])
async def test_a_user_of_the_handlers_own_needs_the_sessions_proof(
    site: Site, clock: FakeClock, path: str, ran: list[str]
) -> None:
    """The session must be the same user's: somebody else's proof is none."""
    ada = {"X-User": "ada"}
    assert (await site.fetch(path, headers=ada)).code == 401
    browser = await signed_in(site, clock, 0)
    assert (await browser.get(path)).code == 401
    for extra in ({}, {"X-Bytes": ""}):
        assert (await browser.get(path, headers={"X-User": "eve", **extra})).code == 401
        assert await browser.text(path, headers={**ada, **extra}) == "done"
    ran.clear()
    clock.advance(900)
    response = await browser.get(path, headers=ada)
    assert (response.code, response.headers["WWW-Authenticate"], ran) == (401, CHALLENGE, [])


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/overrides", "/in/plain"])
async def test_a_preflight_passes_and_opens_no_other_method(
    site: Site, clock: FakeClock, ran: list[str], path: str
) -> None:
    for browser in (site.browser(), await signed_in(site, clock)):
        response = await browser.get(path, method="OPTIONS", headers=PREFLIGHT)
        assert (response.code, ran[-1]) == (200, "OPTIONS")
        ran.clear()
        headers = {**PREFLIGHT, "X-Method": "DELETE"}
        assert (await browser.get(path, method="OPTIONS", headers=headers)).code == 401
        assert "DELETE" not in ran


@pytest.mark.gen_test
async def test_a_refusal_that_prepare_swallows_opens_nothing(
    site: Site, clock: FakeClock, ran: list[str]
) -> None:
    browser = await signed_in(site, clock)
    for path in ("/in/swallows", "/in/confirms"):
        for method in ("GET", "POST"):
            assert (await browser.get(path, method=method, **body(method))).code == 401
    assert ran == []
    response = await browser.get("/in/confirms?password=right")
    assert (response.code, "Set-Cookie" in response.headers) == (200, True)
    assert await browser.text("/in/mixin") == "done"


@pytest.mark.gen_test
async def test_a_long_upload_is_as_fresh_as_it_began(
    site: Site, clock: FakeClock, ran: list[str]
) -> None:
    browser = await signed_in(site, clock, 899)
    assert (await browser.get("/in/upload", method="POST", body="x")).code == 200
    assert ran == ["data", "POST"]
    assert (await browser.get("/in/upload", method="POST", body="x")).code == 401
    assert ran == ["data", "POST"]


@pytest.mark.gen_test
async def test_a_websocket_is_refused_too(site: Site, clock: FakeClock, ran: list[str]) -> None:
    browser = await signed_in(site, clock)
    assert (await browser.get("/in/socket", headers=HANDSHAKE)).code == 401
    assert ran == []


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/mixin", "/in/plain"])
async def test_a_clock_that_goes_back_makes_nobody_fresh_for_ever(
    site: Site, clock: FakeClock, path: str
) -> None:
    """Clocks may differ by a minute; a proof from further ahead is none until it is given anew."""
    browser = await signed_in(site, clock, 0)
    clock.advance(-SKEW)
    assert await browser.text(path) == "done"
    clock.advance(-1)
    assert (await browser.get(path)).code == 401
    clock.advance(-100_000)
    assert (await browser.get(path)).code == 401
    await browser.text("/confirm")
    assert await browser.text(path) == "done"
    clock.advance(900)
    assert (await browser.get(path)).code == 401


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/in/mixin", "/in/plain", "/in/header"])
async def test_who_is_refused_has_used_the_session(site: Site, clock: FakeClock, path: str) -> None:
    """It does not end while its user is asked to prove again who he is."""
    browser = await signed_in(site, clock)
    for _ in range(4):
        clock.advance(timedelta(hours=20).total_seconds())
        headers = {"X-User": "ada"}
        assert (await browser.get(path, headers=headers)).code == 401
    await browser.text("/confirm")
    assert await browser.text(path, headers=headers) == "done"


class OwnLogin(Secret):
    url: ClassVar[str] = ""

    def get_login_url(self) -> str:
        return self.url


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("login", "location"),
    [
        ("/login", "/login?next=%2Fown&reauthenticate=1"),
        ("/login?next=/", "/login?next=/&reauthenticate=1"),
        ("/login#form", "/login?next=%2Fown&reauthenticate=1#form"),
        ("/login?a#form", "/login?a&reauthenticate=1#form"),
        ("/own", None),
        ("/own?reauthenticate=1", None),
        ("", None),
    ],
)
async def test_any_login_page_is_told(
    serve: Serve, clock: FakeClock, login: str, location: str | None
) -> None:
    OwnLogin.url = login
    routes = Group(
        "/",
        Route("sign-in", SignIn),
        Group("own", Route("", OwnLogin), fresh=QUARTER),
        sessions=True,
    )
    browser = await signed_in(serve(routes, SessionManager(MemoryStore(), clock=clock)), clock)
    response = await browser.get("/own", headers=HTML)
    assert (response.code, response.headers.get("Location")) == (
        302 if location else 401,
        location,
    )


@pytest.mark.gen_test
async def test_fresh_is_inherited_and_overridden(serve: Serve, clock: FakeClock) -> None:
    plain = Route("", Plain)
    routes = Group(
        "/",
        Route("sign-in", SignIn),
        Group(
            "in",
            plain,
            Group("inner", plain),
            Group("hour", plain, fresh=timedelta(hours=1)),
            Group("users", plain, fresh=False),
            Group("open", plain, fresh=False, authenticated=False),
            fresh=QUARTER,
        ),
        Group("off", Group("on", plain, authenticated=None, fresh=QUARTER), authenticated=False),
        sessions=True,
    )
    site = serve(routes, SessionManager(MemoryStore(), clock=clock))

    async def codes(browser: Browser) -> list[int]:
        paths = ("/in", "/in/inner", "/in/hour", "/in/users", "/in/open", "/off/on")
        return [(await browser.get(path)).code for path in paths]

    assert await codes(site.browser()) == [401, 401, 401, 401, 200, 401]
    assert await codes(await signed_in(site, clock, 10)) == [200] * 6
    assert await codes(await signed_in(site, clock)) == [401, 401, 200, 200, 200, 401]
