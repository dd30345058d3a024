"""The reference example, as `configure.py` serves it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import SessionManager
from configure import ROUTES
from stores import MemoryStore
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore


@pytest.fixture
def site(serve: Callable[..., Site]) -> Site:
    return serve(ROUTES, SessionManager(MemoryStore()))


@pytest.mark.gen_test
async def test_a_name_is_kept_until_the_session_is_deleted(site: Site) -> None:
    browser = site.browser()
    assert await browser.text("/sessions/get") == "n/a"
    assert await browser.text("/sessions/set/Ada") == "Ada"
    assert await browser.text("/sessions/get") == "Ada"
    assert await browser.text("/sessions/del") == "done"
    assert await browser.text("/sessions/get") == "n/a"
    assert browser.cookies == {}


@pytest.mark.gen_test
async def test_each_request_calls_the_store_at_most_once_each_way(
    serve: Callable[..., Site],
) -> None:
    store = SpyStore()
    browser = serve(ROUTES, SessionManager(store)).browser()
    await browser.text("/sessions/get")
    assert store.kinds == []
    await browser.text("/sessions/set/Ada")
    assert store.kinds == ["Create"]
    await browser.text("/sessions/get")
    assert store.kinds == ["load"]
    await browser.text("/sessions/set/Grace")
    assert store.kinds == ["load", "Update"]
    await browser.text("/sessions/set/Grace")
    assert store.kinds == ["load"]
    await browser.text("/sessions/del")
    assert store.kinds == ["load", "Delete"]
