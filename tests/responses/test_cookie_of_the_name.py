"""Of two `Set-Cookie` lines for the session's cookie, the session's own is the one that leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import RequestHandler

from app import Cookie, Group, Route, SessionManager
from stores import MemoryStore
from tests.helpers.pages import Keep, Kept, Page, SignIn
from tests.helpers.site import Browser, Site

Act = Callable[[RequestHandler], Any]
Open = Callable[..., Browser]

SAME: dict[str, Act] = {
    "set_cookie": lambda page: page.set_cookie("session", "x"),
    "bytes": lambda page: page.set_cookie(b"session", "x"),  # type: ignore[arg-type]
    "keywords": lambda page: page.set_cookie(name="session", value="x", path="/"),
    "positional": lambda page: page.set_cookie("session", "x", None, None, "/", 30),
    "no domain": lambda page: page.set_cookie("session", "x", domain=""),
    "no path": lambda page: page.set_cookie("session", "x", path=""),
    "no path, either": lambda page: page.set_cookie("session", "x", path=None),  # type: ignore[arg-type]
    "a path of no use": lambda page: page.set_cookie("session", "x", path="shop"),
    "the host by name": lambda page: page.set_cookie("session", "x", "localhost"),
    "the host by number": lambda page: page.set_cookie("session", "x", "127.0.0.1"),
    "signed": lambda page: page.set_signed_cookie("session", "x"),
    "clear_cookie": lambda page: page.clear_cookie("session"),
    "clear_all": lambda page: page.clear_all_cookies(),
}

OTHER: dict[str, Act] = {
    "another path": lambda page: page.clear_cookie("session", path="/old"),
    "that path with a slash": lambda page: page.clear_cookie("session", path="//"),
    "another domain": lambda page: page.clear_cookie("session", domain="example.org"),
    "positional domain": lambda page: page.set_cookie("session", "x", "example.org"),
    "positional path": lambda page: page.set_cookie("session", "x", None, None, "/old"),
    "all of a domain": lambda page: page.clear_all_cookies(domain="example.org"),
    "another case": lambda page: page.set_cookie("Session", "x"),
    "another name": lambda page: page.set_cookie("session2", "x"),
}

BESIDE: dict[str, Act] = {
    "sign_in": lambda page: page.session.sign_in("ada"),  # type: ignore[attr-defined]
    "regenerate": lambda page: page.session.regenerate(),  # type: ignore[attr-defined]
    "destroy": lambda page: page.session.destroy(),  # type: ignore[attr-defined]
    "nothing": lambda page: None,
}


@pytest.fixture
def start(serve: Callable[..., Site]) -> Open:
    def start(*acts: Act, **cookie: Any) -> Browser:
        class Acts(Page):
            def get(self) -> None:
                for act in acts:
                    act(self)

        manager = SessionManager(MemoryStore(), cookie=Cookie(**cookie))
        pages = (Route("page", Acts), Route("keep", Keep), Route("kept", Kept))
        return serve(Group("/", *pages, sessions=True), manager, cookie_secret="s").browser()

    return start


def names(set_cookies: list[str], name: str = "session") -> list[str]:
    return [line for line in set_cookies if line.startswith(f"{name}=")]


@pytest.mark.gen_test
@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("way", SAME)
@pytest.mark.parametrize("before", [True, False])
async def test_the_sessions_own_is_the_one_that_leaves(
    start: Open, caplog: pytest.LogCaptureFixture, way: str, beside: str, before: bool
) -> None:
    acts = (SAME[way], BESIDE[beside]) if before else (BESIDE[beside], SAME[way])
    browser = start(*acts)
    await browser.text("/keep")
    response = await browser.get("/page")
    assert response.code == 200
    lines = response.headers.get_list("Set-Cookie")
    assert len(lines) == (0 if beside == "nothing" else 1)
    assert await browser.text("/kept") == ("nothing" if beside == "destroy" else "before")
    assert "leave the session's cookie session alone; use session.destroy()" in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("way", OTHER)
async def test_a_cookie_elsewhere_of_the_name_passes(
    start: Open, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """To clean up a cookie that an earlier deployment left at another path or domain."""
    browser = start(OTHER[way], BESIDE["regenerate"])
    await browser.text("/keep")
    response = await browser.get("/page")
    assert len(response.headers.get_list("Set-Cookie")) == 2
    assert "leave the session's cookie" not in caplog.text


DOMAINS: list[Act] = [
    lambda page: page.clear_cookie("session", domain="example.org", path="/app"),
    lambda page: page.clear_cookie("session", domain=".example.org", path="/app"),
    lambda page: page.clear_cookie("session", domain="EXAMPLE.org", path="/app"),
    lambda page: page.set_cookie("session", "x", "example.org", path=""),  # from /app/page
    lambda page: page.clear_all_cookies(path="/app", domain="example.org"),
]


@pytest.mark.gen_test
@pytest.mark.parametrize("act", range(len(DOMAINS)))
@pytest.mark.parametrize("domain", ["example.org", ".Example.ORG"])
async def test_a_domain_is_compared_as_browsers_do(
    serve: Callable[..., Site], caplog: pytest.LogCaptureFixture, act: int, domain: str
) -> None:
    class Acts(Page):
        def get(self) -> None:
            self.session.sign_in("ada")
            DOMAINS[act](self)

    manager = SessionManager(MemoryStore(), cookie=Cookie(domain=domain, path="/app"))
    browser = serve(Group("/app", Route("page", Acts), sessions=True), manager).browser()
    response = await browser.get("/app/page", headers={"Cookie": "session=garbage"})
    (line,) = response.headers.get_list("Set-Cookie")
    assert f"Domain={domain}" in line
    assert "Max-Age=1209600" in line
    assert "leave the session's cookie" in caplog.text


@pytest.mark.gen_test
async def test_nor_does_it_hit_the_other_managers_cookie(
    serve: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    """Cookies that are cleared before the other manager's session is loaded, too."""
    admin = SessionManager(MemoryStore(), cookie=Cookie("admin"))

    class Both(Page):
        async def get(self) -> None:
            self.clear_all_cookies()
            self.session["kept"] = "shop"
            (await self.session_of(admin)).sign_in("ada")

    routes = Group(
        "/", Route("both", Both), Group("admin", Route("", Kept), sessions=admin), sessions=True
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    browser.cookies = {"admin": "garbage", "theme": "dark"}
    response = await browser.get("/both")
    lines = response.headers.get_list("Set-Cookie")
    assert len(lines) == 3
    assert len(names(lines)) == len(names(lines, "admin")) == len(names(lines, "theme")) == 1
    assert "Max-Age=1209600" in names(lines, "admin")[0]
    assert "leave the session's cookie admin alone" in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("authenticated", [False, True])
async def test_a_handler_without_the_mixin_leaves_it_alone(
    serve: Callable[..., Site], caplog: pytest.LogCaptureFixture, authenticated: bool
) -> None:
    class Sets(RequestHandler):
        def get(self) -> None:
            self.set_cookie("session", "x")
            self.set_cookie("theme", "dark")

    routes = Group(
        "/",
        Route("sign-in", SignIn),
        Group("in", Route("", Sets), authenticated=authenticated),
        Group("off", Route("", Sets), sessions=False),
        sessions=True,
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    await browser.text("/sign-in")
    response = await browser.get("/in")
    assert response.headers.get_list("Set-Cookie") == ["theme=dark; Path=/"]
    assert "leave the session's cookie session alone" in caplog.text
    response = await browser.get("/off")
    assert len(response.headers.get_list("Set-Cookie")) == 2
