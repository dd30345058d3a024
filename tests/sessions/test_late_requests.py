"""A request that lasted longer than the grace asks before it saves if its token still counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import Group, Route, SessionManager
from stores import Store
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import token_of
from tests.helpers.records import load_record
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, cookies_set, do, twin
from tests.helpers.stores_for_tests import FaultyStore

ROUTES = Group("/", Route("steps", Steps), sessions=True)

HALF_A_DAY = 12 * 3600

LATE = 11.0
"""Seconds: longer than the grace."""


@pytest.fixture
def store(any_store: Store) -> FaultyStore:
    return FaultyStore(any_store)


@pytest.fixture
def browser(serve: Callable[..., Site], store: FaultyStore, clock: FakeClock) -> Browser:
    return serve(ROUTES, SessionManager(store, clock=clock)).browser()


SLOW = {
    "reads, a touch being due": (),
    "writes": ("set a 2",),
    "removes": ("delete a",),
    "clears": ("clear",),
    "replaces the token": ("regenerate",),
    "replaces the token and writes": ("set a 2", "regenerate"),
    "is remembered no longer": ("remember no",),
    "ends the session": ("destroy",),
    "signs out": ("sign-out",),
    "ends the session and writes": ("destroy", "set b 2"),
    "commits twice": ("set a 2", "commit", "set a 3"),
    "fails": ("set a 2", "status 500"),
    "is refused": ("set a 2", "status 403"),
}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", SLOW.values(), ids=SLOW)
async def test_a_planted_token_saves_nothing_after_the_sign_in(
    browser: Browser, store: FaultyStore, clock: FakeClock, words: tuple[str, ...]
) -> None:
    """Not by a slow upload that began before: its changes are dropped, and it sends no cookie."""
    await do(browser, "set a 1")
    clock.advance(HALF_A_DAY)
    slow = await Held.at(twin(browser), *words)
    await do(browser, "sign-in ada", "set mine 1")
    manager = browser.site.application.managers[0]
    id = (await manager.load(f"session={browser.cookies['session']}"))._saved.id  # type: ignore[union-attr]
    before = await load_record(store.inner, id)
    clock.advance(LATE)
    assert slow.waits
    response = await slow.finish()
    assert response.code == (int(words[-1].split()[1]) if "status" in str(words) else 200)
    assert cookies_set(response) == []
    assert await load_record(store.inner, id) == before
    assert (await do(browser))["was"]["data"] == {"a": 1, "mine": 1}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", SLOW.values(), ids=SLOW)
async def test_a_late_request_whose_token_still_counts_is_saved(
    browser: Browser, clock: FakeClock, words: tuple[str, ...]
) -> None:
    await do(browser, "set a 1")
    slow = await Held.at(twin(browser), *words)
    clock.advance(LATE)
    response = await slow.finish()
    tokens = [token_of(cookie) for cookie in cookies_set(response)]
    found = (await do(twin(browser, of=tokens[0]) if tokens else browser))["was"]
    expected = {"a": 1}
    for word in words:
        match word.split():
            case ["set", key, value]:
                expected[key] = int(value)
            case ["delete" | "clear" | "destroy" | "sign-out", *_]:
                expected.clear()
            case ["status", "500"]:
                expected = {"a": 1}
    assert found["data"] == expected


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("user", ["ada", "eve"])
async def test_a_late_sign_in_is_never_refused(
    browser: Browser, clock: FakeClock, user: str
) -> None:
    """It goes on with the session if that is the same user's by now, else begins its own."""
    await do(browser, "set a 1")
    planted = twin(browser)
    slow = await Held.at(planted, f"sign-in {user}", "set b 2")
    await do(browser, "sign-in ada")
    clock.advance(LATE)
    (cookie,) = cookies_set(await slow.finish())
    found = (await do(twin(browser, of=token_of(cookie))))["was"]
    assert (found["user"], found["data"]) == (user, {"b": 2, **({"a": 1} if user == "ada" else {})})
    still = (await do(browser))["was"]
    assert (still["user"], still["data"]) == (("ada", {"a": 1}) if user == "eve" else (None, {}))


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", [("destroy",), ("sign-in eve",), ("destroy", "set b 2")])
async def test_late_it_ends_only_what_its_tokens_still_open(
    browser: Browser, clock: FakeClock, words: tuple[str, ...]
) -> None:
    """Of several tokens, one of which was planted and replaced by a sign-in."""
    await do(browser, "set a 1")
    own = browser.site.browser()
    await do(own, "set own 1")
    both = browser.site.browser()
    both.cookies = {"session": "; session=".join(b.cookies["session"] for b in (browser, own))}
    slow = await Held.at(both, *words)
    await do(browser, "sign-in ada")
    clock.advance(LATE)
    response = await slow.finish()
    assert response.code == 200
    assert bool(cookies_set(response)) == ("sign-in eve" in words)
    assert (await do(own))["was"]["id"] is None
    found = (await do(browser))["was"]
    assert (found["user"], found["data"]) == ("ada", {"a": 1})


@pytest.mark.gen_test(timeout=30)
async def test_a_request_within_the_grace_asks_no_more(
    browser: Browser, store: FaultyStore, clock: FakeClock
) -> None:
    """The everyday request costs one load and one write."""
    await do(browser, "set a 1")
    for late, kinds in ((10.0, ["load", "Update"]), (10.1, ["load", "load", "Update"])):
        store.calls.clear()
        slow = await Held.at(browser, f"set a {late}")
        clock.advance(late)
        await slow.finish()
        assert store.kinds == kinds
