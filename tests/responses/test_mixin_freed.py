"""Nothing of a request stays in memory when it has been answered, nor counts as in flight."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
from tornado.web import Finish, HTTPError

from stores import StoreUnavailable
from tests.helpers.freed import all_gone, without_the_collector
from tests.helpers.pages import Page, Streams, open_page
from tests.helpers.raw import RawConnection
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


class Watched(Page):
    """Notes every handler made, without holding it."""

    made: list[weakref.ref[Watched]] = []  # noqa: RUF012 - emptied by the fixture

    def initialize(self) -> None:
        self.made.append(weakref.ref(self))

    async def get(self) -> None:
        self.session["kept"] = [1, {"nested": True}]
        match self.get_argument("how", ""):
            case "flush":
                self.write("a")
                await self.flush()
            case "unawaited":
                self.flush()
            case "redirect":
                self.redirect("/kept")
            case "finish":
                raise Finish("b")
            case "destroy":
                self.session.destroy()
            case "403":
                raise HTTPError(403)
            case "bug":
                raise KeyError("bug")


@pytest.fixture
def made() -> Iterator[list[weakref.ref[Watched]]]:
    """The handlers made in this test."""
    with without_the_collector(Watched.made) as made:
        yield made


async def all_freed(made: list[weakref.ref[Watched]]) -> bool:
    """Give the loop time to let go; no cycle goes away by that."""
    deadline = time.monotonic() + 1
    while not all_gone(made) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return all_gone(made)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "how", ["", "flush", "unawaited", "redirect", "finish", "destroy", "403", "bug"]
)
async def test_a_handler_is_freed_without_the_collector(
    serve: Serve, made: list[weakref.ref[Watched]], how: str
) -> None:
    await open_page(serve, Watched).get(f"/page?how={how}")
    assert len(made) == 1
    assert await all_freed(made)


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["", "flush", "unawaited", "redirect"])
async def test_a_handler_is_freed_after_its_store_failed(
    serve: Serve, made: list[weakref.ref[Watched]], how: str
) -> None:
    """A handler whose store failed is freed without the garbage collector."""
    store = FaultyStore()
    store.fail["write"] = lambda: StoreUnavailable("out of order")
    assert (await open_page(serve, Watched, store).get(f"/page?how={how}")).code == 503
    assert len(made) == 1
    assert await all_freed(made)


@pytest.mark.gen_test
async def test_a_request_that_was_cut_off_is_no_longer_in_flight(
    serve: Serve, made: list[weakref.ref[Watched]]
) -> None:
    store = FaultyStore()
    browser = open_page(serve, Streams, store)
    await browser.text("/keep")
    store.fail["write"] = lambda: StoreUnavailable("out of order")
    async with RawConnection(browser.site) as connection:
        connection.send("GET", "/page", f"Cookie: session={browser.cookies['session']}")
        await connection.read_to_end()
    deadline = time.monotonic() + 1
    while browser.site.application.activity.requests and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert not browser.site.application.activity.requests
