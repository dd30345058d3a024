"""The cookie that outlives the browser session, or not: chosen for each session."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import Cookie, Group, Route, SessionManager
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Steps, cookies_set, do, steps
from tests.helpers.stores_for_tests import SpyStore

ROUTES = Group("/", Route("steps", Steps), sessions=True)


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


@pytest.fixture
def browser(serve: Callable[..., Site], store: SpyStore) -> Browser:
    return serve(ROUTES, SessionManager(store)).browser()


def max_age(cookie: str) -> bool:
    return "max-age" in cookie.lower()


@pytest.mark.gen_test
async def test_remember_me_is_the_sessions_own_over_rotations(
    browser: Browser, store: SpyStore
) -> None:
    """Remember me is chosen per session and stays over a rotation."""
    (cookie,) = cookies_set(await browser.get(steps("sign-in-for-now ada")))
    assert not max_age(cookie)
    (cookie,) = cookies_set(await browser.get(steps("regenerate")))
    assert not max_age(cookie)
    assert (await do(browser))["was"]["persistent"] is False
    other = browser.site.browser()
    (cookie,) = cookies_set(await other.get(steps("sign-in ada")))
    assert max_age(cookie)


@pytest.mark.gen_test
async def test_changing_remember_me_sends_a_new_token(browser: Browser, store: SpyStore) -> None:
    await do(browser, "set a 1")
    token = browser.cookies["session"]
    store.calls.clear()
    (cookie,) = cookies_set(await browser.get(steps("remember no")))
    assert store.kinds == ["load", "Update"]
    assert not max_age(cookie)
    assert token not in cookie
    await do(browser, "remember no")
    assert store.kinds == ["load"]
    (cookie,) = cookies_set(await browser.get(steps("remember yes")))
    assert max_age(cookie)
    assert (await do(browser))["was"]["data"] == {"a": 1}


@pytest.mark.gen_test
async def test_a_session_is_remembered_against_the_default(
    serve: Callable[..., Site],
) -> None:
    manager = SessionManager(SpyStore(), cookie=Cookie(persistent=False))
    browser = serve(ROUTES, manager).browser()
    (cookie,) = cookies_set(await browser.get(steps("set a 1", "remember yes")))
    assert max_age(cookie)
    (cookie,) = cookies_set(await browser.get(steps("regenerate")))
    assert max_age(cookie)
    await do(browser, "destroy")
    (cookie,) = cookies_set(await browser.get(steps("set a 1")))
    assert not max_age(cookie)
