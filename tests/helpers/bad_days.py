"""What every networked store must survive; a subclass of `BadDays` runs it over one.

The service runs with a steady load while its server is stopped, killed, cut off or late. Each
answer is checked by who got it, see `tests.helpers.steady_load`: 200, or 503 with Retry-After
within the deadline; no cookie changed; nobody signed out; every write that was answered 200 is
there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from app import SessionManager
from stores import open_store
from tests.helpers.relay import Relay
from tests.helpers.servers import Server, missing
from tests.helpers.site import Site
from tests.helpers.sockets import connections_to, resident_bytes
from tests.helpers.steady_load import ROUTES, SteadyLoad

TIMEOUT = 1.0
"""Seconds that an operation of the store may take here."""

LONGEST = 2 * TIMEOUT + 3.0
"""Seconds for an answer: reading and writing may each take the time-out; and a slow machine."""

Serve = Callable[[str], Site]


class BadDays:
    """The suite. A subclass names its server and what the server's programs are called."""

    kind: ClassVar[type[Server]]
    programs: ClassVar[tuple[str, ...]]
    max_connections: ClassVar[int]
    """Connections that the service may have at most, however long an outage lasts."""

    def url(self, port: int) -> str:
        """Return the store's URL when its server is at this port of the loopback interface."""
        raise NotImplementedError

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        """A server to do harm to, which has what it acknowledged after it was killed."""
        if reason := missing(*self.programs):
            pytest.skip(reason)
        server = self.kind(tmp_path)
        yield server
        server.kill()

    @pytest.fixture
    def relay(self, server: Server) -> Iterator[Relay]:
        relay = Relay(server.port)
        yield relay
        relay.close()

    @pytest.fixture
    def site(self, serve: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> Iterator[Serve]:
        """Serves with the store of a URL; nothing it does may fail in an unforeseen way."""

        def start(url: str) -> Site:
            store = open_store(url)
            store.timeout = TIMEOUT
            return serve(ROUTES, SessionManager(store))

        yield start
        assert "it failed with" not in caplog.text
        assert "Uncaught exception" not in caplog.text

    @pytest.mark.gen_test(timeout=60)
    async def test_a_server_that_is_stopped_and_goes_on(self, server: Server, site: Serve) -> None:
        async with SteadyLoad(site(self.url(server.port)), longest=LONGEST) as load:
            server.pause()
            await load.until_refused(2 * len(load.visitors))
            server.resume()
            await load.until_well()
        await load.check()

    @pytest.mark.gen_test(timeout=60)
    async def test_a_server_that_is_killed_and_started_again(
        self, server: Server, site: Serve
    ) -> None:
        async with SteadyLoad(site(self.url(server.port)), longest=LONGEST) as load:
            await asyncio.to_thread(server.kill)
            await load.until_refused(2 * len(load.visitors))
            await asyncio.to_thread(server.start)
            await load.until_well()
        await load.check()

    @pytest.mark.gen_test(timeout=60)
    async def test_connections_that_are_cut_in_the_middle_of_operations(
        self, relay: Relay, site: Serve
    ) -> None:
        relay.switch_on()
        async with SteadyLoad(site(self.url(relay.port)), longest=LONGEST) as load:
            for _ in range(5):
                relay.hold_answers()
                await load.until(lambda: relay.held, "the server's answers")
                relay.cut()
                await load.until_well()
        await load.check()

    @pytest.mark.faults
    @pytest.mark.gen_test(timeout=60)
    async def test_a_line_on_which_no_answer_comes(self, relay: Relay, site: Serve) -> None:
        relay.switch_on()
        async with SteadyLoad(site(self.url(relay.port)), longest=LONGEST) as load:
            relay.hold_answers()
            await load.until_refused(2 * len(load.visitors))
            relay.cut()
            await load.until_well()
        await load.check()

    @pytest.mark.gen_test(timeout=60)
    async def test_a_server_that_starts_after_the_service(self, relay: Relay, site: Serve) -> None:
        served = site(self.url(relay.port))
        browser = served.browser()
        for _ in range(3):
            assert (await browser.get("/all")).code == 200  # who has no cookie needs no store
            refused = await browser.get("/sign-in/ada")
            assert refused.code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert browser.cookies == {}
        relay.switch_on()
        async with asyncio.timeout(10):
            while (await browser.get("/sign-in/ada")).code != 200:
                await asyncio.sleep(0.05)
        async with SteadyLoad(served, longest=LONGEST) as load:
            await load.until_well()
        await load.check()

    @pytest.mark.gen_test(timeout=60)
    async def test_a_token_goes_on_when_its_rotation_got_no_answer(
        self, relay: Relay, site: Serve
    ) -> None:
        relay.switch_on()
        served = site(self.url(relay.port))
        # Between loading the session and saving it: the server replaces the token, unheard.
        served.application.settings["rotating"] = relay.hold_answers
        browser = served.browser()
        await browser.text("/sign-in/ada")
        before = dict(browser.cookies)
        assert (await browser.get("/rotate")).code == 503
        assert relay.held
        relay.cut()
        assert browser.cookies == before
        async with asyncio.timeout(15):
            while True:
                response = await browser.get("/all")
                if response.code == 200 and b'"ada"' in response.body:
                    break
                await asyncio.sleep(0.05)
        assert browser.cookies == before

    @pytest.mark.faults
    @pytest.mark.gen_test(timeout=120)
    async def test_memory_and_connections_are_bounded_in_an_outage(
        self, server: Server, site: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In a long outage under load, memory and connections are bounded."""
        for logger in ("tornado.general", "tornado.access"):
            caplog.set_level(logging.CRITICAL, logger)  # the test's log would be what grows
        served = site(self.url(server.port))
        async with SteadyLoad(served, visitors=64, longest=LONGEST) as load:
            server.pause()
            await load.until_refused(len(load.visitors))
            memory = resident_bytes()
            for _ in range(5):
                await load.until_refused(2 * len(load.visitors))
                assert connections_to(server.port) <= self.max_connections
            assert resident_bytes() - memory < 16 * 2**20
            server.resume()
            await load.until_well()
        await load.check()
