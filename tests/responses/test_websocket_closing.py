"""However a WebSocket ends, it is counted no longer, watched no longer, and freed."""

from __future__ import annotations

import asyncio
import gc
import socket as sockets_
import struct
import weakref
from collections.abc import Callable, Iterator

import pytest
from tornado.websocket import WebSocketHandler

from app import Cookie, Group, Route, SessionManager, SessionMixin
from stores import MemoryStore, StoreUnavailable
from tests.helpers.freed import all_gone, without_the_collector
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.helpers.websockets import (
    HANDSHAKE,
    Do,
    ask,
    closing_code,
    eventually,
    leave,
    open_socket,
    talking,
)

Serve = Callable[..., Site]

ENDINGS = [
    "client closes",
    "client aborts",
    "client aborts the handshake",
    "client aborts during open",
    "server closes",
    "session ends",
    "open fails",
    "message fails",
    "commit fails",
    "on_close fails",
    "400",
    "403",
    "426",
]


class Ends(SessionMixin, WebSocketHandler):
    """Ends as the setting "ending" says; `made` has its handlers and sessions without holding."""

    made: list[weakref.ref[object]] = []  # noqa: RUF012 - emptied by the fixture
    session_check = 0.02

    def initialize(self) -> None:
        self.ending = self.settings["ending"]
        self.made.append(weakref.ref(self))

    async def prepare(self) -> None:
        await super().prepare()
        self.made.append(weakref.ref(self.session))
        if self.ending == "client aborts the handshake":
            self.settings["arrived"].set()
            await self.settings["gate"].wait()

    async def open(self) -> None:
        self.session["cart"] = [1, {"nested": True}]
        await self.session.commit()
        if self.ending == "client aborts during open":
            self.settings["arrived"].set()
            await self.settings["gate"].wait()
        if self.ending == "open fails":
            raise RuntimeError("open failed")
        await self.write_message("open")

    async def on_message(self, message: str | bytes) -> None:
        if message == "fail":
            raise RuntimeError("on_message failed")
        if message == "commit":
            self.session["cart"] = []
            await self.session.commit()
        if message == "close":
            self.close()

    def on_close(self) -> None:
        if self.ending == "on_close fails":
            raise RuntimeError("on_close failed")


@pytest.fixture
def made() -> Iterator[list[weakref.ref[object]]]:
    """The handlers and sessions made in this test."""
    with without_the_collector(Ends.made) as made:
        yield made


def raw_handshake(browser: Browser) -> sockets_.socket:
    """Send a handshake over a bare socket that resets the connection when it is closed."""
    client = sockets_.create_connection(("127.0.0.1", browser.site.port))
    client.setsockopt(sockets_.SOL_SOCKET, sockets_.SO_LINGER, struct.pack("ii", 1, 0))
    lines = ["GET /socket HTTP/1.1", "Host: localhost", *map(": ".join, HANDSHAKE.items())]
    lines += [f"Cookie: session={browser.cookies['session']}", "", ""]
    client.sendall("\r\n".join(lines).encode())
    return client


async def bring_about(
    ending: str, browser: Browser, store: FaultyStore, gate: asyncio.Event, arrived: asyncio.Event
) -> None:
    match ending:
        case "client aborts the handshake" | "client aborts during open":
            client = raw_handshake(browser)
            await arrived.wait()
            client.close()
            await browser.site.fetch("/do/look")
            gate.set()
        case "client aborts":
            client = raw_handshake(browser)
            await eventually(lambda: browser.site.application.activity.sockets)
            client.close()
        case "open fails":
            client = raw_handshake(browser)
            await eventually(lambda: len(Ends.made) == 2)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            while await loop.sock_recv(client, 1000):
                pass
            client.close()
        case "400" | "403" | "426":
            changes = {
                "400": {"Upgrade": "none"},
                "403": {"Origin": "http://elsewhere.example"},
                "426": {"Sec-WebSocket-Version": "12"},
            }
            response = await browser.get("/socket", headers={**HANDSHAKE, **changes[ending]})
            assert str(response.code) == ending
        case _:
            socket = await open_socket(browser)
            if ending == "session ends":
                await browser.text("/do/destroy")
            elif ending == "commit fails":
                store.fail["load"] = lambda: StoreUnavailable("out of order")
                await socket.write_message("commit")
            elif ending == "client closes":
                socket.close()
            else:
                await socket.write_message("fail" if ending == "message fails" else "close")
            await closing_code(socket)


@pytest.mark.gen_test
@pytest.mark.parametrize("ending", ENDINGS)
async def test_nothing_is_left_of_a_socket_that_ended(
    serve: Serve, made: list[weakref.ref[object]], ending: str
) -> None:
    """It counts no longer, nothing watches it, and it is freed without the garbage collector."""
    gate, arrived, store = asyncio.Event(), asyncio.Event(), FaultyStore()
    manager = SessionManager(store)
    site = serve(talking(Ends), manager, ending=ending, gate=gate, arrived=arrived)
    browser = site.browser()
    await browser.text("/do/keep")
    await bring_about(ending, browser, store, gate, arrived)
    activity = site.application.activity
    assert len(made) == 2
    await eventually(lambda: not activity.sockets and not activity.requests)
    await eventually(lambda: not manager.endings.listeners)
    if ending in ("message fails", "commit fails"):
        # Tornado's future of on_message refers to itself by its error's traceback.
        await eventually(lambda: gc.collect() >= 0 and all_gone(made))
    await eventually(lambda: all_gone(made))


@pytest.mark.gen_test(timeout=60)
async def test_a_thousand_sockets_leave_nothing(
    serve: Serve, made: list[weakref.ref[object]]
) -> None:
    """Opened and closed quickly, by clients that close and clients that only go."""
    manager = SessionManager(FaultyStore())
    site = serve(talking(Ends), manager, ending="")
    browser = site.browser()
    await browser.text("/do/keep")

    async def visit(n: int) -> None:
        if n % 3 == 0:
            raw_handshake(browser).close()
        else:
            await leave(await open_socket(browser))

    for start in range(0, 1000, 50):
        await asyncio.gather(*map(visit, range(start, start + 50)))
    activity = site.application.activity
    await eventually(lambda: not activity.sockets and not activity.requests)
    assert len(made) > 1000
    gc.collect()  # the error of a stream that was reset refers to itself by its traceback
    await eventually(lambda: all_gone(made))
    assert not manager.endings.listeners


class Floods(SessionMixin, WebSocketHandler):
    """Sends more than a connection takes."""

    session_check = 3600.0
    sending = 0

    def open(self) -> None:
        self.write_message("x" * 20_000_000)


@pytest.mark.gen_test(timeout=30)
async def test_a_client_that_never_reads_is_cut_off_at_the_end(serve: Serve) -> None:
    """A client that neither reads nor closes is cut off some seconds after its session ended."""
    manager = SessionManager(MemoryStore())
    site = serve(talking(Floods), manager)
    browser = site.browser()
    await browser.text("/do/keep")
    client = raw_handshake(browser)
    await eventually(lambda: site.application.activity.sockets)
    await browser.text("/do/destroy")
    assert not manager.endings.listeners
    await eventually(lambda: not site.application.activity.sockets)  # Tornado waits 5 s
    client.close()


@pytest.mark.gen_test
async def test_a_cookie_of_another_manager_is_nobodys_on_a_socket(serve: Serve) -> None:
    store = MemoryStore()
    admin, shop = SessionManager(store, cookie=Cookie("admin")), SessionManager(store)
    routes = Group(
        "/",
        Group("admin", Route("socket", Ends), Route("do/<what>", Do), sessions=admin),
        Route("do/<what>", Do),
        sessions=True,
    )
    browser = serve(routes, shop, ending="").browser()
    await browser.text("/do/sign-in")
    browser.cookies["admin"] = browser.cookies.pop("session")

    class Asks(Ends):
        async def open(self) -> None:
            await self.write_message("open")

        async def on_message(self, message: str | bytes) -> None:
            await self.write_message(f"{self.current_user} {self.session.id}")

    routes = Group(
        "/",
        Group("admin", Route("socket", Asks), sessions=admin),
        Route("do/<what>", Do),
        sessions=True,
    )
    other = serve(routes, shop, ending="").browser()
    other.cookies = dict(browser.cookies)
    socket = await open_socket(other, "/admin/socket")
    assert await ask(socket, "who") == "None None"
    assert not admin.endings.listeners
    await leave(socket)
