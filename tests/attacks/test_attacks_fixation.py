"""Attacks with a token that was planted, replaced or signed out: it opens nothing of a victim's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from app import SessionManager
from app.sessions import token
from tests.helpers.account import account_routes, who
from tests.helpers.clock import FakeClock
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

NOBODY: list[Any] = [None, {}, False]


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


@pytest.fixture
def site(serve: Callable[..., Site], store: SpyStore, clock: FakeClock) -> Site:
    return serve(account_routes(), SessionManager(store, clock=clock))


async def signed_in(site: Site, user: str, item: str = "") -> Browser:
    browser = site.browser()
    if item:
        await browser.text(f"/cart?item={item}")
    await browser.text(f"/sign-in?user={user}")
    return browser


def with_cookies(site: Site, *tokens: str) -> Browser:
    """Return a client that sends these cookies, all of the session's name, in this order."""
    browser = site.browser()
    browser.cookies["session"] = "; session=".join(tokens)
    return browser


# Planted before the victim signs in


@pytest.mark.gen_test
async def test_a_planted_session_is_the_victims_alone(site: Site, clock: FakeClock) -> None:
    """A planted session of the attacker's is the victim's alone after the sign-in."""
    attacker = site.browser()
    await attacker.text("/cart?item=bait")
    planted = attacker.cookies["session"]
    victim = with_cookies(site, planted)
    await victim.text("/sign-in?user=ada")
    assert victim.cookies["session"] != planted
    assert token.decode(victim.cookies["session"])[1] != token.decode(planted)[1]

    for seconds, refused in ((0, 409), (9, 409), (2, 401), (3600, 401)):  # the grace is 10 s
        clock.advance(seconds)
        attacker.cookies["session"] = planted
        assert await who(attacker) == NOBODY
        assert (await attacker.get("/private")).code == 302
        assert (await attacker.get("/members/who")).code == refused
        assert (await who(victim))[0] == "ada"
    assert await victim.text("/private") == "private to ada"


@pytest.mark.gen_test
async def test_a_planted_signed_in_session_ends_at_the_sign_in(
    site: Site, store: SpyStore, clock: FakeClock
) -> None:
    """A planted session in which the attacker is signed in ends with the victim's sign-in."""
    attacker = await signed_in(site, "mallory", item="bait")
    planted = attacker.cookies["session"]
    victim = with_cookies(site, planted)
    await victim.text("/sign-in?user=ada")
    assert await who(victim) == ["ada", {}, True]  # nothing of what was planted with it
    assert token.decode(victim.cookies["session"])[0] != token.decode(planted)[0]
    assert await store.inner.load([token.decode(planted)[0]]) == {}
    for seconds in (0, 31):
        clock.advance(seconds)
        assert await who(attacker) == NOBODY


@pytest.mark.gen_test
@pytest.mark.parametrize("forged", ["unknown", "an id with a secret of its own"])
async def test_a_made_up_planted_token_is_never_the_victims(site: Site, forged: str) -> None:
    """A planted token of the attacker's making never becomes the victim's."""
    other = await signed_in(site, "grace")
    id = token.decode(other.cookies["session"])[0] if forged != "unknown" else token.new_id()
    planted = token.encode(id, bytes(24))
    victim = with_cookies(site, planted)
    await victim.text("/sign-in?user=ada")
    assert token.decode(victim.cookies["session"])[0] != id
    assert await who(with_cookies(site, planted)) == NOBODY
    assert await who(other) == ["grace", {}, True]


@pytest.mark.gen_test
async def test_every_sign_in_is_under_a_new_token(site: Site) -> None:
    """Every sign-in is under a new token, that of the same user too."""
    browser = site.browser()
    tokens = []
    for user in ("ada", "ada", "grace", "ada"):
        await browser.text(f"/sign-in?user={user}")
        tokens.append(browser.cookies["session"])
    assert len(set(tokens)) == 4
    for old in tokens[:-1]:
        assert await who(with_cookies(site, old)) == NOBODY
    assert await who(browser) == ["ada", {}, True]


# A connection that was opened with the token before it was replaced


@contextlib.asynccontextmanager
async def connect(browser: Browser, path: str) -> AsyncIterator[WebSocketClientConnection]:
    url = browser.site.url.replace("http", "ws") + path
    headers = {"Cookie": f"session={browser.cookies['session']}"}
    socket = await websocket_connect(HTTPRequest(url, headers=headers))
    yield socket
    socket.close()
    while socket.close_code is None and await socket.read_message() is not None:
        pass


@pytest.mark.gen_test
async def test_an_attackers_open_socket_stays_outside_the_account(site: Site) -> None:
    """An open socket of the attacker's is closed when the victim signs in, and writes nothing."""
    attacker = site.browser()
    await attacker.text("/cart?item=bait")
    async with connect(attacker, "/patient-feed") as socket:
        await socket.write_message("who")
        before = json.loads(str(await socket.read_message()))
        assert before == [True, None, {"cart": ["bait"]}]

        victim = with_cookies(site, attacker.cookies["session"])
        await victim.text("/sign-in?user=ada")
        with contextlib.suppress(WebSocketClosedError):
            await socket.write_message("written by the attacker")
        await victim.text("/cart?item=secret")
        assert await socket.read_message() is None
        assert socket.close_code == 1008
    assert await who(victim) == ["ada", {"cart": ["bait", "secret"]}, True]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/sign-in?user=ada", "/renew", "/sign-out"])
async def test_an_open_socket_is_closed_when_its_token_is_dead(site: Site, path: str) -> None:
    browser = site.browser()
    await browser.text("/cart?item=x")
    async with connect(browser, "/feed") as socket:
        await browser.text(path)
        assert await socket.read_message() is None
        assert socket.close_code == 1008


# Replayed


@pytest.mark.gen_test
async def test_a_token_replayed_after_the_sign_out_opens_nothing(
    site: Site, store: SpyStore, clock: FakeClock
) -> None:
    browser = await signed_in(site, "ada", item="secret")
    stolen = browser.cookies["session"]
    await browser.text("/sign-out")
    assert browser.cookies == {}
    for seconds in (0, 31, 3600):
        clock.advance(seconds)
        thief = with_cookies(site, stolen)
        assert await who(thief) == NOBODY
        assert (await thief.get("/private")).code == 302
        await thief.text("/cart?item=x")  # begins a session of its own
        assert token.decode(thief.cookies["session"])[0] != token.decode(stolen)[0]
    assert await store.inner.load([token.decode(stolen)[0]]) == {}


@pytest.mark.gen_test
async def test_a_replaced_token_changes_nothing(site: Site, clock: FakeClock) -> None:
    """Within the grace, a replaced token changes nothing and gets no cookie."""
    browser = await signed_in(site, "ada", item="secret")
    former = browser.cookies["session"]
    await browser.text("/renew")
    clock.advance(9.5)
    for path in ("/cart?item=x", "/sign-out", "/renew"):
        response = await with_cookies(site, former).get(path)
        assert response.code == 409, path
        assert "Set-Cookie" not in response.headers, path
        assert response.headers["Retry-After"] == "1", path
    mallory = with_cookies(site, former)
    await mallory.text("/sign-in?user=mallory")  # a session of his own
    assert await who(mallory) == ["mallory", {}, True]
    assert await who(with_cookies(site, former)) == NOBODY
    assert await who(browser) == ["ada", {"cart": ["secret"]}, True]


@pytest.mark.gen_test
async def test_a_replaced_token_is_unknown_after_the_grace(site: Site, clock: FakeClock) -> None:
    browser = await signed_in(site, "ada", item="secret")
    former = browser.cookies["session"]
    await browser.text("/renew")
    clock.advance(10.1)
    thief = with_cookies(site, former)
    await thief.text("/sign-out")
    assert await thief.text("/cart?item=x") == "x"
    assert token.decode(thief.cookies["session"])[0] != token.decode(former)[0]
    assert await who(browser) == ["ada", {"cart": ["secret"]}, True]


@pytest.mark.gen_test
async def test_of_several_replaced_tokens_none_opens_the_session(site: Site) -> None:
    browser = await signed_in(site, "ada", item="secret")
    former = []
    for _ in range(5):
        former.append(browser.cookies["session"])
        await browser.text("/renew")
    for old in former:
        thief = with_cookies(site, old)
        assert await who(thief) == NOBODY
        await thief.get("/sign-out")
    assert await who(with_cookies(site, *former[-3:])) == NOBODY
    assert (await who(browser))[0] == "ada"


# Cookie tossing: a neighbouring site sets a second cookie of the session's name


@pytest.mark.gen_test
@pytest.mark.parametrize("other", ["garbage", "A" * 54, '"quoted"', ""])
async def test_a_tossed_cookie_that_opens_nothing_is_passed_over(site: Site, other: str) -> None:
    victim = await signed_in(site, "ada", item="secret")
    good = victim.cookies["session"]
    for pair in ((good, other), (other, good)):
        assert await who(with_cookies(site, *pair)) == ["ada", {"cart": ["secret"]}, True]


@pytest.mark.gen_test
async def test_a_tossed_session_is_not_mixed_with_the_victims(site: Site) -> None:
    """A tossed session of the attacker's is neither used nor mixed with the victim's."""
    victim = await signed_in(site, "ada", item="secret")
    attacker = await signed_in(site, "mallory", item="bait")
    pair = (victim.cookies["session"], attacker.cookies["session"])
    for tokens in (pair, pair[::-1]):
        both = with_cookies(site, *tokens)
        assert await who(both) == NOBODY
        assert (await both.get("/members/who")).code == 401
        await both.text("/cart?item=typed-by-the-victim")
        assert token.decode(both.cookies["session"])[0] not in [token.decode(t)[0] for t in pair]
    assert await who(victim) == ["ada", {"cart": ["secret"]}, True]
    assert await who(attacker) == ["mallory", {"cart": ["bait"]}, True]


@pytest.mark.gen_test
async def test_a_tossed_replaced_token_does_not_lock_the_victim_out(site: Site) -> None:
    victim = await signed_in(site, "ada")
    former = victim.cookies["session"]
    await victim.text("/renew")
    good = victim.cookies["session"]
    for pair in ((former, good), (good, former)):
        assert (await who(with_cookies(site, *pair)))[0] == "ada"
        assert (await with_cookies(site, *pair).get("/cart?item=x")).code == 200
    assert await who(victim) == ["ada", {"cart": ["x", "x"]}, True]
