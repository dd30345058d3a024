"""The watch over open WebSockets: one look at the store for all of them, and none for nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

import app.watch
from app import SessionManager
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore, SpyStore
from tests.helpers.websockets import (
    Talk,
    closing_code,
    eventually,
    leave,
    open_socket,
    seconds_since,
    stays,
    talk,
    talking,
)

Serve = Callable[..., Site]

CHECK = 0.2


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def manager(store: FaultyStore) -> SessionManager:
    return SessionManager(store)


async def with_session(site: Site) -> Browser:
    browser = site.browser()
    await browser.text("/do/keep")
    return browser


def loads(store: SpyStore) -> list[list[object]]:
    """Return the ids of each load so far."""
    return [ids for operation, ids in store.calls if operation == "load"]


@pytest.mark.gen_test
async def test_one_look_serves_all_sockets_of_a_session(
    serve: Serve, store: FaultyStore, manager: SessionManager
) -> None:
    """Sockets that were opened one after the other are looked at together, as one record."""
    browser = await with_session(serve(talking(talk(session_check=CHECK)), manager))
    sockets = []
    for _ in range(40):
        sockets.append(await open_socket(browser))
        await asyncio.sleep(CHECK / 40)
    store.calls.clear()
    began = time.monotonic()
    await eventually(lambda: len(loads(store)) >= 5)
    looks = loads(store)
    assert len(looks) <= 2 * seconds_since(began) / CHECK + 2
    assert {len(ids) for ids in looks} == {1}
    await leave(*sockets)


@pytest.mark.gen_test
async def test_one_look_serves_sockets_of_many_sessions(
    serve: Serve, store: FaultyStore, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sockets of many sessions are looked at in batches, and each that ended is closed."""
    monkeypatch.setattr(app.watch, "MAX_BATCH", 8)
    site = serve(talking(talk(session_check=CHECK)), manager)
    there = serve(talking(talk()), SessionManager(store)).browser()
    browsers = [await with_session(site) for _ in range(20)]
    sockets = [await open_socket(browser) for browser in browsers]
    store.calls.clear()
    await eventually(lambda: sum(map(len, loads(store))) >= 60)
    assert {8, 4} <= {len(ids) for ids in loads(store)} <= {8, 4, *range(1, 8)}
    for browser in browsers[::2]:
        there.cookies = dict(browser.cookies)
        await there.text("/do/destroy")
    assert [await closing_code(socket) for socket in sockets[::2]] == [1008] * 10
    assert all(socket.close_code is None for socket in sockets[1::2])
    await leave(*sockets[1::2])


@pytest.mark.gen_test
async def test_500_sockets_of_a_session_are_one_load(
    serve: Serve, store: FaultyStore, manager: SessionManager
) -> None:
    browser = await with_session(serve(talking(talk(session_check=0.3)), manager))
    sockets = await asyncio.gather(*(open_socket(browser) for _ in range(500)))
    store.calls.clear()
    await eventually(lambda: len(loads(store)) >= 2)
    assert {len(ids) for ids in loads(store)} == {1}
    await browser.text("/do/destroy")
    assert {await closing_code(socket) for socket in sockets} == {1008}


@pytest.mark.gen_test
async def test_an_outage_is_told_once_a_look_and_ends_nothing(
    serve: Serve, store: FaultyStore, manager: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(talking(talk(session_check=0.05)), manager)
    there = serve(talking(talk()), SessionManager(store)).browser()
    browsers = [await with_session(site) for _ in range(10)]
    sockets = [await open_socket(browser) for browser in browsers for _ in range(3)]
    there.cookies = dict(browsers[0].cookies)
    await there.text("/do/renew")
    assert {await closing_code(socket) for socket in sockets[:3]} == {1008}
    caplog.clear()
    store.break_down("load")
    began = time.monotonic()
    told = "it is not known which sessions of WebSockets live: store faulty:: out of order"
    await eventually(lambda: caplog.messages.count(told) >= 3)
    assert caplog.messages.count(told) <= 2 * seconds_since(began) / 0.05 + 2
    assert all(socket.close_code is None for socket in sockets[3:])
    store.mend()
    there.cookies = dict(browsers[1].cookies)
    await there.text("/do/destroy")
    assert {await closing_code(socket) for socket in sockets[3:6]} == {1008}
    await leave(*sockets[6:])


@pytest.mark.gen_test
async def test_each_handler_has_a_session_check_of_its_own(
    serve: Serve, store: FaultyStore, manager: SessionManager
) -> None:
    """A patient socket is not looked at as often as a hasty one."""

    class Hasty(Talk):
        def initialize(self) -> None:
            super().initialize()
            if self.get_argument("hasty", ""):
                self.session_check = 0.02

    site = serve(talking(talk(Hasty)), manager)
    hasty, patient = await with_session(site), await with_session(site)
    sockets = [await open_socket(patient), await open_socket(hasty, "/socket?hasty=1")]
    store.calls.clear()
    await eventually(lambda: len(loads(store)) >= 10)
    assert len({id for ids in loads(store) for id in ids}) == 1
    await leave(*sockets)


@pytest.mark.gen_test
@pytest.mark.parametrize("check", [0.0, -1.0])
async def test_a_session_check_of_zero_is_no_busy_loop(
    serve: Serve, store: FaultyStore, manager: SessionManager, check: float
) -> None:
    browser = await with_session(serve(talking(talk(session_check=check)), manager))
    socket = await open_socket(browser)
    store.calls.clear()
    began = time.monotonic()
    await eventually(lambda: len(loads(store)) >= 20)
    assert len(loads(store)) <= seconds_since(began) / app.watch.SHORTEST_CHECK * 2 + 2
    await leave(socket)


@pytest.mark.gen_test
async def test_nothing_runs_when_no_socket_is_open(
    serve: Serve, store: FaultyStore, manager: SessionManager
) -> None:
    site = serve(talking(talk(session_check=0.02)), manager)
    browser = await with_session(site)
    sockets = [await open_socket(browser) for _ in range(3)]
    await eventually(lambda: len(loads(store)) >= 8)
    await leave(*sockets)
    watch = site.application.watches.of(manager)
    await eventually(lambda: not manager.endings.listeners)
    await eventually(lambda: watch._look is None)
    assert (watch._timer, watch._keys, watch._sockets, watch._due) == (None, {}, {}, {})


@pytest.mark.gen_test
async def test_the_watch_ends_with_the_application(
    serve: Serve, store: FaultyStore, manager: SessionManager
) -> None:
    """Neither a timer nor a look that the store does not answer outlives the application."""
    site = serve(talking(talk(session_check=0.02)), manager)
    browser = await with_session(site)
    socket = await open_socket(browser)
    store.gate["load"] = asyncio.Event()
    await eventually(lambda: store.waiting)
    await site.application.close()
    names = {str(task.get_coro()) for task in asyncio.all_tasks()}
    assert not [name for name in names if "Watch" in name]
    store.mend()
    store.calls.clear()
    assert await stays(lambda: not store.calls, browser)
    assert socket.close_code is None
    await leave(socket)


@pytest.mark.gen_test
async def test_a_session_of_asked_for_after_the_close_leaves_no_watch(
    serve: Serve, store: FaultyStore
) -> None:
    """A session that is loaded when its socket has closed is not watched for ever."""
    from app import Cookie, Group, Route
    from tests.helpers.websockets import Do

    other = SessionManager(store, cookie=Cookie("other"))
    done = asyncio.Event()

    class Late(Talk):
        def on_close(self) -> None:
            asyncio.get_running_loop().create_task(self.ask_late())

        async def ask_late(self) -> None:
            session = await self.session_of(other)
            assert session.live
            done.set()

    routes = Group(
        "/",
        Route("socket", talk(Late)),
        Route("do/<what>", Do),
        Group("other", Route("do/<what>", Do), sessions=other),
        sessions=True,
    )
    browser = serve(routes, SessionManager(FaultyStore())).browser()
    await browser.text("/other/do/keep")
    socket = await open_socket(browser)
    store.gate["load"] = asyncio.Event()
    await leave(socket)
    await eventually(lambda: store.waiting)
    assert await stays(lambda: True, browser)
    store.gate["load"].set()
    await done.wait()
    assert not other.endings.listeners
