"""The pages for operators: what they answer, how often they ask the store, and what they tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from app import Cookie, Group, Route, SessionManager
from app.readiness import Readiness
from configure import ROUTES
from handlers.health import Ready
from handlers.sessions import GetName
from tests.helpers.clock import FakeClock
from tests.helpers.raw import raw_request
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore


class PingedStore(FaultyStore):
    """Counts pings."""

    pings = 0

    async def ping(self) -> None:
        self.pings += 1
        await super().ping()


@pytest.fixture
def store() -> PingedStore:
    return PingedStore()


@pytest.fixture
def site(serve: Callable[..., Site], store: PingedStore, clock: FakeClock) -> Site:
    site = serve(ROUTES, SessionManager(store))
    site.application.readiness = Readiness(site.application.managers, clock)
    return site


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_head_and_options_answer_as_get_does(site: Site, path: str) -> None:
    answers = {}
    for method in ("GET", "HEAD", "OPTIONS"):
        status, head, body = await raw_request(site, method, path)
        assert status == 200
        answers[method] = (head, body)
    assert answers["HEAD"][1] == b""
    assert answers["OPTIONS"][1] == answers["GET"][1]
    assert "\r\nAllow: GET, HEAD, OPTIONS\r\n" in answers["OPTIONS"][0] + "\r\n"
    length = f"\r\nContent-Length: {len(answers['GET'][1])}"
    assert all(length in head for head, _ in answers.values())


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_not_ready_is_503_by_every_method(
    site: Site, store: PingedStore, method: str
) -> None:
    store.break_down()
    status, head, _ = await raw_request(site, method, "/readyz")
    assert status == 503
    assert "Retry-After: 1" in head
    status, _, _ = await raw_request(site, method, "/healthz")
    assert status == 200


@pytest.mark.gen_test
async def test_neither_page_takes_a_session(site: Site, store: PingedStore) -> None:
    browser = site.browser()
    await browser.text("/sessions/set/Ada")
    store.calls.clear()
    for path in ("/healthz", "/readyz"):
        response = await browser.get(path)
        assert "Set-Cookie" not in response.headers
        assert "Vary" not in response.headers
    assert store.calls == []


@pytest.mark.gen_test
async def test_the_store_is_asked_once_a_second_however_many_ask(
    site: Site, store: PingedStore, clock: FakeClock
) -> None:
    for asked in (1, 2):
        answers = await asyncio.gather(*(site.fetch("/readyz") for _ in range(50)))
        assert [answer.body for answer in answers] == [b"ready\n"] * 50
        assert store.pings == asked
        clock.advance(0.9)
        await site.fetch("/readyz")
        assert store.pings == asked
        clock.advance(0.2)


@pytest.mark.gen_test
async def test_those_who_ask_meanwhile_share_the_answer(site: Site, store: PingedStore) -> None:
    store.gate["ping"] = asyncio.Event()
    asking = [asyncio.ensure_future(site.fetch("/readyz")) for _ in range(20)]
    while len(list(site.application.activity.requests)) < 20 or not store.waiting:
        await asyncio.sleep(0.01)
    assert store.waiting == 1
    store.gate["ping"].set()
    assert {(await answer).code for answer in asking} == {200}
    assert store.pings == 1


@pytest.mark.gen_test
async def test_the_reason_is_in_the_log_at_changes_only(
    site: Site, store: PingedStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.readiness")

    async def ask_for_a_while() -> set[bytes]:
        bodies = set()
        for _ in range(5):
            clock.advance(2)
            bodies.add((await site.fetch("/readyz")).body)
        return bodies

    await ask_for_a_while()
    assert caplog.messages == []
    store.break_down()
    assert await ask_for_a_while() == {b"not ready: session\n"}
    (told,) = [m for m in caplog.messages if "cookie" in m]
    assert told == "not ready: sessions of cookie session: store faulty:: out of order"
    store.mend()
    assert await ask_for_a_while() == {b"ready\n"}
    assert [m for m in caplog.messages if "again" in m] == [
        "ready again: sessions of cookie session"
    ]


@pytest.mark.gen_test
async def test_the_manager_that_is_not_ready_is_named_by_its_cookie(
    serve: Callable[..., Site], store: PingedStore
) -> None:

    admin = SessionManager(PingedStore(), cookie=Cookie(name="admin"))
    routes = Group(
        "/",
        Route("readyz", Ready),
        Group("shop", Route("", GetName), sessions=True),
        Group("admin", Route("", GetName), sessions=admin),
    )
    site = serve(routes, SessionManager(store, cookie=Cookie(name="shop")))
    store.break_down("open")
    assert (await site.fetch("/readyz")).body == b"not ready: shop\n"
