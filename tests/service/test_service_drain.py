"""The service told to stop: requests in flight end, none is cut off, and time is bounded."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import PATIENCE, Answer, Service, Start, ask, starting, until

SLOW = '''
"""A service whose /slow answers when a file appears."""

import asyncio
import logging
import os
import pathlib
import sys

import tornado.log
from tornado.web import RequestHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app.listening import address_of, listen
from app.server import Stopping, serve
from stores import MemoryStore

directory = pathlib.Path(os.environ["TEST_DIRECTORY"])


class Slow(SessionMixin, RequestHandler):
    async def get(self):
        print("begun", flush=True)
        while not (directory / "go").exists():
            await asyncio.sleep(0.01)
        self.session["name"] = "Ada"
        self.write("slow answer")


class Large(RequestHandler):
    async def get(self):
        for _ in range(100):
            self.write(b"x" * 10_000)
            await self.flush()


class Quick(RequestHandler):
    def get(self):
        self.write("quick answer")


class Closing(MemoryStore):
    async def close(self):
        print("store closed", flush=True)


tornado.log.enable_pretty_logging()
logging.getLogger().setLevel("INFO")
store = Closing()
routes = Group(
    "/", Route("slow", Slow), Route("large", Large), Route("quick", Quick), sessions=True
)
sockets = listen(0, "127.0.0.1")
print("serving on", address_of(sockets), flush=True)
config = Config(routes, SessionManager(store))
asyncio.run(serve(lambda: make_app(config), sockets, stopping=Stopping(drain=float(sys.argv[1]))))
print("ended", flush=True)
'''


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def slow(start: Start, tmp_path: Path) -> Start:
    """Start the slow service: `slow(drain_seconds)`."""

    def start_slow(drain_seconds: float = 30.0) -> Service:
        script = tmp_path / "slow.py"
        script.write_text(SLOW)
        service = start(str(drain_seconds), script=script, TEST_DIRECTORY=str(tmp_path))
        until(lambda: service.get("/quick").body == "quick answer", "an answer")
        return service

    return start_slow


class Request(threading.Thread):
    """A GET in a thread of its own; `answer` or `error` when it has ended."""

    def __init__(self, service: Service, path: str) -> None:
        super().__init__(daemon=True)
        self.service, self.path = service, path
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.service.get(self.path)
        except (OSError, http.client.HTTPException) as error:
            self.error = error

    def result(self) -> Answer:
        self.join(PATIENCE)
        assert self.answer is not None, self.error
        return self.answer


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_before_the_end(
    slow: Start, tmp_path: Path, signum: int
) -> None:
    service = slow()
    request = Request(service, "/slow")
    service.wait_for("begun")
    service.signal(signum)
    service.wait_for("stopping: 1 requests in flight")
    (tmp_path / "go").touch()
    answer = request.result()
    assert (answer.status, answer.body) == (200, "slow answer")
    assert answer.cookie
    assert service.exit_status() == 0
    assert service.output.index("200 GET /slow") < service.output.index("store closed")
    assert service.output.rstrip().endswith("ended")


def test_nobody_new_is_accepted_while_requests_in_flight_end(slow: Start, tmp_path: Path) -> None:
    service = slow()
    request = Request(service, "/slow")
    service.wait_for("begun")
    service.signal()
    service.wait_for("stopping")

    def refuses() -> bool:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        except ConnectionRefusedError:
            return True
        except TimeoutError:  # just before the socket is closed, nobody answers
            return False
        return False

    until(refuses, "new connections to be refused")
    assert service.process.poll() is None
    (tmp_path / "go").touch()
    assert request.result().body == "slow answer"
    assert service.exit_status() == 0


def test_an_endless_request_holds_the_process_not_for_ever(slow: Start) -> None:
    """A request that never ends holds the process for a bounded time."""
    service = slow(0.5)
    request = Request(service, "/slow")
    service.wait_for("begun")
    begun = time.monotonic()
    service.signal()
    assert service.exit_status(5) == 0
    assert 0.4 < time.monotonic() - begun < 4
    request.join(PATIENCE)
    assert request.error is not None
    assert "1 requests and 0 WebSockets were cut off after 0.5 s" in service.output
    assert "store closed" in service.output
    assert "Traceback" not in service.output


def test_a_second_signal_ends_the_process_at_once(slow: Start) -> None:
    service = slow()
    Request(service, "/slow")
    service.wait_for("begun")
    service.signal()
    service.wait_for("stopping")
    # The handler is taken away just before the line is written.
    service.signal()
    assert service.exit_status(5) != 0


def test_an_idle_connection_does_not_hold_the_process(slow: Start) -> None:
    service = slow()
    idle = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
    silent = socket.create_connection(("127.0.0.1", service.port))
    half = socket.create_connection(("127.0.0.1", service.port))
    half.sendall(b"GET /quick HTTP/1.1\r\nHost: local")
    try:
        assert ask(idle, "/quick").status == 200
        begun = time.monotonic()
        service.stop()
        assert time.monotonic() - begun < 3
    finally:
        idle.close()
        silent.close()
        half.close()


def test_a_client_that_left_does_not_hold_the_process(slow: Start) -> None:
    service = slow()
    with socket.create_connection(("127.0.0.1", service.port)) as leaving:
        leaving.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert leaving.recv(1)
    begun = time.monotonic()
    service.stop()
    assert time.monotonic() - begun < 3


class Visitor(threading.Thread):
    """Sends requests on one connection, anew when it is closed, until nobody listens."""

    def __init__(self, service: Service, path: str, body: str) -> None:
        super().__init__(daemon=True)
        self.service, self.path, self.body = service, path, body
        self.answered = 0
        self.wrong: list[object] = []
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=PATIENCE)
        while True:
            try:
                answer = ask(connection, self.path)
            except ConnectionRefusedError:
                return
            except (ConnectionError, http.client.RemoteDisconnected):
                connection.close()  # closed before any of an answer: ask again, as a browser does
            except Exception as error:
                self.wrong.append(error)
                return
            else:
                self.answered += 1
                if (answer.status, answer.body) != (200, self.body):
                    self.wrong.append(answer.status)


def test_busy_connections_are_closed_without_cutting_an_answer(slow: Start) -> None:
    service = slow()
    large = "x" * 1_000_000
    visitors = [Visitor(service, "/quick", "quick answer") for _ in range(8)]
    visitors += [Visitor(service, "/large", large) for _ in range(2)]
    until(lambda: all(v.answered >= 3 for v in visitors), "the visitors to be at it")
    begun = time.monotonic()
    service.stop()
    assert time.monotonic() - begun < 5
    for visitor in visitors:
        visitor.join(PATIENCE)
        assert not visitor.is_alive()
        assert visitor.wrong == []
