"""Requests from other sites are refused before their session is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from app import Group, Route, SessionManager
from stores import MemoryStore
from tests.helpers.pages import Page, Plain, kept, open_page
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]


class Form(Page):
    """A form that keeps what is posted to it."""

    def get(self) -> None:
        self.session["kept"] = "shown"
        self.write(self.xsrf_token)

    def post(self) -> None:
        self.session["kept"] = "posted"


@pytest.fixture
def store() -> SpyStore:
    return SpyStore(MemoryStore())


async def visited(serve: Serve, store: SpyStore, **settings: Any) -> Browser:
    """Return a browser that has a session and has seen the form."""
    browser = open_page(serve, Form, store, **settings)
    await browser.text("/page")
    store.calls.clear()
    return browser


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"},
]


@pytest.mark.gen_test
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_another_sites_post_is_403_without_a_store_call(
    serve: Serve, store: SpyStore, headers: dict[str, str]
) -> None:
    """A POST from another site is 403 without a look at the session."""
    browser = await visited(serve, store)
    response = await browser.post("/page", headers=headers)
    assert response.code == 403
    assert "Set-Cookie" not in response.headers
    assert store.kinds == []
    assert await kept(browser) == "shown"


@pytest.mark.gen_test
async def test_a_post_from_here_or_from_no_browser_is_served(serve: Serve, store: SpyStore) -> None:
    browser = await visited(serve, store)
    for headers in (
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": browser.site.url},
        {},
    ):
        assert (await browser.post("/page", headers=headers)).code == 200, headers
        assert store.kinds[0] == "load"
    assert await kept(browser) == "posted"


@pytest.mark.gen_test
async def test_a_link_from_another_site_is_followed_with_the_session(
    serve: Serve, store: SpyStore
) -> None:
    browser = await visited(serve, store)
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert await browser.text("/kept", headers=headers) == "shown"


@pytest.mark.gen_test
async def test_trusted_origins_are_the_deployments_choice(serve: Serve, store: SpyStore) -> None:
    """Trusted origins and the setting itself are the deployment's choice."""
    trusted = "https://partner.example"
    browser = await visited(serve, store, trusted_origins=[trusted])
    assert (await browser.post("/page", headers={"Origin": trusted})).code == 200
    assert (await browser.post("/page", headers={"Origin": trusted + ":444"})).code == 403
    browser = await visited(serve, store, cross_origin_protection=False)
    assert (await browser.post("/page", headers={"Origin": "https://any.example"})).code == 200


@pytest.mark.gen_test
async def test_a_guarded_page_without_the_mixin_is_protected_likewise(
    serve: Serve, store: SpyStore
) -> None:
    routes = Group("/", Group("guarded", Route("", Plain), authenticated=True), sessions=True)
    browser = serve(routes, SessionManager(store)).browser()
    response = await browser.post("/guarded", headers=FOREIGN[0])
    assert (response.code, store.kinds) == (403, [])


@pytest.mark.gen_test
async def test_the_error_page_for_another_site_has_no_session(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The error page for another site has no user and an empty session, which it cannot fill."""

    class Greeting(Form):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write(f"{status_code} for {self.current_user}")
            if self.get_argument("session", ""):
                self.session["kept"] = 1
                self.write(f" {dict(self.session)} {self.session.live}")

    browser = open_page(serve, Greeting)
    response = await browser.post("/page", headers=FOREIGN[0])
    assert (response.code, response.body) == (403, b"403 for None")
    response = await browser.post("/page?session=1", headers=FOREIGN[0])
    assert (response.code, response.body) == (403, b"403 for None {'kept': 1} False")
    assert "is not saved; change it earlier" in caplog.text
    assert "Set-Cookie" not in response.headers


# Tornado's tokens against cross-site requests


@pytest.mark.gen_test
async def test_xsrf_cookies_work_beside_the_session(serve: Serve, store: SpyStore) -> None:
    browser = open_page(serve, Form, store, xsrf_cookies=True)
    xsrf = await browser.text("/page")
    assert set(browser.cookies) == {"session", "_xsrf"}
    store.calls.clear()
    for wrong in ({}, {"X-Xsrftoken": "wrong"}, {"X-Xsrftoken": browser.cookies["session"]}):
        response = await browser.post("/page", headers=wrong)
        assert response.code == 403, wrong
        assert "Set-Cookie" not in response.headers
    assert store.kinds == []
    assert await kept(browser) == "shown"
    assert (await browser.post("/page", headers={"X-Xsrftoken": xsrf})).code == 200
    assert await kept(browser) == "posted"
    assert (await browser.post("/page", body=urlencode({"_xsrf": xsrf}))).code == 200
    response = await browser.post("/page", headers={"X-Xsrftoken": xsrf, **FOREIGN[0]})
    assert response.code == 403
