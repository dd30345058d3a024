"""The service told to stop: open WebSockets are told, and time is bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.websocket import websocket_connect

from tests.helpers.process import PATIENCE, Service, Start, starting, until

TALKING = '''
"""A service with WebSockets."""

import asyncio
import logging
import sys

import tornado.log
from tornado.websocket import WebSocketHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app.listening import address_of, listen
from app.server import Stopping, serve
from stores import MemoryStore


class Talk(WebSocketHandler):
    def open(self):
        self.write_message("hello")

    def on_close(self):
        print("socket closed", flush=True)


class SessionTalk(SessionMixin, Talk):
    pass


class Closing(MemoryStore):
    async def close(self):
        print("store closed", flush=True)


tornado.log.enable_pretty_logging()
logging.getLogger().setLevel("INFO")
routes = Group("/", Route("talk", Talk), Route("session-talk", SessionTalk), sessions=True)
sockets = listen(0, "127.0.0.1")
config = Config(routes, SessionManager(Closing()))
asyncio.run(
    serve(
        lambda: make_app(config),
        sockets,
        announce=lambda: print("serving on", address_of(sockets), flush=True),
        stopping=Stopping(drain=float(sys.argv[1])),
    )
)
'''


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def talking(start: Start, tmp_path: Path) -> Start:
    """Start the service with WebSockets: `talking(drain_seconds)`."""

    def start_talking(drain_seconds: float = 30.0) -> Service:
        script = tmp_path / "talking.py"
        script.write_text(TALKING)
        service = start(str(drain_seconds), script=script)
        service.wait_for("serving on")
        return service

    return start_talking


def open_websocket(service: Service) -> socket.socket:
    """Return the connection of a WebSocket that nobody reads."""
    client = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
    client.sendall(
        b"GET /talk HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert client.recv(12) == b"HTTP/1.1 101"
    service.wait_for("101 GET /talk")
    return client


@pytest.mark.parametrize("path", ["/talk", "/session-talk"])
def test_a_websocket_is_told_that_the_service_goes_away(talking: Start, path: str) -> None:
    service = talking()

    async def be_told() -> int | None:
        client = await websocket_connect(f"ws://127.0.0.1:{service.port}{path}")
        assert await client.read_message() == "hello"
        service.signal()
        assert await client.read_message() is None
        client.close()
        return client.close_code

    assert asyncio.run(be_told()) == 1001
    assert service.exit_status(5) == 0
    assert "1 open WebSockets" in service.output
    assert service.output.index("socket closed") < service.output.index("store closed")
    assert "cut off" not in service.output


def test_a_silent_websocket_holds_the_process_not_for_ever(talking: Start) -> None:
    """A WebSocket whose client does not answer holds the process for a bounded time."""
    service = talking(0.5)
    with open_websocket(service):
        service.signal()
        assert service.exit_status(5) == 0
    assert "0 requests and 1 WebSockets were cut off after 0.5 s" in service.output


def test_websockets_that_ended_before_hold_nobody_up(talking: Start) -> None:
    service = talking()

    async def talk_and_leave() -> None:
        client = await websocket_connect(f"ws://127.0.0.1:{service.port}/session-talk")
        client.close()
        assert await client.read_message() == "hello"
        assert await client.read_message() is None

    asyncio.run(talk_and_leave())
    open_websocket(service).close()
    until(lambda: service.output.count("socket closed") == 2, "both to be closed")
    service.stop()
    assert "0 requests in flight, 0 open WebSockets" in service.output
