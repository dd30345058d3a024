"""A store that fails or hangs: 503 with Retry-After, and nothing of the handler's answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from tornado.web import HTTPError, RequestHandler

from app import Config, Cookie, Group, Route, SessionManager, make_app
from stores import ConfigurationError, MemoryStore, StoreUnavailable
from tests.helpers.pages import (
    PAGES,
    SECRET,
    Page,
    Plain,
    Returns,
    Streams,
    StreamsAndRefuses,
    StreamsInPrepare,
    kept,
    open_page,
)
from tests.helpers.raw import RawConnection
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]

FAULTS: list[Callable[[], Exception]] = [
    lambda: StoreUnavailable("out of order"),
    lambda: OSError("disk"),
    lambda: KeyError("a-secret-value"),
    lambda: TimeoutError(),
    lambda: HTTPError(404),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("method", "page", "status"), PAGES)
async def test_a_failed_write_is_503_without_the_handlers_answer(
    serve: Serve, method: str, page: type[RequestHandler], status: int
) -> None:
    store = FaultyStore()
    browser = open_page(serve, page, store)
    await browser.text("/keep")
    before = dict(browser.cookies)
    store.break_down("write")
    response = await browser.get("/page", method=method)
    assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert "Set-Cookie" not in response.headers
    assert SECRET not in response.body.decode() + str(response.headers) + response.reason
    store.mend()
    assert browser.cookies == before
    assert await kept(browser) == "before"


@pytest.mark.gen_test
async def test_a_session_that_could_not_be_saved_is_not_begun(serve: Serve) -> None:
    store = FaultyStore()
    browser = open_page(serve, Returns, store)
    store.break_down("write")
    assert (await browser.get("/page")).code == 503
    assert browser.cookies == {}
    store.mend()
    assert await browser.text("/page") == SECRET
    assert await kept(browser) == "after"


@pytest.mark.gen_test
@pytest.mark.parametrize("page", [Streams, StreamsAndRefuses, StreamsInPrepare])
async def test_a_write_that_fails_within_a_stream_cuts_it_off(
    serve: Serve, caplog: pytest.LogCaptureFixture, page: type[RequestHandler]
) -> None:
    store = FaultyStore()
    browser = open_page(serve, page, store)
    await browser.text("/keep")
    store.break_down("write")
    async with RawConnection(browser.site) as connection:
        connection.send("GET", "/page", f"Cookie: session={browser.cookies['session']}")
        answer = await connection.read_to_end()
    assert b"begun" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert "response cut off" in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", ["load", "write", "open"])
async def test_whatever_the_store_raises_is_503(
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    operation: str,
    fault: Callable[[], Exception],
) -> None:
    store = FaultyStore()
    browser = open_page(serve, Returns, store)
    if operation == "load":
        await browser.text("/keep")
    store.fail[operation] = fault
    response = await browser.get("/page")
    assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert SECRET not in response.body.decode()
    assert "a-secret-value" not in caplog.text + response.body.decode()
    store.mend()
    assert await browser.text("/page") == SECRET


@pytest.mark.gen_test
async def test_the_log_tells_what_is_wrong_at_a_stores_opening(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    store = FaultyStore()
    store.fail["open"] = ConfigurationError("drop that index")
    response = await open_page(serve, Returns, store).get("/page")
    assert response.code == 503
    assert "store faulty:: drop that index" in caplog.text


@pytest.mark.gen_test
async def test_a_failed_load_is_503_before_the_handler_runs(serve: Serve) -> None:
    ran: list[str] = []

    class Runs(Page):
        def get(self) -> None:
            ran.append("get")
            self.session["kept"] = "overwritten"

    store = FaultyStore()
    browser = open_page(serve, Runs, store)
    await browser.text("/keep")
    before = dict(browser.cookies)
    store.break_down("load")
    response = await browser.get("/page")
    assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert "Set-Cookie" not in response.headers
    assert ran == []
    store.mend()
    assert browser.cookies == before
    assert await kept(browser) == "before"


@pytest.mark.gen_test
async def test_a_failing_store_does_not_matter_without_a_cookie(serve: Serve) -> None:
    store = FaultyStore()
    browser = open_page(serve, Page, store)
    store.break_down()
    assert await kept(browser) == "nothing"
    assert await browser.text("/plain") == "plain"


@pytest.mark.gen_test
@pytest.mark.parametrize("operation", ["load", "write", "open"])
async def test_a_store_that_hangs_is_503_at_its_deadline(serve: Serve, operation: str) -> None:
    store = FaultyStore()
    store.timeout = 0.3
    browser = open_page(serve, Returns, store)
    if operation == "load":
        await browser.text("/keep")
    store.gate[operation] = asyncio.Event()
    begun = time.monotonic()
    response = await browser.get("/page")
    took = time.monotonic() - begun
    assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert "Set-Cookie" not in response.headers
    assert 0.25 < took < 1.5
    store.mend()
    assert await browser.text("/page") == SECRET


@pytest.mark.gen_test(timeout=20)
async def test_requests_to_a_hanging_store_end_at_the_deadline(serve: Serve) -> None:
    store = FaultyStore()
    store.timeout = 0.5
    browser = open_page(serve, Returns, store)
    await browser.text("/keep")
    store.gate["load"] = asyncio.Event()
    begun = time.monotonic()
    requests: list[Awaitable[object]] = [browser.get("/page") for _ in range(20)]
    responses = await asyncio.gather(*requests)
    assert {response.code for response in responses} == {503}  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 2


@pytest.mark.gen_test
async def test_sessions_of_two_managers_fail_apart(serve: Serve) -> None:
    broken = FaultyStore()
    broken.break_down()
    routes = Group(
        "/",
        Group("a", Route("page", Returns), sessions=SessionManager(MemoryStore())),
        Group(
            "b",
            Route("page", Returns),
            sessions=SessionManager(broken, cookie=Cookie(name="other")),
        ),
        Route("plain", Plain),
    )
    browser = serve(routes).browser()
    assert (await browser.get("/b/page")).code == 503
    assert await browser.text("/a/page") == SECRET
    assert make_app(Config(routes)).managers[1].store is broken
