"""The steps of stopping: not ready, a delay, nobody new, and those who were let in are served."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import Config, SessionManager, make_app
from app.backlog import let_nobody_in
from app.http_server import Server
from app.limits import Limits
from app.listening import listen
from app.stopping import drain
from configure import ROUTES
from stores import MemoryStore
from tests.helpers.process import (
    PATIENCE,
    ROOT,
    Service,
    Start,
    ask,
    children,
    run,
    starting,
    until,
)

GET = b"GET /sessions/get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


def test_it_serves_on_not_ready_during_the_delay(start: Start) -> None:
    service = start("--port=0", "--stop-delay=1.5")
    assert service.get("/readyz").body == "ready\n"
    begun = time.monotonic()
    service.signal()
    until(lambda: service.get("/readyz").status == 503, "not to be ready")
    assert service.get("/readyz").body == "not ready: stopping\n"
    assert service.get("/healthz").status == 200
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
    answer = ask(connection, "/sessions/set/Ada")
    assert (answer.status, answer.headers["Connection"]) == (200, None)
    connection.close()
    assert service.exit_status() == 0
    assert time.monotonic() - begun > 1.5
    assert "serving for another 1.5 s" in service.output


def test_a_kept_connection_gets_one_more_answer(start: Start) -> None:
    service = start("--port=0")
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        assert ask(connection, "/healthz").headers["Connection"] is None
        service.signal()
        service.wait_for("stopping: ")
        time.sleep(0.5)  # as a client's next request is on its way
        answer = ask(connection, "/sessions/set/Ada")
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        begun = time.monotonic()
        assert service.exit_status() == 0
        assert time.monotonic() - begun < 0.9, "nobody is left to wait for"


def test_the_time_for_requests_in_flight_is_an_option(start: Start) -> None:
    service = start("--port=0", "--drain=0")
    with socket.create_connection(("127.0.0.1", service.port)) as half:
        half.sendall(b"POST /sessions/get HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        until(lambda: service.get("/healthz").status == 200, "an answer")
        begun = time.monotonic()
        service.signal()
        assert service.exit_status() == 0
        assert time.monotonic() - begun < 2
    assert "1 requests and 0 WebSockets were cut off after 0 s" in service.output


@pytest.mark.parametrize("option", ["--drain=-1", "--drain=nan", "--stop-delay=inf"])
def test_times_that_are_none_are_refused(option: str) -> None:
    result = run("--port=0", option)
    assert result.returncode == 2
    assert result.stderr == f"main.py: {option.partition('=')[0]} takes 0 or more seconds\n"


class Caller(threading.Thread):
    """Connects anew for each request, until it is refused; `lost` are those without an answer."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self.port = service.port
        self.answered = 0
        self.lost: list[object] = []
        self.start()

    def run(self) -> None:
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            except ConnectionRefusedError:
                return
            with client:
                try:
                    client.sendall(GET)
                    answer = client.recv(4096)
                except OSError as error:
                    answer = repr(error).encode()
                if answer.startswith(b"HTTP/1.1 200"):
                    self.answered += 1
                else:
                    self.lost.append(answer)


@pytest.mark.gen_test
async def test_those_whom_the_system_let_in_are_served() -> None:
    """They wait in the backlog, more than are accepted at a time, when the service stops."""
    application = make_app(Config(ROUTES, SessionManager(MemoryStore())))
    server = Server(application, Limits())
    sockets = listen(0, "127.0.0.1")
    address = sockets[0].getsockname()
    server.add_sockets(sockets)
    with contextlib.ExitStack() as stack:
        waiting = []
        for _ in range(300):  # without a turn of the loop
            client = socket.create_connection(address, timeout=PATIENCE)
            waiting.append(stack.enter_context(client))
            client.sendall(GET)
        await drain(server, application, 10, last=True)
        answers = [client.recv(4096) for client in waiting]
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 300
    await application.close()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_each_signal_stops_each_number_of_processes_in_peace(
    start: Start, tmp_path: Path, processes: int, signum: int
) -> None:
    service = start("--port=0", f"--processes={processes}", f"--store=sqlite:///{tmp_path}/s")
    callers = [Caller(service) for _ in range(4)]
    until(lambda: all(caller.answered > 20 for caller in callers), "the callers to be at it")
    service.signal(signum)
    for caller in callers:
        caller.join(PATIENCE)
        assert not caller.is_alive()
    assert service.exit_status() == 0
    assert [lost for caller in callers for lost in caller.lost] == []
    assert "Traceback" not in service.output


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="filters packets as Linux does")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_nobody_gets_in_between_the_last_accept_and_the_close(host: str) -> None:
    with contextlib.ExitStack() as stack:
        (listening,) = map(stack.enter_context, listen(0, host))
        address = listening.getsockname()[:2]
        early = stack.enter_context(socket.create_connection(address))
        early.sendall(b"early")
        let_nobody_in(listening)
        with pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.3)
        accepted, _ = listening.accept()
        stack.enter_context(accepted)
        assert accepted.recv(100) == b"early"
        with pytest.raises(BlockingIOError):
            listening.accept()
        early.sendall(b"still there")
        assert accepted.recv(100) == b"still there"


def test_under_nohup_the_end_of_the_terminal_is_ignored(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "nohup.py"
    script.write_text(
        "import os, signal, sys\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "os.execv(sys.executable, [sys.executable, 'main.py', '--port=0'])\n"
    )
    service = start(script=script)
    service.signal(signal.SIGHUP)
    assert service.get("/readyz").status == 200
    service.stop()


def test_one_child_that_stops_leaves_the_port_to_the_others(start: Start, tmp_path: Path) -> None:
    service = start("--port=0", "--processes=2", f"--store=sqlite:///{tmp_path}/s")
    until(lambda: len(children(service.process.pid)) == 2, "two children")
    service.get("/healthz")
    one, _ = children(service.process.pid)
    os.kill(one, signal.SIGTERM)
    until(lambda: len(children(service.process.pid)) == 1, "it to end")
    for _ in range(5):
        assert service.get("/healthz").status == 200
    service.stop()


def test_a_large_answer_is_sent_to_the_end(start: Start, tmp_path: Path) -> None:
    """The handler is done with it long before its client has read it."""
    script = tmp_path / "large.py"
    script.write_text(LARGE)
    service = start(script=script)
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        service.wait_for("200 GET /")
        service.signal()
        service.wait_for("stopping: 0 requests in flight")
        time.sleep(1.5)  # longer than a connection without a request is waited for
        received = 0
        while chunk := client.recv(1_000_000):
            received += len(chunk)
    assert received > 20_000_000
    assert service.exit_status() == 0
    assert "cut off" not in service.output


LARGE = f'''
"""The service with one page, of 20 MB."""

import sys

sys.path.insert(0, {str(ROOT)!r})

import configure
import main
from tornado.web import RequestHandler

from app import Group, Route


class Large(RequestHandler):
    def get(self):
        self.write(b"x" * 20_000_000)


configure.ROUTES = Group("/", Route("", Large))
sys.argv.append("--port=0")
main.main()
'''


def test_without_room_those_who_wait_get_it_when_it_stops(start: Start) -> None:
    service = start("--port=0", "--max-connections=5")
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
            )
            for _ in range(12)
        ]
        service.wait_for("no room for more connections")
        for late in clients[5:]:
            late.sendall(GET)
        service.signal()
        for late in clients[5:]:
            assert late.recv(4096).startswith(b"HTTP/1.1 200")
    assert service.exit_status() == 0
