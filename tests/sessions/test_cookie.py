"""The session cookie: its attributes over HTTP and TLS, and what caches are told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from app import Config, Cookie, Group, Route, SessionManager, make_app
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Keep, Kept, Page, Plain
from tests.helpers.site import Browser, Site

DAY = 24 * 3600


class Remove(Page):
    def get(self) -> None:
        self.session.destroy()


class Renew(Page):
    def get(self) -> None:
        self.session.regenerate()


class Cacheable(Page):
    def get(self) -> None:
        self.set_header("Cache-Control", "public, max-age=3600")
        self.session["kept"] = "yes"


class Ephemeral(Page):
    def get(self) -> None:
        self.session["kept"] = "yes"
        self.session.persistent = False


ROUTES = (
    Route("keep", Keep),
    Route("kept", Kept),
    Route("remove", Remove),
    Route("renew", Renew),
    Route("cacheable", Cacheable),
    Route("ephemeral", Ephemeral),
    Route("plain", Plain),
    Group("required", Route("", Plain), authenticated=True),
)

Visit = Callable[..., Browser]


@pytest.fixture
def visit(io_loop: Any, clock: FakeClock) -> Iterator[Visit]:
    """Serve with this cookie: `browser = visit(Cookie(...), xheaders=True)`."""
    sites: list[Site] = []

    def start(cookie: Cookie | None = None, *, xheaders: bool = False, **times: Any) -> Browser:
        manager = SessionManager(MemoryStore(), cookie=cookie, clock=clock, **times)
        routes = Group(manager.cookie.path, *ROUTES, sessions=True)
        sites.append(Site(make_app(Config(routes, manager)), xheaders=xheaders))
        return sites[-1].browser()

    yield start
    for site in sites:
        io_loop.run_sync(site.close)


def below(cookie: Cookie, page: str) -> str:
    """Return the path of *page* where *cookie* is sent."""
    return f"{cookie.path.rstrip('/')}/{page}"


async def set_cookie(browser: Browser, path: str, **headers: str) -> tuple[str, str, set[str]]:
    """Return (name, value, attributes) of the one cookie that *path* sets."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await browser.get(path, headers=names)
    assert response.code == 200
    (header,) = response.headers.get_list("Set-Cookie")
    pair, *attributes = header.split("; ")
    name, _, value = pair.partition("=")
    assert len(attributes) == len(set(attributes)), header
    return name, value, set(attributes)


@pytest.mark.gen_test
async def test_the_default_cookie(visit: Visit) -> None:
    name, value, attributes = await set_cookie(visit(), "/keep")
    assert name == "session"
    assert re.fullmatch(r"[A-Za-z0-9_-]{54}", value)
    assert attributes == {f"Max-Age={14 * DAY}", "Path=/", "SameSite=Lax", "HttpOnly"}


COOKIES = [
    (Cookie(name="id", domain="example.org"), {"Domain=example.org"}, set()),
    (Cookie(path="/app"), {"Path=/app"}, {"Path=/"}),
    (Cookie(samesite="Strict"), {"SameSite=Strict"}, {"SameSite=Lax"}),
    (Cookie(samesite="None"), {"SameSite=None", "Secure"}, {"SameSite=Lax"}),
    (Cookie(httponly=False), set(), {"HttpOnly"}),
    (Cookie(secure=True), {"Secure"}, set()),
    (Cookie(name="__Host-session"), {"Secure"}, set()),
    (
        Cookie(name="__Secure-session", domain="example.org"),
        {"Secure", "Domain=example.org"},
        set(),
    ),
    (
        Cookie(samesite="None", partitioned=True),
        {"SameSite=None", "Secure", "Partitioned"},
        {"SameSite=Lax"},
    ),
    (Cookie(name="__Http-session"), {"Secure"}, set()),
    (Cookie(name="__Host-Http-session"), {"Secure"}, set()),
    (Cookie(persistent=False), set(), {f"Max-Age={14 * DAY}"}),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("cookie", "added", "gone"), COOKIES)
async def test_each_setting_changes_its_attribute_and_no_other(
    visit: Visit, cookie: Cookie, added: set[str], gone: set[str]
) -> None:
    default = {f"Max-Age={14 * DAY}", "Path=/", "SameSite=Lax", "HttpOnly"}
    name, _, attributes = await set_cookie(visit(cookie), below(cookie, "keep"))
    assert name == cookie.name
    assert attributes == (default - gone) | added


@pytest.mark.gen_test
@pytest.mark.parametrize("cookie", [Cookie(), *(c[0] for c in COOKIES)])
async def test_the_removal_repeats_the_attributes(visit: Visit, cookie: Cookie) -> None:
    browser = visit(cookie)
    name, value, attributes = await set_cookie(browser, below(cookie, "keep"))
    assert browser.cookies == {name: value}
    same_name, nothing, removal = await set_cookie(browser, below(cookie, "remove"))
    assert (same_name, nothing) == (name, "")
    times = {"Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"}
    assert removal == (attributes - {f"Max-Age={14 * DAY}"}) | times
    assert browser.cookies == {}


@pytest.mark.gen_test
async def test_secure_by_itself_behind_a_proxy_that_speaks_tls(visit: Visit) -> None:
    browser = visit(xheaders=True)
    _, _, attributes = await set_cookie(browser, "/keep", X_Forwarded_Proto="https")
    assert "Secure" in attributes
    _, _, removal = await set_cookie(browser, "/remove", X_Forwarded_Proto="https")
    assert "Secure" in removal
    _, _, attributes = await set_cookie(browser, "/keep", X_Forwarded_Proto="http")
    assert "Secure" not in attributes


@pytest.mark.gen_test
async def test_a_proxys_header_is_not_believed_without_xheaders(visit: Visit) -> None:
    _, _, attributes = await set_cookie(visit(), "/keep", X_Forwarded_Proto="https")
    assert "Secure" not in attributes


@pytest.mark.gen_test
async def test_secure_false_is_never_secure(visit: Visit) -> None:
    browser = visit(Cookie(secure=False), xheaders=True)
    _, _, attributes = await set_cookie(browser, "/keep", X_Forwarded_Proto="https")
    assert "Secure" not in attributes


@pytest.mark.gen_test
async def test_max_age_is_what_is_left_of_the_lifetime(visit: Visit, clock: FakeClock) -> None:
    browser = visit(lifetime=timedelta(days=10), idle_timeout=timedelta(days=5))
    _, first, attributes = await set_cookie(browser, "/keep")
    assert f"Max-Age={10 * DAY}" in attributes
    clock.advance(3 * DAY)
    _, second, attributes = await set_cookie(browser, "/renew")
    assert f"Max-Age={7 * DAY}" in attributes
    assert first != second


@pytest.mark.gen_test
async def test_an_extended_session_needs_no_new_cookie(visit: Visit, clock: FakeClock) -> None:
    browser = visit(lifetime=timedelta(days=10), idle_timeout=timedelta(days=2))
    await browser.text("/keep")
    for _ in range(6):
        clock.advance(1.5 * DAY)
        response = await browser.get("/kept")
        assert response.body == b"before"
        assert "Set-Cookie" not in response.headers


@pytest.mark.gen_test
async def test_one_session_may_be_of_the_browser_session_only(visit: Visit) -> None:
    _, _, attributes = await set_cookie(visit(), "/ephemeral")
    assert attributes == {"Path=/", "SameSite=Lax", "HttpOnly"}


@pytest.mark.gen_test
async def test_nothing_is_sent_where_nothing_was_begun(visit: Visit) -> None:
    browser = visit()
    for path in ("/kept", "/remove", "/plain"):
        assert "Set-Cookie" not in (await browser.get(path)).headers, path


@pytest.mark.gen_test
async def test_a_change_of_a_saved_session_sends_no_cookie(visit: Visit) -> None:
    browser = visit()
    await browser.text("/keep")
    for path in ("/cacheable", "/kept"):
        assert "Set-Cookie" not in (await browser.get(path)).headers, path


@pytest.mark.gen_test
async def test_who_looks_at_the_session_varies_by_cookie(visit: Visit) -> None:
    browser = visit()
    for path in ("/kept", "/keep", "/required", "/remove"):
        response = await browser.get(path)
        assert response.headers.get("Vary") == "Cookie", path
    assert "Vary" not in (await browser.get("/plain")).headers


@pytest.mark.gen_test
async def test_an_answer_that_sets_the_cookie_is_not_cacheable(visit: Visit) -> None:
    browser = visit()
    assert (await browser.get("/cacheable")).headers["Cache-Control"] == "no-store"
    cached = await browser.get("/cacheable")
    assert cached.headers["Cache-Control"] == "public, max-age=3600"
    assert (await browser.get("/remove")).headers["Cache-Control"] == "no-store"
