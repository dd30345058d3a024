"""Two managers in one application: two cookies, two stores, limits of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app import Cookie, Group, Route, SessionManager
from tests.clock import FakeClock
from tests.pages import Keep, Kept, Renew
from tests.site import Site
from tests.stores_for_tests import SpyStore

Serve = Callable[..., Site]


@pytest.mark.gen_test
async def test_two_managers_have_two_cookies_two_stores_and_limits_of_their_own(
    serve: Serve, clock: FakeClock
) -> None:
    public, private = SpyStore(), SpyStore()
    own = SessionManager(
        private,
        cookie=Cookie(name="admin", samesite="Strict"),
        idle_timeout=timedelta(minutes=5),
        clock=clock,
    )
    pages: tuple[Any, ...] = (Route("keep", Keep), Route("kept", Kept), Route("renew", Renew))
    inner = Group("admin", *pages, sessions=own)
    routes = Group("/", *pages, inner, sessions=True)
    browser = serve(routes, SessionManager(public, clock=clock)).browser()
    await browser.text("/keep")
    assert (public.kinds, private.kinds) == (["Create"], [])
    assert await browser.text("/admin/kept") == "nothing"  # the other's cookie is not looked at
    assert (public.kinds, private.kinds) == ([], [])
    await browser.text("/admin/keep")
    assert (public.kinds, private.kinds) == ([], ["Create"])
    tokens = dict(browser.cookies)
    await browser.text("/renew")
    assert browser.cookies["admin"] == tokens["admin"]
    assert await browser.text("/admin/kept") == "before"

    swapped = browser.site.browser()  # a token of one is nothing to the other
    swapped.cookies = {"session": tokens["admin"], "admin": tokens["session"]}
    assert await swapped.text("/kept") == "nothing"
    assert await swapped.text("/admin/kept") == "nothing"

    clock.advance(301)
    assert await browser.text("/admin/kept") == "nothing"
    assert await browser.text("/kept") == "before"
