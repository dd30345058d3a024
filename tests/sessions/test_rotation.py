"""Replacing the token: what the former one is good for, and what a failing store makes of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from app import Group, Route, SessionManager
from stores import Store, StoreUnavailable
from tests.helpers.clock import FakeClock
from tests.helpers.site import Browser, Site
from tests.helpers.steps import PATIENCE, Held, Steps, cookies_set, do, steps, twin
from tests.helpers.stores_for_tests import FaultyStore

ROUTES = Group(
    "/",
    Route("steps", Steps),
    Group("members", Route("steps", Steps), authenticated=True),
    Group("reading", Route("steps", Steps), read_only=True),
    sessions=True,
)


@pytest.fixture
def store(any_store: Store) -> FaultyStore:
    return FaultyStore(any_store)


@pytest.fixture
def browser(serve: Callable[..., Site], store: FaultyStore, clock: FakeClock) -> Browser:
    return serve(ROUTES, SessionManager(store, clock=clock)).browser()


async def rotated(browser: Browser, *words: str) -> Browser:
    """Begin a session and replace its token; return a client that has the former one."""
    await do(browser, "set a 1")
    former = twin(browser)
    await do(browser, *(words or ("regenerate",)))
    assert former.cookies != browser.cookies
    return former


def writes(store: FaultyStore) -> int:
    """Return how many changes the store was given since the last look."""
    return sum(kind != "load" for kind in store.kinds)


# The former token


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", ["regenerate", "sign-in ada", "remember no"])
async def test_the_former_token_loads_nothing_from_then_on(
    browser: Browser, clock: FakeClock, words: str
) -> None:
    former = await rotated(browser, words)
    for later, refused in ((0.0, 409), (9.9, 409), (0.1, 401), (3600.0, 401)):
        clock.advance(later)
        await assert_opens_nothing(former, refused)
        assert (await do(browser))["was"]["data"] == {"a": 1}


async def assert_opens_nothing(former: Browser, refused: int = 409) -> None:
    response = await former.get(steps())
    assert b'"a"' not in response.body
    assert cookies_set(response) == []
    assert (await do(former))["was"] == {
        "id": None,
        "user": None,
        "created": None,
        "persistent": True,
        "data": {},
    }
    assert (await former.get("/members" + steps())).code == refused
    assert b'"a"' not in (await former.get("/reading" + steps())).body


WRITES = [
    ("set b 2",),
    ("append items 1",),
    ("regenerate",),
    ("destroy",),
    ("sign-out",),
    ("destroy", "set b 2"),
    ("remember no",),
]


@pytest.mark.gen_test(timeout=30)
async def test_within_the_grace_a_former_tokens_write_is_409(
    browser: Browser, store: FaultyStore, clock: FakeClock
) -> None:
    """For 10 seconds, writing under the former token is a conflict that says when to retry."""
    former = await rotated(browser)
    passed = 0.0
    for words in (*WRITES, *WRITES):
        store.calls.clear()
        response = await former.get(steps(*words))
        assert (response.code, response.reason) == (409, "Session Token Replaced, Retry"), words
        assert response.headers["Retry-After"] == str(math.ceil(10 - passed))
        assert response.headers["Vary"] == "Cookie"
        assert cookies_set(response) == []
        assert writes(store) == 0
        clock.advance(9.9 / len(WRITES) / 2)
        passed += 9.9 / len(WRITES) / 2
    assert (await do(browser))["was"]["data"] == {"a": 1}
    for words in WRITES:
        assert (await browser.get(steps(*words))).code == 200  # sent again with the new cookie


@pytest.mark.gen_test(timeout=30)
async def test_after_the_grace_the_former_token_is_unknown(
    browser: Browser, clock: FakeClock
) -> None:
    """After 10 seconds the former token is unknown like any other."""
    former = await rotated(browser)
    before = (await do(browser))["was"]
    clock.advance(10)
    response = await former.get(steps("set b 2"))
    assert (response.code, len(cookies_set(response))) == (200, 1)
    begun = (await do(former))["was"]
    assert begun["data"] == {"b": 2}
    assert begun["id"] != before["id"]
    assert (await do(browser))["was"] == before


@pytest.mark.gen_test(timeout=30)
async def test_a_clock_that_is_ahead_lengthens_no_retry_after(
    serve: Callable[..., Site], any_store: Store, browser: Browser, clock: FakeClock
) -> None:
    """That of the process that replaced the token."""
    await do(browser, "set a 1")
    ahead = SessionManager(any_store, clock=lambda: clock.now + 3600)
    elsewhere = serve(ROUTES, ahead).browser()
    elsewhere.cookies = dict(browser.cookies)
    await do(elsewhere, "regenerate")
    response = await browser.get(steps("set a 2"))
    assert (response.code, response.headers["Retry-After"]) == (409, "10")


@pytest.mark.gen_test(timeout=30)
async def test_the_token_before_the_former_is_unknown_at_once(browser: Browser) -> None:
    oldest = await rotated(browser)
    former = twin(browser)
    await do(browser, "regenerate")
    assert (await former.get(steps("set b 2"))).code == 409
    assert (await oldest.get(steps("set b 2"))).code == 200
    assert (await do(browser))["was"]["data"] == {"a": 1}


@pytest.mark.gen_test(timeout=30)
async def test_a_secret_that_never_was_is_no_conflict(browser: Browser) -> None:
    await rotated(browser)
    token = browser.cookies["session"]
    forged = twin(browser, of=token[:22] + ("A" * 31) + token[-1])
    response = await forged.get(steps("set b 2"))
    assert (response.code, len(cookies_set(response))) == (200, 1)
    assert (await do(browser))["was"]["data"] == {"a": 1}


# In flight


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", ["regenerate", "sign-in ada"])
async def test_a_change_under_the_former_token_lands_on_the_record(
    browser: Browser, words: str
) -> None:
    """What was in flight with the former token lands on the same record."""
    await do(browser, "set a 1", "set c 1")
    before = (await do(browser))["was"]
    slow = await Held.at(twin(browser), "set b 2", "delete c")
    await do(browser, words)
    assert slow.waits
    response = await slow.finish()
    assert (response.code, cookies_set(response)) == (200, [])
    after = (await do(browser))["was"]
    assert (after["id"], after["data"]) == (before["id"], {"a": 1, "b": 2})


@pytest.mark.gen_test(timeout=30)
async def test_a_sign_out_in_flight_under_the_former_token_counts(browser: Browser) -> None:
    """Signing out in flight with the former token ends the session."""
    await do(browser, "set a 1")
    slow = await Held.at(twin(browser), "sign-out")
    await do(browser, "regenerate")
    assert slow.waits
    (cookie,) = cookies_set(await slow.finish())
    assert "Max-Age=0" in cookie
    assert (await do(browser))["was"]["id"] is None


# A store that fails


async def works_again(browser: Browser) -> dict[str, Any]:
    """Return the session as soon as the token loads it."""
    async with asyncio.timeout(PATIENCE):
        found: dict[str, Any] = (await do(browser))["was"]
        while found["id"] is None:
            await asyncio.sleep(0.01)
            found = (await do(browser))["was"]
    return found


Fail = Callable[[FaultyStore], None]


def _before(store: FaultyStore) -> None:
    store.fail["write"] = StoreUnavailable("out of order")


def _after(store: FaultyStore) -> None:
    store.fail_after["write"] = StoreUnavailable("no answer")


def _too_late(store: FaultyStore) -> None:
    store.timeout = 0.2
    store.gate["write"] = asyncio.Event()


FAILURES: dict[str, Fail] = {"before": _before, "after it was done": _after, "late": _too_late}


@pytest.fixture(params=FAILURES)
def failure(request: pytest.FixtureRequest) -> Fail:
    return FAILURES[request.param]


def assert_refused(response: HTTPResponse) -> None:
    assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert cookies_set(response) == []


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", [("regenerate",), ("remember no",), ("set a 2", "regenerate")])
async def test_when_a_rotation_fails_the_token_still_works(
    browser: Browser, store: FaultyStore, failure: Fail, words: tuple[str, ...]
) -> None:
    await do(browser, "set a 1")
    before = (await do(browser))["was"]
    failure(store)
    assert_refused(await browser.get(steps(*words)))
    store.mend()
    assert await works_again(browser) == before
    response = await browser.get(steps("regenerate", "set b 2"))
    assert (response.code, len(cookies_set(response))) == (200, 1)
    assert (await do(browser))["was"]["data"] == {"a": 1, "b": 2}


@pytest.mark.gen_test(timeout=30)
async def test_a_sign_in_that_failed_gives_no_rights(
    browser: Browser, store: FaultyStore, failure: Fail
) -> None:
    await do(browser, "set cart 1", "set a 1")
    failure(store)
    assert_refused(await browser.get(steps("sign-in ada", "set admin 1", "set a 2", "delete cart")))
    store.mend()
    found = await works_again(browser)
    assert (found["user"], found["data"]) == (None, {"cart": 1, "a": 1})


@pytest.mark.gen_test(timeout=30)
async def test_a_failed_change_of_user_leaves_no_cookie(
    browser: Browser, store: FaultyStore
) -> None:
    """Signing in as another user, or out, leaves no cookie when it fails."""
    for words in (("sign-in eve",), ("sign-out",), ("destroy", "set b 1")):
        await do(browser, "sign-in ada", "set a 1")
        before = dict(browser.cookies)
        _before(store)
        assert_refused(await browser.get(steps(*words)))
        store.mend()
        assert browser.cookies == before
        found = (await do(browser))["was"]
        assert (found["user"], found["data"]) == ("ada", {"a": 1})


@pytest.mark.gen_test(timeout=30)
async def test_what_others_wrote_meanwhile_outlives_the_undoing(
    browser: Browser, store: FaultyStore
) -> None:
    await do(browser, "set a 1")
    slow = await Held.at(twin(browser), "set other 1")
    _after(store)
    assert_refused(await browser.get(steps("sign-in ada", "set a 2")))
    store.mend()
    assert (await slow.finish()).code == 200
    found = await works_again(browser)
    assert (found["user"], found["data"]) == (None, {"a": 1, "other": 1})
