"""Time-outs, touches and the cookie's age, by a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app import Cookie, Group, Route, SessionManager
from stores import MemoryStore
from stores.contract import Update
from tests.helpers.clock import FakeClock
from tests.helpers.records import sessions_in
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, answer, cookies_set, do, steps
from tests.helpers.stores_for_tests import SpyStore

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

Visit = Callable[..., Browser]


@pytest.fixture
def store() -> SpyStore:
    return SpyStore(MemoryStore())


@pytest.fixture
def visit(serve: Callable[..., Site], store: SpyStore, clock: FakeClock) -> Visit:
    """Serve with these time-outs, in seconds; /reading/steps is `read_only`."""

    def start(idle: float = DAY, lifetime: float = 14 * DAY, **options: Any) -> Browser:
        manager = SessionManager(
            store,
            idle_timeout=timedelta(seconds=idle),
            lifetime=timedelta(seconds=lifetime),
            clock=clock,
            **options,
        )
        reading = Group("reading", Route("steps", Steps), read_only=True)
        return serve(Group("/", Route("steps", Steps), reading, sessions=True), manager).browser()

    return start


async def lives(browser: Browser) -> bool:
    """Tell whether the session is there, in a request that counts as a use of it."""
    found = await do(browser)
    return found["was"]["id"] is not None


# The two time-outs


@pytest.mark.gen_test
async def test_a_session_that_is_not_used_ends_at_the_idle_timeout(
    visit: Visit, clock: FakeClock
) -> None:
    for wait, alive in ((DAY - 1, True), (DAY, False), (DAY + 1, False), (400 * DAY, False)):
        browser = visit()
        await do(browser, "set a 1")
        clock.advance(wait)
        assert await lives(browser) is alive, wait


@pytest.mark.gen_test
async def test_a_used_session_lives_until_its_lifetime_is_over(
    visit: Visit, clock: FakeClock
) -> None:
    browser = visit(lifetime=3 * DAY)
    await do(browser, "set a 1")
    for _ in range(5):
        clock.advance(DAY / 2)
        assert await lives(browser)
    clock.advance(DAY / 2 - 1)
    assert await lives(browser)
    clock.advance(1)
    assert not await lives(browser)


@pytest.mark.gen_test
async def test_nothing_prolongs_the_lifetime(visit: Visit, clock: FakeClock) -> None:
    """Neither writing nor a new token nor signing in prolongs the lifetime."""
    browser = visit(idle=DAY, lifetime=DAY)
    await do(browser, "set a 1")
    for words in (("set a 2",), ("regenerate",), ("sign-in ada",), ("remember no",)):
        clock.advance(DAY / 5)
        await do(browser, *words)
    assert await lives(browser)
    clock.advance(DAY / 5)
    assert not await lives(browser)


@pytest.mark.gen_test
async def test_a_long_idle_timeout_does_not_prolong_the_lifetime(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    browser = visit(idle=10 * DAY, lifetime=DAY)
    await do(browser, "set a 1")
    clock.advance(DAY - 1)
    store.calls.clear()
    assert await lives(browser)
    assert store.kinds == ["load"]
    clock.advance(1)
    assert not await lives(browser)


@pytest.mark.gen_test
async def test_what_expired_is_not_read_though_the_store_still_has_it(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    browser = visit()
    await do(browser, "set a 1", "sign-in ada")
    clock.advance(DAY)
    assert sessions_in(store) == 1
    response = await browser.get(steps())
    assert cookies_set(response) == []
    nothing: dict[str, Any] = {"id": None, "user": None, "created": None}
    nothing |= {"persistent": True, "data": {}}
    assert answer(response) == {"was": nothing, "now": nothing, "shown": []}
    assert store.kinds == ["Create", "Update", "load", "load"]  # the sign-in, then this request


@pytest.mark.gen_test
async def test_writing_after_the_end_begins_another_session(visit: Visit, clock: FakeClock) -> None:
    browser = visit()
    before = (await do(browser, "set a 1", "commit"))["now"]["id"]
    clock.advance(DAY)
    await do(browser, "set b 1")
    after = (await do(browser))["was"]
    assert after["data"] == {"b": 1}
    assert after["id"] != before


@pytest.mark.gen_test
async def test_a_long_request_does_not_revive_an_idle_session(
    visit: Visit, clock: FakeClock
) -> None:
    """A request that outlasts the idle time-out does not revive the session."""
    browser = visit()
    await do(browser, "set a 1")
    clock.advance(DAY - 1)
    slow = await Held.at(browser, "set a 2")
    clock.advance(DAY + 1)
    response = await slow.finish()
    assert (response.code, cookies_set(response)) == (200, [])
    assert not await lives(browser)


# Touches


def _updates(store: SpyStore) -> list[Update]:
    """Return the updates since the last look."""
    writes = [item for kind, items in store.calls if kind == "write" for item in items]
    store.calls.clear()
    return [item for item in writes if isinstance(item, Update)]


@pytest.mark.gen_test
async def test_a_touch_is_due_after_a_tenth_of_the_idle_time(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    """A touch is due after a tenth of the idle time, and writes no data."""
    browser = visit(idle=10 * HOUR)
    await do(browser, "set a 1")
    store.calls.clear()
    clock.advance(HOUR - 1)
    await do(browser)
    assert _updates(store) == []
    clock.advance(1)
    await do(browser)
    (touch,) = _updates(store)
    assert (dict(touch.set), list(touch.unset), touch.rotation) == ({}, [], None)
    assert touch.expires == pytest.approx(clock.now + 10 * HOUR, abs=0.01)


@pytest.mark.gen_test
async def test_of_many_requests_at_most_ten_in_the_idle_time_touch(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    browser = visit(idle=10 * HOUR)
    await do(browser, "set a 1")
    store.calls.clear()
    for _ in range(100):
        clock.advance(HOUR / 10)
        await do(browser)
    assert len(_updates(store)) == 10


@pytest.mark.gen_test
async def test_a_change_extends_the_life_along_with_it(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    browser = visit(idle=10 * HOUR)
    await do(browser, "set a 1")
    clock.advance(2 * HOUR)
    store.calls.clear()
    await do(browser, "set a 2")
    (update,) = _updates(store)
    assert dict(update.set) == {"a": 2}
    assert update.expires == pytest.approx(clock.now + 10 * HOUR, abs=0.01)


@pytest.mark.gen_test
async def test_a_server_error_extends_the_life_and_keeps_no_change(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    browser = visit()
    await do(browser, "set a 1")
    clock.advance(DAY / 2)
    store.calls.clear()
    assert (await browser.get(steps("set a 2", "status 500"))).code == 500
    (touch,) = _updates(store)
    assert dict(touch.set) == {}
    clock.advance(DAY - 1)
    assert (await do(browser))["was"]["data"] == {"a": 1}


@pytest.mark.gen_test
async def test_the_last_touch_reaches_the_lifetimes_end(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    browser = visit(idle=DAY, lifetime=1.5 * DAY)
    began = clock.now
    await do(browser, "set a 1")
    store.calls.clear()
    clock.advance(0.9 * DAY)
    await do(browser)
    (touch,) = _updates(store)
    assert touch.expires == pytest.approx(began + 1.5 * DAY, abs=0.01)
    clock.advance(0.5 * DAY)
    await do(browser)
    assert _updates(store) == []


@pytest.mark.gen_test
async def test_reading_only_never_touches_and_so_does_not_prolong(
    visit: Visit, clock: FakeClock, store: SpyStore
) -> None:
    browser = visit()
    await do(browser, "set a 1")
    store.calls.clear()
    clock.advance(DAY - 1)
    response = await browser.get("/reading" + steps())
    assert b'"data": {"a": 1}' in response.body
    assert cookies_set(response) == []
    assert store.kinds == ["load"]
    clock.advance(1)
    assert b'"data": {}' in (await browser.get("/reading" + steps())).body


# The cookie's age


@pytest.mark.gen_test
async def test_max_age_never_outlives_the_lifetime(visit: Visit, clock: FakeClock) -> None:
    browser = visit(idle=10 * HOUR, lifetime=DAY)
    began = clock.now
    await do(browser, "set a 1")
    for words in (("regenerate",), ("sign-in ada",), ("regenerate",)):
        clock.advance(7 * HOUR + 0.7)
        (cookie,) = cookies_set(await browser.get(steps(*words)))
        age = int(cookie.partition("Max-Age=")[2].partition(";")[0])
        assert began + DAY - 1 < clock.now + age <= began + DAY


@pytest.mark.gen_test
async def test_a_browser_session_cookie_has_both_time_outs(visit: Visit, clock: FakeClock) -> None:
    browser = visit(lifetime=1.5 * DAY, cookie=Cookie(persistent=False))
    (cookie,) = cookies_set(await browser.get(steps("set a 1")))
    assert "max-age" not in cookie.lower()
    assert "expires" not in cookie.lower()
    clock.advance(DAY - 1)
    assert await lives(browser)
    clock.advance(DAY / 2)
    assert await lives(browser)
    clock.advance(1)
    assert not await lives(browser)
