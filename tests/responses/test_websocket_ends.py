"""A session that ends closes its WebSockets: at once in this process, in time in another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from app import Cookie, Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore
from tests.helpers.websockets import (
    Do,
    Talk,
    ask,
    closing_code,
    eventually,
    leave,
    open_socket,
    opened,
    stays,
    talk,
    talking,
)

Serve = Callable[..., Site]


@pytest.fixture(params=["memory", "other"])
def store(request: pytest.FixtureRequest) -> MemoryStore | SpyStore:
    """A store that answers at once, and one that is asked in batches."""
    return MemoryStore() if request.param == "memory" else SpyStore()


@pytest.fixture
def manager(store: MemoryStore | SpyStore, clock: FakeClock) -> SessionManager:
    return SessionManager(store, clock=clock)


@pytest.mark.gen_test
@pytest.mark.parametrize("before", ["nothing", "commit", "refresh", "change", "user"])
@pytest.mark.parametrize("how", ["destroy", "renew", "sign-in"])
async def test_what_ends_a_session_closes_its_socket_at_once(
    serve: Serve, manager: SessionManager, before: str, how: str
) -> None:
    """Whatever the socket did before, a request that ends its session closes it at once."""
    handler = talk()
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    await ask(socket, before)
    await browser.text(f"/do/{how}")
    assert await closing_code(socket) == 1008
    assert [made.ends for made in handler.made] == [1]


@pytest.mark.gen_test
@pytest.mark.parametrize("before", ["nothing", "commit", "refresh"])
@pytest.mark.parametrize("how", ["destroy", "renew", "sign-in"])
async def test_what_ends_it_elsewhere_closes_it_in_time(
    serve: Serve, store: MemoryStore | SpyStore, before: str, how: str
) -> None:
    """A session that another process ends closes its socket within `session_check`."""
    handler = talk(session_check=0.05)
    here = serve(talking(handler), SessionManager(store)).browser()
    there = serve(talking(talk()), SessionManager(store)).browser()
    await here.text("/do/keep")
    there.cookies = dict(here.cookies)
    socket = await open_socket(here)
    await ask(socket, before)
    await there.text(f"/do/{how}")
    assert await closing_code(socket) == 1008
    assert [made.ends for made in handler.made] == [1]


@pytest.mark.gen_test
async def test_a_request_that_finds_it_expired_closes_it(
    serve: Serve, manager: SessionManager, clock: FakeClock
) -> None:
    handler = talk()
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    clock.advance(24 * 3600)
    await browser.text("/do/look")
    assert await closing_code(socket) == 1008


@pytest.mark.gen_test
@pytest.mark.parametrize("message", ["commit", "refresh"])
async def test_a_socket_that_finds_out_by_itself_is_closed(
    serve: Serve, manager: SessionManager, clock: FakeClock, message: str
) -> None:
    handler = talk()
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    clock.advance(24 * 3600)
    await socket.write_message(message)
    assert await closing_code(socket) == 1008
    assert [made.ends for made in handler.made] == [1]


@pytest.mark.gen_test
async def test_all_sockets_of_a_session_end_and_no_others(
    serve: Serve, manager: SessionManager
) -> None:
    handler = talk()
    site = serve(talking(handler), manager)
    ada, bob = site.browser(), site.browser()
    for browser in (ada, bob):
        await browser.text("/do/keep")
    of_ada = [await open_socket(ada) for _ in range(5)]
    async with opened(bob) as of_bob:
        await ada.text("/do/destroy")
        assert [await closing_code(socket) for socket in of_ada] == [1008] * 5
        assert await ask(of_bob, "commit") == "done"


@pytest.mark.gen_test
async def test_two_tokens_of_one_session_are_told_apart(
    serve: Serve, store: MemoryStore | SpyStore
) -> None:
    """Of sockets opened before and after a sign-in elsewhere, the former ones are closed."""
    handler = talk(session_check=0.1)
    here = serve(talking(handler), SessionManager(store))
    there = serve(talking(talk()), SessionManager(store))
    attacker, victim, elsewhere = here.browser(), here.browser(), there.browser()
    await attacker.text("/do/keep")
    elsewhere.cookies = dict(attacker.cookies)
    before = [await open_socket(attacker)]
    await elsewhere.text("/do/sign-in")
    victim.cookies = dict(elsewhere.cookies)
    async with opened(victim) as after:
        assert [await closing_code(socket) for socket in before] == [1008]
        assert await ask(after, "user") == "ada"
        assert await ask(after, "commit") == "done"


@pytest.mark.gen_test
async def test_no_message_is_delivered_after_the_end(serve: Serve, manager: SessionManager) -> None:
    """Messages that the client had sent before it heard of the end are not delivered."""
    handler = talk()
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/sign-in")
    socket = await open_socket(browser)
    for message in ("wait", *["commit"] * 50):
        await socket.write_message(message)
    await eventually(lambda: handler.got)
    await browser.text("/do/destroy")
    (made,) = handler.made
    await eventually(lambda: made.ends)
    with pytest.raises(WebSocketClosedError):
        await made.write_message("a push")
    assert made.current_user is None
    with pytest.raises(WebSocketClosedError):
        made.ping()
    handler.gate.set()
    await leave(socket)
    assert handler.got == ["wait"]


class Slow(Talk):
    async def on_message(self, message: str | bytes) -> None:
        self.got.append(str(message))


@pytest.mark.gen_test
async def test_a_flood_of_messages_stops_at_the_end(serve: Serve, manager: SessionManager) -> None:
    """A client that never stops sending and never reads is not heard from the end on."""
    handler = talk(Slow)
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)

    async def flood() -> None:
        while True:
            await socket.write_message("x" * 1000)

    flooding = asyncio.ensure_future(flood())
    await eventually(lambda: len(handler.got) > 100)
    await browser.text("/do/destroy")
    (made,) = handler.made
    await eventually(lambda: made.ends)
    heard = len(handler.got)
    assert await stays(lambda: len(handler.got) == heard, browser)
    with pytest.raises(WebSocketClosedError):
        await flooding
    socket.close()


@pytest.mark.gen_test
async def test_its_own_commits_do_not_close_a_socket(
    serve: Serve, manager: SessionManager, clock: FakeClock
) -> None:
    handler = talk(session_check=0.02)
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    async with opened(browser) as socket:
        for _ in range(20):
            clock.advance(3600 * 10)  # the next commit is a touch as well
            assert await ask(socket, "commit") == "done"
            assert await ask(socket, "refresh") == "True"
    assert [made.ends for made in handler.made] == [0]


class Waits(SessionMixin, WebSocketHandler):
    """Opens when the gate does."""

    session_check = 3600.0

    async def prepare(self) -> None:
        await super().prepare()
        self.settings["arrived"].set()
        await self.settings["gate"].wait()

    async def open(self) -> None:
        await self.write_message("open")


@pytest.mark.gen_test
async def test_an_end_during_the_handshake_is_heard(serve: Serve, manager: SessionManager) -> None:
    """A session that ends between its loading and `open` closes the socket at once."""
    gate, arrived = asyncio.Event(), asyncio.Event()
    browser = serve(talking(Waits), manager, gate=gate, arrived=arrived).browser()
    await browser.text("/do/keep")
    opening = asyncio.ensure_future(open_socket(browser))
    await arrived.wait()
    await browser.text("/do/destroy")
    gate.set()
    assert await closing_code(await opening) == 1008


class Other(Talk):
    """Has the session of another manager, too."""

    other: SessionManager

    async def open(self) -> None:
        # Two that ask at the same time have one session.
        first, second = await asyncio.gather(*(self.session_of(self.other) for _ in range(2)))
        assert first is second
        await self.write_message("open")

    async def on_message(self, message: str | bytes) -> None:
        session = await self.session_of(self.other)
        session["kept"] = str(message)
        await session.commit()
        await self.write_message("done")


@pytest.mark.gen_test
async def test_the_session_of_another_manager_ends_it_at_once(serve: Serve) -> None:
    admin = SessionManager(SpyStore(), cookie=Cookie("admin"))
    handler = talk(Other, other=admin)
    routes = Group(
        "/",
        Route("socket", handler),
        Route("do/<what>", Do),
        Group("admin", Route("do/<what>", Do), sessions=admin),
        sessions=True,
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    await browser.text("/do/keep")
    await browser.text("/admin/do/keep")
    socket = await open_socket(browser)
    assert await ask(socket, "hello") == "done"
    await browser.text("/admin/do/destroy")
    assert await closing_code(socket) == 1008
    assert [made.ends for made in handler.made] == [1]
