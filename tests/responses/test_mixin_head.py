"""The head of a response never leaves before the store has acknowledged what belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tornado.web import RequestHandler

from tests.helpers.pages import PAGES, Destroys, Returns, Streams, kept, open_page
from tests.helpers.raw import RawConnection
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


class Gate(asyncio.Event):
    """An event that tells when somebody has come to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> bool:  # type: ignore[override]
        self.reached.set()
        return await super().wait()


def patient_store() -> FaultyStore:
    """Return a store that may take longer than the test wants it to."""
    store = FaultyStore()
    store.timeout = 60.0
    return store


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize(("method", "page", "status"), PAGES)
async def test_no_byte_leaves_before_the_store_has_acknowledged(
    serve: Serve, method: str, page: type[RequestHandler], status: int
) -> None:
    store = patient_store()
    browser = open_page(serve, page, store)
    await browser.text("/keep")
    store.gate["write"] = gate = Gate()
    async with RawConnection(browser.site) as connection:
        connection.send(method, "/page", f"Cookie: session={browser.cookies['session']}")
        await gate.reached.wait()
        assert await connection.nothing_came()
        gate.set()
        answer = await connection.read_to_end()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert await kept(browser) == ("nothing" if page is Destroys else "after")


@pytest.mark.gen_test(timeout=20)
async def test_a_304_waits_for_the_store(serve: Serve) -> None:
    store = patient_store()
    browser = open_page(serve, Returns, store)
    etag = (await browser.site.fetch("/page")).headers["Etag"]
    store.gate["write"] = gate = Gate()
    async with RawConnection(browser.site) as connection:
        connection.send("GET", "/page", f"If-None-Match: {etag}")
        await gate.reached.wait()
        assert await connection.nothing_came()
        gate.set()
        answer = await connection.read_to_end()
    assert answer.startswith(b"HTTP/1.1 304 ")
    assert b"\r\nSet-Cookie: session=" in answer


@pytest.mark.gen_test(timeout=20)
async def test_a_stream_ends_when_its_last_change_is_acknowledged(serve: Serve) -> None:
    store = patient_store()
    browser = open_page(serve, Streams, store)
    await browser.text("/keep")
    store.gate["write"] = gate = Gate()
    async with RawConnection(browser.site) as connection:
        connection.send("GET", "/page", f"Cookie: session={browser.cookies['session']}")
        await connection.read_until(b"begun\r\n")
        await gate.reached.wait()
        assert await connection.nothing_came()
        gate.set()
        assert (await connection.read_to_end()).endswith(b"0\r\n\r\n")
