"""A request of another site, from which browsers keep the cookie back, costs nobody his session.

What it changes begins no session, whose cookie would take the place of the one kept back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import RequestHandler

from app import Cookie, Group, Route, SessionManager
from tests.helpers.account import Cart, SignIn, SignOut, Who, who
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Page
from tests.helpers.records import sessions_in
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

CROSS = {"Sec-Fetch-Site": "cross-site"}
PARTNER = "https://partner.example"


class CallBack(Page):
    """Takes what a partner's form posts, and leads on to a page of its own."""

    def post(self) -> None:
        self.session["paid"] = True
        self.redirect("/who", status=303)


class LateSignIn(Page):
    """Writes, commits, and signs in afterwards."""

    async def get(self) -> None:
        self.session["seen"] = True
        await self.session.commit()
        self.session.sign_in("ada")


class Restart(Page):
    """Ends the session and sets something."""

    def get(self) -> None:
        self.session.destroy()
        self.session["seen"] = True


class Streams(Page):
    async def get(self) -> None:
        self.session["seen"] = True
        self.write("begun")
        await self.flush()


ROUTES: tuple[tuple[str, type[RequestHandler]], ...] = (
    ("cart", Cart),
    ("who", Who),
    ("sign-in", SignIn),
    ("sign-out", SignOut),
    ("call-back", CallBack),
    ("late-sign-in", LateSignIn),
    ("restart", Restart),
    ("streams", Streams),
)

Visit = Callable[..., Browser]


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


@pytest.fixture
def visit(serve: Callable[..., Site], store: SpyStore, clock: FakeClock) -> Visit:
    def start(samesite: str) -> Browser:
        manager = SessionManager(store, cookie=Cookie(samesite=samesite), clock=clock)
        routes = Group("/", *(Route(path, page) for path, page in ROUTES), sessions=True)
        return serve(routes, manager, trusted_origins=[PARTNER]).browser()

    return start


async def without_cookie(browser: Browser, path: str, **options: Any) -> list[str]:
    """Send what a browser sends that keeps its cookie back; return what the answer sets."""
    jar = browser.cookies
    browser.cookies = {}
    headers = {**CROSS, **options.pop("headers", {})}
    response = await browser.get(path, headers=headers, **options)
    assert response.code in (200, 303), response.code
    browser.cookies = {**jar, **browser.cookies}
    return list(response.headers.get_list("Set-Cookie"))


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/cart?item=x", "/streams", "/restart", "/sign-out"])
async def test_a_link_from_another_site_costs_no_session(
    visit: Visit, store: SpyStore, path: str
) -> None:
    browser = visit("Strict")
    await browser.text("/sign-in?user=ada")
    store.calls.clear()
    assert await without_cookie(browser, path) == []
    assert store.calls == []
    assert await who(browser) == ["ada", {}, True]


@pytest.mark.gen_test
@pytest.mark.parametrize("junk", ["garbage", "A" * 54, ""])
async def test_a_planted_cookie_does_not_undo_that(visit: Visit, junk: str) -> None:
    """A neighbour's cookie of the name comes along, in the place of the one that is kept back."""
    browser = visit("Strict")
    await browser.text("/sign-in?user=ada")
    for path in ("/cart?item=x", "/sign-out", "/restart"):
        planted = {"Cookie": f"session={junk}"}
        assert await without_cookie(browser, path, headers=planted) == [], path
    assert await who(browser) == ["ada", {}, True]


@pytest.mark.gen_test
async def test_several_planted_ones_end_without_a_new_cookie(visit: Visit, store: SpyStore) -> None:
    browser = visit("Strict")
    await browser.text("/sign-in?user=ada")
    planted = []
    for _ in range(2):
        mallory = browser.site.browser()
        await mallory.text("/cart?item=bait")
        planted.append(mallory.cookies["session"])
    headers = {"Cookie": "; ".join(f"session={one}" for one in planted)}
    for path in ("/cart?item=x", "/restart"):
        assert await without_cookie(browser, path, headers=headers) == [], path
    assert sessions_in(store) == 1
    assert await who(browser) == ["ada", {}, True]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/sign-in?user=ada", "/late-sign-in"])
async def test_a_sign_in_there_is_one(visit: Visit, path: str) -> None:
    """As one that a provider of identities leads back to."""
    browser = visit("Strict")
    (cookie,) = await without_cookie(browser, path)
    assert "SameSite=Strict" in cookie
    assert (await who(browser))[0] == "ada"


@pytest.mark.gen_test
@pytest.mark.parametrize("site", ["same-origin", "same-site", "none", None])
async def test_where_a_strict_cookie_comes_a_session_begins(visit: Visit, site: str | None) -> None:
    """Of these it is sent along, so that who has none has no session."""
    browser = visit("Strict")
    headers = {} if site is None else {"Sec-Fetch-Site": site}
    assert await browser.text("/cart?item=x", headers=headers) == "x"
    assert await who(browser) == [None, {"cart": ["x"]}, True]


@pytest.mark.gen_test
@pytest.mark.parametrize("samesite", ["Lax", "None"])
async def test_a_link_begins_one_where_the_cookie_comes(visit: Visit, samesite: str) -> None:
    browser = visit(samesite)
    await browser.text("/cart?item=x", headers=CROSS)
    assert await who(browser) == [None, {"cart": ["x"]}, True]


@pytest.mark.gen_test
@pytest.mark.parametrize("samesite", ["Lax", "Strict"])
async def test_a_trusted_sites_form_costs_no_session(visit: Visit, samesite: str) -> None:
    """A partner's POST is let in by `trusted_origins`, and comes without the cookie."""
    browser = visit(samesite)
    await browser.text("/sign-in?user=ada")
    post: dict[str, Any] = {"method": "POST", "headers": {"Origin": PARTNER}}
    assert await without_cookie(browser, "/call-back", **post) == []
    assert await who(browser) == ["ada", {}, True]


@pytest.mark.gen_test
async def test_a_trusted_sites_form_with_the_cookie_is_kept(visit: Visit) -> None:
    browser = visit("None")
    await browser.text("/cart?item=x")
    response = await browser.post("/call-back", headers={**CROSS, "Origin": PARTNER})
    assert response.code == 303
    assert await who(browser) == [None, {"cart": ["x"], "paid": True}, True]


@pytest.mark.gen_test
async def test_the_log_tells_once_what_was_dropped(
    visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    browser = visit("Strict")
    for _ in range(3):
        await without_cookie(browser, "/cart?item=x")
    assert caplog.text.count("a change of the session is dropped") == 1
    assert "keep back the cookie session (SameSite=Strict)" in caplog.text
