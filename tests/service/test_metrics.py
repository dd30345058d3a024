"""The metrics: their names and labels, what they count of requests, sockets, records, the loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler

from app import Cookie, Group, Route, SessionManager
from app.metrics.listener import MetricsListener
from app.metrics.loop_lag import INTERVAL, LoopLag
from app.metrics.records import GOOD_FOR, RecordEstimates
from app.sessions.counters import KINDS, LOADS, OPERATIONS, OUTCOMES, REASONS
from stores import MemoryStore
from stores.contract import Count
from tests.helpers.clock import FakeClock
from tests.helpers.metrics import Scrape
from tests.helpers.raw import raw_request
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.helpers.websockets import eventually, leave, open_socket, talk, talking

NAMES = {
    "sessions_loads_total": {"manager", "outcome"},
    "sessions_commits_total": {"manager", "kind", "outcome"},
    "sessions_store_seconds_bucket": {"manager", "op", "le"},
    "sessions_store_seconds_count": {"manager", "op"},
    "sessions_store_seconds_sum": {"manager", "op"},
    "sessions_store_batch_bucket": {"manager", "op", "le"},
    "sessions_store_batch_count": {"manager", "op"},
    "sessions_store_batch_sum": {"manager", "op"},
    "sessions_store_failures_total": {"manager", "op", "reason"},
    "sessions_ended_total": {"manager", "reason"},
    "sessions_replaced_used_total": {"manager"},
    "sessions_sockets": {"manager"},
    "sessions_records": {"manager"},
    "tornado_request_seconds_bucket": {"handler", "method", "code", "le"},
    "tornado_request_seconds_count": {"handler", "method", "code"},
    "tornado_request_seconds_sum": {"handler", "method", "code"},
    "event_loop_lag_seconds": set[str](),
}
"""What dashboards rely on: no name and no label may change."""


class Page(RequestHandler):
    """Answers with the status that is asked for."""

    SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "PROPFIND")

    def get(self) -> None:
        self.set_status(int(self.get_argument("status", "200")), "as you like")

    propfind = get


ROUTES = Group("/", Route("page", Page))


class Scraped:
    """The metrics of a site's application, on a port of their own."""

    def __init__(self, site: Site) -> None:
        (listening,) = bind_sockets(0, "127.0.0.1")
        self.listener = MetricsListener(site.application, [listening])
        self.port: int = listening.getsockname()[1]
        self._client = AsyncHTTPClient(force_instance=True)

    async def get(self, path: str = "/metrics", **options: Any) -> HTTPResponse:
        url = f"http://127.0.0.1:{self.port}{path}"
        return await self._client.fetch(url, raise_error=False, **options)

    async def scrape(self) -> Scrape:
        answer = await self.get()
        assert answer.code == 200
        return Scrape(answer.body.decode())


@pytest.fixture
def expose(io_loop: Any) -> Iterator[Callable[[Site], Scraped]]:
    """Show the metrics of a site."""
    exposed: list[Scraped] = []

    def start(site: Site) -> Scraped:
        exposed.append(Scraped(site))
        return exposed[-1]

    yield start
    for each in exposed:
        io_loop.run_sync(each.listener.stop)


Serve = Callable[..., Site]
Expose = Callable[[Site], Scraped]


# Names and labels


@pytest.mark.gen_test
async def test_the_names_and_labels_are_as_promised(serve: Serve, expose: Expose) -> None:
    site = serve(Group("/", Route("page", Page), sessions=True), SessionManager(MemoryStore()))
    scraped = expose(site)
    await site.fetch("/page")
    found: dict[str, set[frozenset[str]]] = {}
    for name, labels in (await scraped.scrape()).samples:
        found.setdefault(name, set()).add(frozenset(label for label, _ in labels))
    assert {name: [set(each) for each in sets] for name, sets in found.items()} == {
        name: [labels] for name, labels in NAMES.items()
    }


@pytest.mark.gen_test
async def test_every_series_is_there_from_the_start(serve: Serve, expose: Expose) -> None:
    managers = [SessionManager(MemoryStore(), cookie=Cookie(name)) for name in ("shop", "admin")]
    routes = Group("/", *(Group(m.cookie.name, Route("", Page), sessions=m) for m in managers))
    scrape = await expose(serve(routes)).scrape()
    for manager in ("shop", "admin"):
        for outcome in LOADS:
            assert scrape("sessions_loads_total", manager=manager, outcome=outcome) == 0
        for kind in KINDS:
            for outcome in OUTCOMES:
                labels = {"manager": manager, "kind": kind, "outcome": outcome}
                assert scrape("sessions_commits_total", **labels) == 0
        for op in OPERATIONS:
            for reason in REASONS:
                labels = {"manager": manager, "op": op, "reason": reason}
                assert scrape("sessions_store_failures_total", **labels) == 0
        for op in ("load", "write"):
            assert scrape("sessions_store_batch_count", manager=manager, op=op) == 0
            assert scrape("sessions_store_seconds_count", manager=manager, op=op) == 0
        for reason in ("signed_out", "revoked", "limited", "evicted", "swept"):
            assert scrape("sessions_ended_total", manager=manager, reason=reason) == 0
        assert scrape("sessions_replaced_used_total", manager=manager) == 0
        assert scrape("sessions_sockets", manager=manager) == 0
        assert scrape("sessions_records", manager=manager) == 0
    assert scrape("sessions_sockets", manager="") == 0
    assert scrape("event_loop_lag_seconds") < 1


@pytest.mark.gen_test
async def test_an_application_without_sessions_has_metrics_too(
    serve: Serve, expose: Expose
) -> None:
    site = serve(ROUTES)
    scraped = expose(site)
    await site.fetch("/page")
    scrape = await scraped.scrape()
    assert scrape("tornado_request_seconds_count", handler="Page") == 1
    assert list(scrape.find("sessions_loads_total")) == []


@pytest.mark.gen_test
async def test_managers_of_one_cookie_name_are_counted_together(
    serve: Serve, expose: Expose
) -> None:
    """Their cookies are for different paths, so that no browser sends both."""
    managers = [
        SessionManager(MemoryStore(), cookie=Cookie("own", path=f"/{path}")) for path in "ab"
    ]
    routes = Group(
        "/",
        *(
            Group(path, talking(talk(), sessions=manager))
            for path, manager in zip("ab", managers, strict=True)
        ),
    )
    site = serve(routes)
    for path in "ab":
        await site.browser().get(f"/{path}/do/keep")
    scrape = await expose(site).scrape()
    assert scrape("sessions_commits_total", manager="own", kind="create", outcome="done") == 2
    assert scrape("sessions_store_seconds_count", manager="own", op="write") == 2
    assert scrape("sessions_store_seconds_bucket", manager="own", op="write", le="+Inf") == 2
    assert scrape("sessions_records", manager="own") == 2


@pytest.mark.gen_test
async def test_no_token_user_or_id_is_in_a_scrape(serve: Serve, expose: Expose) -> None:
    site = serve(talking(talk()), SessionManager(MemoryStore()))
    browser = site.browser()
    await browser.get("/do/keep")
    await browser.get("/do/sign-in")
    session = await site.application.managers[0].load(f"session={browser.cookies['session']}")
    text = (await expose(site).scrape()).text
    assert session.user == "ada"
    for secret in (browser.cookies["session"], str(session.id), '"ada"', "127.0.0.1"):
        assert secret not in text


# The listener


@pytest.mark.gen_test
async def test_it_answers_in_the_format_that_is_accepted(serve: Serve, expose: Expose) -> None:
    scraped = expose(serve(ROUTES))
    plain = await scraped.get()
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    accepted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    open_metrics = await scraped.get(headers=accepted)
    assert open_metrics.headers["Content-Type"].startswith(
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )
    assert open_metrics.body.endswith(b"# EOF\n")
    assert (
        "event_loop_lag_seconds" in Scrape(open_metrics.body.decode(), is_open_metrics=True).names
    )


@pytest.mark.gen_test
async def test_it_answers_nothing_else(serve: Serve, expose: Expose) -> None:
    scraped = expose(serve(ROUTES))
    head = await scraped.get(method="HEAD")
    assert (head.code, head.body) == (200, b"")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        body = None if method in ("DELETE", "OPTIONS") else b""
        answer = await scraped.get(method=method, body=body)
        assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD")
    for path in ("/", "/metrics/", "/page", "/healthz"):
        assert (await scraped.get(path)).code == 404


@pytest.mark.gen_test
async def test_a_scrape_is_no_request_of_the_service(serve: Serve, expose: Expose) -> None:
    site = serve(ROUTES)
    scraped = expose(site)
    for _ in range(3):
        scrape = await scraped.scrape()
    assert scrape.values_of("handler") == set()
    assert (await site.fetch("/metrics")).code == 404


# Requests


@pytest.mark.gen_test
async def test_requests_are_counted_by_handler_method_and_code(
    serve: Serve, expose: Expose
) -> None:
    site = serve(ROUTES)
    scraped = expose(site)
    for _ in range(2):
        await site.fetch("/page")
    await site.fetch("/page?status=503")
    await site.fetch("/page", method="POST")
    scrape = await scraped.scrape()
    name = "tornado_request_seconds_count"
    assert scrape(name, handler="Page", method="GET", code="200") == 2
    assert scrape(name, handler="Page", method="GET", code="503") == 1
    assert scrape(name, handler="Page", method="POST", code="405") == 1
    assert scrape("tornado_request_seconds_bucket", code="200", le="10.0") == 2
    assert 0 < scrape("tornado_request_seconds_sum", code="200") < 20


@pytest.mark.gen_test
async def test_clients_cannot_make_up_labels(serve: Serve, expose: Expose) -> None:
    site = serve(ROUTES)
    scraped = expose(site)
    for n in range(5):
        await site.fetch(f"/nowhere{n}")
        await raw_request(site, f"X{n}", "/page")
        await raw_request(site, f"X{n}", "/nowhere")
        await site.fetch(f"/page?status={700 + n}")
    await raw_request(site, "PROPFIND", "/page")
    scrape = await scraped.scrape()
    assert scrape.values_of("handler") == {"Page", "not_found"}
    assert scrape.values_of("method") == {"GET", "PROPFIND", "other"}
    assert scrape.values_of("code") == {"200", "404", "405", "other"}
    assert scrape("tornado_request_seconds_count", method="other") == 10
    assert scrape("tornado_request_seconds_count", code="other") == 5


# Sockets, records, the loop


@pytest.mark.gen_test
async def test_open_sockets_are_told_by_their_manager(serve: Serve, expose: Expose) -> None:
    site = serve(talking(talk()), SessionManager(MemoryStore()))
    scraped = expose(site)
    sockets = [await open_socket(site.browser()) for _ in range(2)]
    scrape = await scraped.scrape()
    assert scrape("sessions_sockets", manager="session") == 2
    assert scrape("tornado_request_seconds_count", handler="Talk", code="101") == 2
    await leave(*sockets)
    await eventually(lambda: not site.application.activity.sockets)
    assert (await scraped.scrape())("sessions_sockets", manager="session") == 0


class CountedStore(FaultyStore):
    """Says how often it was asked for the number of its records."""

    asked = 0

    async def count(self, *, exact: bool = False) -> Count:
        self.asked += 1
        assert not exact
        await self._before("count")
        return Count(7, False)


@pytest.mark.gen_test
async def test_many_scrapes_ask_the_store_once_a_minute(clock: FakeClock) -> None:
    store = CountedStore()
    manager = SessionManager(store)
    estimates = RecordEstimates([manager], clock)
    assert estimates.of(manager) is None
    for _ in range(2):
        await asyncio.gather(*(estimates.refresh() for _ in range(20)))
    assert (store.asked, estimates.of(manager)) == (1, 7)
    clock.advance(GOOD_FOR)
    store.break_down("count")
    await estimates.refresh()
    await estimates.refresh()
    assert (store.asked, estimates.of(manager)) == (2, None)
    await manager.close()


@pytest.mark.gen_test
async def test_a_scrape_does_not_wait_for_a_slow_store(serve: Serve, expose: Expose) -> None:
    store = CountedStore()
    store.timeout = 60
    store.gate["count"] = asyncio.Event()
    site = serve(Group("/", Route("page", Page), sessions=True), SessionManager(store))
    scraped = expose(site)
    began = time.monotonic()
    assert math.isnan((await scraped.scrape())("sessions_records"))
    assert time.monotonic() - began < 20
    store.gate.pop("count").set()
    await eventually(lambda: not store.waiting)
    assert (await scraped.scrape())("sessions_records") == 7
    assert store.asked == 1


@pytest.mark.gen_test
async def test_the_lag_is_how_long_the_loop_stood_still() -> None:
    lag = LoopLag()
    assert lag.seconds < 0.5
    time.sleep(INTERVAL + 0.6)  # noqa: ASYNC251 - that is what is measured, in milliseconds
    assert 0.5 <= lag.seconds < 20
    await asyncio.sleep(0.01)
    assert 0.5 <= lag.seconds < 20
    lag.stop()
