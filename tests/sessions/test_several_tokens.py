"""A client that presents several live tokens: what ends their sessions, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app import Group, Route, SessionManager
from stores import Store
from tests.helpers.cookies import token_of
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Steps, cookies_set, do, steps, twin, until
from tests.helpers.stores_for_tests import FaultyStore

ROUTES = Group("/", Route("steps", Steps), sessions=True)


@pytest.fixture
def store(any_store: Store) -> FaultyStore:
    return FaultyStore(any_store)


@pytest.fixture
def browser(serve: Callable[..., Site], store: FaultyStore) -> Browser:
    return serve(ROUTES, SessionManager(store)).browser()


async def several(browser: Browser) -> Browser:
    """Return a browser that presents the tokens of two live sessions."""
    tokens = []
    for n in range(2):
        other = browser.site.browser()
        await do(other, "sign-in ada", f"set n {n}")
        tokens.append(other.cookies["session"])
    both = browser.site.browser()
    both.cookies = {"session": "; session=".join(tokens)}
    return both


async def live(browser: Browser, tokens: str) -> list[bool]:
    """Tell which of the tokens open a session."""
    each = tokens.split("; session=")
    return [bool((await do(twin(browser, of=t)))["was"]["id"]) for t in each]


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize(
    "words",
    [("sign-in eve",), ("destroy",), ("set a 1", "commit", "sign-in eve"), ("set a 1", "destroy")],
)
async def test_a_sign_in_and_a_destroy_end_all_that_is_presented(
    browser: Browser, words: tuple[str, ...]
) -> None:
    both = await several(browser)
    tokens = both.cookies["session"]
    response = await both.get(steps(*words))
    assert response.code == 200
    assert await live(browser, tokens) == [False, False]
    if "sign-in eve" in words:
        (cookie,) = cookies_set(response)
        found = (await do(twin(browser, of=token_of(cookie))))["was"]
        assert (found["user"], found["data"]) == ("eve", {"a": 1} if len(words) > 1 else {})


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", [(), ("set a 1",), ("sign-in eve", "status 500")])
async def test_nothing_else_ends_what_several_tokens_open(
    browser: Browser, words: tuple[str, ...]
) -> None:
    both = await several(browser)
    tokens = both.cookies["session"]
    await both.get(steps(*words))
    assert await live(browser, tokens) == [True, True]


@pytest.mark.gen_test(timeout=30)
async def test_a_sign_in_during_a_commit_still_ends_all_presented(
    browser: Browser, store: FaultyStore
) -> None:
    """A commit ends only what it knew was to end; what came meanwhile is left to the next."""
    both = await several(browser)
    manager = browser.site.application.managers[0]
    session = await manager.load(f"session={both.cookies['session']}")
    session["a"] = 1
    store.gate["write"] = asyncio.Event()
    commit = asyncio.ensure_future(session.commit())
    await until(lambda: store.waiting, "the write to wait")
    session.sign_in("eve")
    store.gate.pop("write").set()
    await commit
    await session.commit()
    assert await live(browser, both.cookies["session"]) == [False, False]
