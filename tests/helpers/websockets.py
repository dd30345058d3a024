"""WebSockets to a site, and handlers for them that tell what happened to them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from tornado.httpclient import HTTPRequest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

from app import Group, Route, SessionMixin
from tests.helpers.site import Browser

PATIENCE = 10.0
"""Seconds until a test gives up; nothing takes that long."""

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Do(SessionMixin, RequestHandler):
    """Changes the session as the path says."""

    def get(self, what: str) -> None:
        session = self.session
        match what:
            case "keep":
                session["kept"] = ["before"]
            case "sign-in":
                session.sign_in("ada")
            case "renew":
                session.regenerate()
            case "destroy":
                session.destroy()
        self.write(str(session.get("kept", "nothing")))


class Talk(SessionMixin, WebSocketHandler):
    """Does what each message names, answers, and notes what happens to it.

    It looks by itself only once in a long while. Each test has a class of its own, by `talk()`.
    """

    session_check = 3600.0
    made: list[Talk]
    got: list[str]
    ends: int = 0
    gate: asyncio.Event

    def initialize(self) -> None:
        self.made.append(self)

    async def open(self) -> None:
        await self.write_message("open")

    async def on_message(self, message: str | bytes) -> None:
        self.got.append(str(message))
        answer: object = "done"
        match message:
            case "commit":
                self.session["said"] = len(self.got)
                await self.session.commit()
            case "refresh":
                answer = await self.session.refresh()
            case "change":
                self.session["secret key"] = "secret value"
            case "change within":
                cast(Any, self.session["kept"]).append("secret value")
            case "spoil":
                cast(Any, self.session["kept"]).append(object())
            case "wait":
                await self.gate.wait()
            case "user":
                answer = self.current_user
            case "fail":
                raise RuntimeError("on_message failed")
        await self.write_message(str(answer))

    def on_session_end(self) -> Any:
        self.ends += 1
        return super().on_session_end()


def talk(*bases: type, **members: Any) -> type[Talk]:
    """Return a class like `Talk` whose notes are its own."""
    own = {"made": [], "got": [], "gate": asyncio.Event()}
    return type("Talk", (*bases, Talk), {**own, **members})


def talking(handler: type[WebSocketHandler], **flags: Any) -> Group:
    """Return routes with *handler* at /socket and `Do` at /do/<what>."""
    flags.setdefault("sessions", True)
    return Group("/", Route("socket", handler), Route("do/<what>", Do), **flags)


async def open_socket(browser: Browser, path: str = "/socket") -> WebSocketClientConnection:
    """Open a WebSocket with the cookies of *browser*, and await the handler's first message."""
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    url = browser.site.url.replace("http", "ws") + path
    socket = await websocket_connect(HTTPRequest(url, headers={"Cookie": cookie}))
    assert await socket.read_message() == "open"
    return socket


async def ask(socket: WebSocketClientConnection, message: str) -> str | bytes | None:
    """Send *message* and return the answer."""
    await socket.write_message(message)
    return await socket.read_message()


async def closing_code(socket: WebSocketClientConnection) -> int | None:
    """Return the code that the server closes *socket* with, reading what comes before."""
    async with asyncio.timeout(PATIENCE):
        while await socket.read_message() is not None:
            pass
    socket.close()
    return socket.close_code


async def leave(*sockets: WebSocketClientConnection) -> None:
    """Close these sockets from the client's side."""
    for socket in sockets:
        socket.close()
    for socket in sockets:
        while await socket.read_message() is not None:
            pass


async def eventually(condition: Callable[[], object]) -> None:
    """Return when *condition* holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def stays(condition: Callable[[], object], browser: Browser, turns: int = 20) -> bool:
    """Tell whether *condition* holds while the server answers some requests in full."""
    for _ in range(turns):
        await browser.site.fetch("/do/look")
        if not condition():
            return False
    return True


@contextlib.asynccontextmanager
async def opened(browser: Browser) -> AsyncIterator[WebSocketClientConnection]:
    """Open a WebSocket for the time of a block."""
    socket = await open_socket(browser)
    yield socket
    await leave(socket)


def seconds_since(began: float) -> float:
    """Return the seconds since *began*, a `time.monotonic()`."""
    return time.monotonic() - began
