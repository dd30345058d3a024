"""Several cookies of the session's name, as a browser's jar has them: none opens, all of them end.

A deployment added `domain=`, or a neighbouring site planted one: two cookies of one name with
another domain or path are two entries of the jar, are both sent, and ours replaces only its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from app import SessionManager
from app.sessions import token
from app.sessions.cookie import MAX_CANDIDATES
from tests.helpers.account import account_routes, who
from tests.helpers.clock import FakeClock
from tests.helpers.records import sessions_in
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

NOBODY: list[Any] = [None, {}, False]


class Jar(Browser):
    """A browser's jar, with cookies of the session's name that lie in other places."""

    def __init__(self, site: Site, *elsewhere: str, first: bool = True) -> None:
        super().__init__(site)
        self.elsewhere = elsewhere
        self.first = first

    async def get(self, path: str, **options: Any) -> HTTPResponse:
        own = [f"session={value}" for value in self.cookies.values()]
        planted = [f"session={value}" for value in self.elsewhere]
        pairs = planted + own if self.first else own + planted
        if pairs:
            options["headers"] = {"Cookie": "; ".join(pairs), **options.get("headers", {})}
        return await super().get(path, **options)


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


@pytest.fixture
def site(serve: Callable[..., Site], store: SpyStore, clock: FakeClock) -> Site:
    return serve(account_routes(), SessionManager(store, clock=clock))


async def live(site: Site, number: int = 1, user: str = "") -> list[str]:
    """Return the tokens of so many sessions with a cart."""
    tokens = []
    for i in range(number):
        browser = site.browser()
        await browser.text(f"/cart?item={i}")
        if user:
            await browser.text(f"/sign-in?user={user}")
        tokens.append(browser.cookies["session"])
    return tokens


async def dead(site: Site, number: int = 1) -> list[str]:
    """Return the tokens of so many sessions that were signed out."""
    tokens = await live(site, number)
    for text in tokens:
        await Jar(site, text).text("/sign-out")
    return tokens


async def alive(store: SpyStore, tokens: list[str]) -> int:
    """Return how many of the tokens' records the store has."""
    return len(await store.inner.load([token.decode(text)[0] for text in tokens]))


@pytest.mark.gen_test
@pytest.mark.parametrize("number", [2, 3, 4, MAX_CANDIDATES - 1])
@pytest.mark.parametrize("first", [True, False])
async def test_a_sign_in_ends_all_and_works_at_once(
    site: Site, store: SpyStore, number: int, first: bool
) -> None:
    """It works at the next request, too, though the browser goes on sending what is elsewhere."""
    tokens = await live(site, number, user="mallory")
    jar = Jar(site, *tokens, first=first)
    assert await who(jar) == NOBODY
    await jar.text("/sign-in?user=ada")
    assert await alive(store, tokens) == 0
    for _ in range(2):
        assert await who(jar) == ["ada", {}, True]
    await jar.text("/cart?item=x")
    assert await who(jar) == ["ada", {"cart": ["x"]}, True]
    assert sessions_in(store) == 1


@pytest.mark.gen_test
async def test_a_sign_in_where_one_of_two_is_our_own(site: Site, store: SpyStore) -> None:
    """Of the two, one lies where ours does and is replaced; the other one stays in the jar."""
    own, planted = await live(site, 2, user="ada")
    jar = Jar(site, planted)
    jar.cookies["session"] = own
    assert await who(jar) == NOBODY
    for _ in range(3):  # each of these used to leave one more signed-in session
        await jar.text("/sign-in?user=ada")
        assert (await who(jar))[0] == "ada"
    assert await alive(store, [own, planted]) == 0
    assert sessions_in(store) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize("number", [2, 3, 4, MAX_CANDIDATES])
async def test_a_sign_out_ends_all(site: Site, store: SpyStore, number: int) -> None:
    tokens = await live(site, number, user="ada")
    jar = Jar(site, *tokens[1:])
    jar.cookies["session"] = tokens[0]
    await jar.text("/sign-out")
    assert jar.cookies == {}
    assert await alive(store, tokens) == 0
    assert await who(jar) == NOBODY
    await jar.text("/sign-in?user=ada")
    assert (await who(jar))[0] == "ada"


@pytest.mark.gen_test
async def test_many_dead_cookies_hide_no_live_one(site: Site) -> None:
    """A neighbour that plants tokens which open nothing locks nobody out."""
    planted = await dead(site, 3) + ["A" * 54, "garbage", ""]
    for first in (True, False):
        jar = Jar(site, *planted, first=first)
        await jar.text("/sign-in?user=ada")
        await jar.text("/cart?item=x")
        assert await who(jar) == ["ada", {"cart": ["x"]}, True]


@pytest.mark.gen_test
async def test_a_replaced_token_beside_live_ones_ends_nothing(site: Site, store: SpyStore) -> None:
    """Who presents a former token may not end the session that goes on under a newer one."""
    victim = site.browser()
    await victim.text("/sign-in?user=grace")
    former = victim.cookies["session"]
    await victim.text("/renew")
    one, two = await live(site, 2)
    await Jar(site, former, one).text("/sign-out")
    assert await alive(store, [one]) == 0
    await Jar(site, former, two, one).text("/sign-in?user=ada")
    assert (await who(victim))[0] == "grace"


@pytest.mark.gen_test
async def test_more_tokens_than_a_browser_has_places_open_none(site: Site, store: SpyStore) -> None:
    tokens = await live(site, MAX_CANDIDATES + 1)
    store.calls.clear()
    jar = Jar(site, *tokens)
    assert await who(jar) == NOBODY
    await jar.text("/sign-out")
    assert store.calls == []
    assert await alive(store, tokens) == MAX_CANDIDATES + 1


@pytest.mark.gen_test
async def test_the_log_tells_of_too_many_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A sign-in cannot help there; what only looks like a token does not count."""
    tokens = [f"{i:053d}A" for i in range(MAX_CANDIDATES + 1)]
    await who(Jar(site, *tokens[1:], *tokens[1:], *["x"] * 20))
    assert "none is looked at" not in caplog.text
    for _ in range(3):
        await who(Jar(site, *tokens))
    (line,) = [m for m in caplog.messages if "none is looked at" in m]
    assert "more than 16 different tokens in the cookie session" in line


@pytest.mark.gen_test
async def test_the_log_tells_of_several_without_a_token(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = await live(site, 3)
    await who(Jar(site, *tokens))
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    text = record.getMessage()
    assert "the tokens of 3 sessions in the cookie session, and none is taken" in text
    for one in tokens:
        assert token.public_id(token.decode(one)[0]) in text
        assert one[22:] not in caplog.text


@pytest.mark.gen_test
async def test_a_hostile_client_does_not_fill_the_log(
    site: Site, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in ten seconds, which counts the others."""
    jar = Jar(site, *await live(site, 2))
    for _ in range(20):
        await who(jar)
    clock.advance(10)
    await who(jar)
    lines = [r.getMessage() for r in caplog.records if "none is taken" in r.getMessage()]
    assert len(lines) == 2
    assert "more since" not in lines[0]
    assert "(19 more since the last line)" in lines[1]


@pytest.mark.gen_test
async def test_a_write_without_a_user_ends_none_of_them(site: Site, store: SpyStore) -> None:
    """A neighbour that plants a cookie cannot have the visitor's session ended by a click."""
    tokens = await live(site, 2)
    await Jar(site, *tokens).text("/cart?item=x")
    assert await alive(store, tokens) == 2
