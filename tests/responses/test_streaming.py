"""Responses in pieces: what can change when, and clients that leave early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import HTTPError

from app import SessionCommitted
from stores import MemoryStore
from tests.helpers.pages import Page, kept, open_page
from tests.helpers.raw import RawConnection
from tests.helpers.site import Site
from tests.helpers.steps import until
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]


@pytest.fixture
def store() -> SpyStore:
    return SpyStore(MemoryStore())


# After the head has left

NEEDS_COOKIE: dict[str, Callable[[Any], object]] = {
    "destroy": lambda s: s.destroy(),
    "sign_out": lambda s: s.sign_out(),
    "regenerate": lambda s: s.regenerate(),
    "sign_in": lambda s: s.sign_in("ada"),
    "persistent": lambda s: setattr(s, "persistent", False),
}


@pytest.mark.gen_test
@pytest.mark.parametrize("change", NEEDS_COOKIE.values(), ids=NEEDS_COOKIE)
async def test_what_needs_a_cookie_raises_after_a_flush(
    serve: Serve, store: SpyStore, change: Callable[[Any], object]
) -> None:
    """What needs a cookie raises after a flush, and changes nothing."""

    class Streaming(Page):
        async def get(self) -> None:
            self.write("begun")
            await self.flush()
            try:
                change(self.session)
            except SessionCommitted as error:
                self.write(f", {error}")

    browser = open_page(serve, Streaming, store)
    await browser.text("/keep")
    store.calls.clear()
    response = await browser.get("/page")
    assert b"needs a cookie, but the response has begun" in response.body
    assert "Set-Cookie" not in response.headers
    assert store.kinds == ["load"]
    assert await kept(browser) == "before"


@pytest.mark.gen_test
async def test_a_cookie_can_be_sent_until_flush(serve: Serve, store: SpyStore) -> None:
    class Streaming(Page):
        async def get(self) -> None:
            self.session.sign_in("ada")
            await self.flush()
            self.session["kept"] = "after"

    browser = open_page(serve, Streaming, store)
    await browser.text("/keep")
    before = dict(browser.cookies)
    store.calls.clear()
    await browser.text("/page")
    # The sign-in lists the session and looks at the list.
    assert store.kinds == ["load", "Update", "Update", "load", "Update"]
    assert browser.cookies != before
    assert await kept(browser) == "after"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("error", "expected"), [(KeyError("bug"), "flushed"), (HTTPError(403), "streamed")]
)
async def test_an_error_within_a_stream_decides_of_the_unsaved(
    serve: Serve, error: Exception, expected: str
) -> None:
    """An error in the middle of a stream decides of what was not saved yet."""

    class Streaming(Page):
        async def get(self) -> None:
            self.session["kept"] = "flushed"
            self.write("begun")
            await self.flush()
            self.session["kept"] = "streamed"
            raise error

    browser = open_page(serve, Streaming)
    await browser.text("/keep")
    assert (await browser.get("/page")).code == 200  # it had been sent
    assert await kept(browser) == expected


# A client that leaves

OUTCOMES = [
    (None, "after"),
    (HTTPError(403), "after"),
    (HTTPError(503), "before"),
    (OSError(), "before"),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("error", "expected"), OUTCOMES)
async def test_what_was_kept_stays_when_the_client_leaves_early(
    serve: Serve, error: Exception | None, expected: str
) -> None:
    arrived, gone, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(Page):
        async def get(self) -> None:
            arrived.set()
            await gone.wait()
            self.session["kept"] = "after"
            if error is not None:
                raise error

        def on_connection_close(self) -> None:
            gone.set()

        def on_finish(self) -> None:
            done.set()

    browser = open_page(serve, Slow)
    await browser.text("/keep")
    async with RawConnection(browser.site) as connection:
        connection.send("GET", "/page", f"Cookie: session={browser.cookies['session']}")
        await arrived.wait()
    async with asyncio.timeout(5):
        await done.wait()
    assert await kept(browser) == expected


@pytest.mark.gen_test
async def test_what_was_kept_stays_when_the_client_leaves_a_stream(
    serve: Serve, store: SpyStore
) -> None:
    gone, done = asyncio.Event(), asyncio.Event()

    class Streaming(Page):
        async def get(self) -> None:
            self.write("begun")
            await self.flush()
            await gone.wait()
            self.session["kept"] = "after"
            try:
                while True:
                    self.write(b"x" * 1000)
                    await self.flush()  # StreamClosedError
            finally:
                done.set()

        def on_connection_close(self) -> None:
            gone.set()

    browser = open_page(serve, Streaming, store)
    await browser.text("/keep")
    async with RawConnection(browser.site) as connection:
        connection.send("GET", "/page", f"Cookie: session={browser.cookies['session']}")
        await connection.read_until(b"begun")
        store.calls.clear()
    await done.wait()
    await until(lambda: store.calls, "the change to be written")
    assert store.kinds == ["Update"]
    assert await kept(browser) == "after"


# Compressed


@pytest.mark.gen_test
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_compressed_response_has_the_cookie_and_both_varies(
    serve: Serve, streamed: bool
) -> None:
    class Long(Page):
        async def get(self) -> None:
            self.session["kept"] = "after"
            self.write("answer " * 1000)
            if streamed:
                await self.flush()
                self.write("end")

    browser = open_page(serve, Long, compress_response=True)
    response = await browser.get("/page", decompress_response=True)
    assert response.headers["X-Consumed-Content-Encoding"] == "gzip"
    assert response.body == b"answer " * 1000 + (b"end" if streamed else b"")
    varies = response.headers["Vary"].replace(" ", "").split(",")
    assert sorted(varies) == ["Accept-Encoding", "Cookie"]
    assert response.headers["Cache-Control"] == "no-store"
    assert await kept(browser) == "after"
