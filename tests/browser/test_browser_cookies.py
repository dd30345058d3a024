"""In a real browser: two cookies of one name, a Strict one that is kept back, and name prefixes.

To a browser, localhost and 127.0.0.1 are different sites, whatever serves them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from app import Cookie, Group, Route, SessionManager
from stores import MemoryStore
from stores.contract import NO_SECRET, Record
from tests.helpers.chromium import PAGES, TIMEOUT, Chromium, Scripted, Tab, address, browse
from tests.helpers.pages import Page
from tests.helpers.site import Site
from tests.helpers.steps import Steps, steps


class Visit(Page, Scripted):
    """Counts the visits in the session, and shows who is signed in."""

    def get(self) -> None:
        self.session["visits"] = self.session.get("visits", 0) + 1
        self.write_page(f"visit {self.session['visits']} of {self.session.user}")


SITE = Group(
    "/",
    *PAGES,
    Group("", Route("steps", Steps), Route("visit", Visit), sessions=True),
)


async def user(tab: Tab) -> Any:
    return json.loads(await tab.fetch(steps()))["was"]["user"]


async def sessions_in(store: MemoryStore) -> int:
    """Return how many sessions it keeps, beside its records of users."""
    records = (await store.scan()).found.values()
    return sum(isinstance(r, Record) and r.secret_hash != NO_SECRET for r in records)


async def plant(tab: Tab, token: str) -> None:
    """Have a script of the page set a second cookie of the session's name."""
    await tab.run(f"document.cookie = 'session={token}; path=/steps'")


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_a_sign_in_works_beside_a_second_cookie(
    serve: Callable[..., Site], chromium: Chromium
) -> None:
    """With another path, the browser sends it along, and goes on doing so after the sign-in."""
    store = MemoryStore()
    site = serve(SITE, SessionManager(store))
    mallory = site.browser()
    await mallory.text(steps("sign-in mallory"))
    async with browse(chromium, site) as tab:
        await tab.fetch(steps("sign-in ada"))
        await plant(tab, mallory.cookies["session"])
        assert await user(tab) is None
        await tab.fetch(steps("sign-in ada"))
        assert await user(tab) == "ada"
        assert await sessions_in(store) == 1
        await mallory.text(steps("sign-in mallory"))
        await plant(tab, mallory.cookies["session"])
        await tab.fetch(steps("sign-out"))
        assert await sessions_in(store) == 0
        await tab.fetch(steps("sign-in ada"))
        assert await user(tab) == "ada"


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_a_link_leaves_a_strict_cookies_session_alone(
    serve: Callable[..., Site], chromium: Chromium
) -> None:
    """A link on another site leads to a page that writes, and the visitor stays signed in."""
    store = MemoryStore()
    site = serve(SITE, SessionManager(store, cookie=Cookie(samesite="Strict")))
    async with browse(chromium, site) as tab:
        await tab.fetch(steps("sign-in ada"))
        await tab.open("127.0.0.1", "/")
        link = json.dumps(address(site, "localhost", "/visit"))
        page = await tab.leave(
            f"const link = document.createElement('a'); link.href = {link};"
            "document.body.append(link); link.click()"
        )
        assert page["text"] == "visit 1 of None"
        assert await sessions_in(store) == 1
        # From a page of the site itself the cookie comes.
        assert (await tab.open("localhost", "/visit"))["text"] == "visit 1 of ada"


PREFIXES = ["__Secure-session", "__Host-session", "__Http-session", "__Host-Http-session"]


@pytest.mark.gen_test(timeout=TIMEOUT)
@pytest.mark.parametrize("name", PREFIXES)
async def test_a_name_with_a_prefix_is_kept_and_removed(
    chromium: Chromium, serve_tls: Callable[..., Site], name: str
) -> None:
    async with browse(chromium, serve_tls(SITE, Cookie(name))) as tab:
        await tab.fetch(steps("sign-in ada"))
        assert (await tab.fetch("/sent-cookies")).startswith(f"{name}=")
        assert await user(tab) == "ada"
        await tab.fetch(steps("sign-out"))
        assert await tab.fetch("/sent-cookies") == ""
