"""Requests whose body is received in pieces: the session is there, and saved once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tornado.web import HTTPError, stream_request_body

from stores import MemoryStore
from tests.helpers.pages import Page, kept, open_page
from tests.helpers.raw import RawConnection
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]


@pytest.fixture
def store() -> SpyStore:
    return SpyStore(MemoryStore())


@stream_request_body
class Upload(Page):
    """Counts what it receives in the session."""

    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "begun"
        if self.get_argument("refuse", ""):
            raise HTTPError(403)

    async def data_received(self, chunk: bytes) -> None:
        size = self.session.get("size", 0)
        assert isinstance(size, int)
        self.session["size"] = size + len(chunk)

    def post(self) -> None:
        self.session["kept"] = f"{self.session.pop('size')} bytes"


@pytest.mark.gen_test
async def test_a_streamed_body_has_the_session_and_is_one_write(
    serve: Serve, store: SpyStore
) -> None:
    browser = open_page(serve, Upload, store)
    response = await browser.post("/page", body=b"x" * 300_000)
    assert response.code == 200
    assert store.kinds == ["Create"]
    assert await kept(browser) == "300000 bytes"


@pytest.mark.gen_test
async def test_a_body_that_prepare_refuses_keeps_what_prepare_set(serve: Serve) -> None:
    browser = open_page(serve, Upload)
    response = await browser.post("/page?refuse=1", body=b"x" * 100)
    assert response.code == 403
    assert await kept(browser) == "begun"


@pytest.mark.gen_test
async def test_a_body_that_never_arrives_whole_changes_nothing(
    serve: Serve, store: SpyStore
) -> None:
    """A body that never arrives whole is no request and changes nothing."""
    arrived, gone = asyncio.Event(), asyncio.Event()

    @stream_request_body
    class Receiving(Upload):
        async def data_received(self, chunk: bytes) -> None:
            await super().data_received(chunk)
            arrived.set()

        def on_connection_close(self) -> None:
            super().on_connection_close()
            gone.set()

    browser = open_page(serve, Receiving, store)
    await browser.text("/keep")
    store.calls.clear()
    async with RawConnection(browser.site) as connection:
        cookie = f"Cookie: session={browser.cookies['session']}"
        connection.send("POST", "/page", cookie, "Content-Length: 100")
        connection.write(b"half")
        await arrived.wait()
    await gone.wait()
    assert await kept(browser) == "before"
    assert store.kinds == ["load", "load"]


@pytest.mark.gen_test
@pytest.mark.parametrize("answer", ["finish", "send_error"])
async def test_an_answer_before_the_body_is_whole_is_saved(
    serve: Serve, store: SpyStore, answer: str
) -> None:
    @stream_request_body
    class Impatient(Upload):
        async def data_received(self, chunk: bytes) -> None:
            self.session["kept"] = "refused"
            if answer == "finish":
                self.set_status(413)
                self.finish("too much")
            else:
                self.send_error(413)

    browser = open_page(serve, Impatient, store)
    response = await browser.post("/page", body=b"x" * 100)
    assert response.code == 413
    assert store.kinds == ["Create"]
    assert await kept(browser) == "refused"


@pytest.mark.gen_test
async def test_a_flush_before_the_body_is_whole_commits_first(
    serve: Serve, store: SpyStore
) -> None:
    @stream_request_body
    class Echo(Upload):
        async def data_received(self, chunk: bytes) -> None:
            await super().data_received(chunk)
            self.write(chunk)
            await self.flush()

    browser = open_page(serve, Echo, store)
    response = await browser.post("/page", body=b"x" * 100)
    assert (response.code, response.body) == (200, b"x" * 100)
    assert store.kinds == ["Create", "Update"]
    assert await kept(browser) == "100 bytes"
