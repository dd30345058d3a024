"""`await session.commit()` in the middle of a request: what was acknowledged stays, and is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import Group, Route, SessionManager
from stores import Store
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, cookies_set, do, steps, twin
from tests.helpers.stores_for_tests import FaultyStore

ROUTES = Group("/", Route("steps", Steps), sessions=True)


@pytest.fixture
def store(any_store: Store) -> FaultyStore:
    return FaultyStore(any_store)


@pytest.fixture
def browser(serve: Callable[..., Site], store: FaultyStore) -> Browser:
    return serve(ROUTES, SessionManager(store)).browser()


BEGINNINGS = [("regenerate", "set a 2"), ("sign-in ada", "set a 2"), ("destroy", "set a 2")]


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", BEGINNINGS)
@pytest.mark.parametrize("status", [403, 500])
async def test_an_acknowledged_commits_cookie_goes_with_any_answer(
    browser: Browser, words: tuple[str, ...], status: int
) -> None:
    await do(browser, "set a 1")
    response = await browser.get(steps(*words, "commit", "set a 3", f"status {status}"))
    assert response.code == status
    assert len(cookies_set(response)) == 1
    assert response.headers["Cache-Control"] == "no-store"
    assert (await do(browser))["was"]["data"] == {"a": 3 if status == 403 else 2}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", BEGINNINGS)
async def test_it_is_sent_though_a_later_change_was_not_saved(
    browser: Browser, store: FaultyStore, words: tuple[str, ...]
) -> None:
    await do(browser, "set a 1")
    held = await Held.at(browser, "set a 3", before=(*words, "commit"))
    store.break_down("write")
    response = await held.finish()
    assert response.code == 503
    assert len(cookies_set(response)) == 1
    store.mend()
    assert (await do(browser))["was"]["data"] == {"a": 2}


@pytest.mark.gen_test(timeout=30)
async def test_a_session_ended_after_the_commit_gets_no_cookie(browser: Browser) -> None:
    """A session that another request ended after the commit gets no cookie."""
    await do(browser, "set a 1")
    held = await Held.at(twin(browser), "set a 3", before=("set a 2", "commit"))
    await do(browser, "destroy")
    assert held.waits
    response = await held.finish()
    assert (response.code, cookies_set(response)) == (200, [])


@pytest.mark.gen_test(timeout=30)
async def test_a_commits_new_token_is_useless_once_ended(browser: Browser) -> None:
    """A new token of the commit is useless when another request ended the session."""
    await do(browser, "set a 1")
    ending = await Held.at(twin(browser), "destroy")  # loaded under the former token
    held = await Held.at(twin(browser), "set a 3", before=("regenerate", "commit"))
    await ending.finish()
    assert held.waits
    response = await held.finish()
    assert (response.code, cookies_set(response)) == (200, [])


@pytest.mark.gen_test(timeout=30)
async def test_an_acknowledged_removal_is_told_with_a_server_error(browser: Browser) -> None:
    await do(browser, "set a 1")
    (cookie,) = cookies_set(await browser.get(steps("destroy", "commit", "set b 1", "status 500")))
    assert "Max-Age=0" in cookie
    assert browser.cookies == {}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("user", ["ada", "grace"])
async def test_a_sign_in_after_a_late_commit_is_one(browser: Browser, user: str) -> None:
    """The commit found that another request had ended the session; what it had is dropped."""
    await do(browser, "set a 1", "sign-in ada")
    held = await Held.at(browser, "set b 2", "commit", f"sign-in {user}")
    await do(twin(browser), "sign-out")
    response = await held.finish()
    assert (response.code, len(cookies_set(response))) == (200, 1)
    was = (await do(browser))["was"]
    assert (was["user"], was["data"]) == (user, {})
