"""The steps of stopping: not ready, a delay, nobody new, and those who were let in are served."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import PATIENCE, Service, Start, ask, children, run, starting, until
from tests.helpers.servers import halt

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
        assert time.monotonic() - begun < 0.5, "nobody is left to wait for"


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


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_those_whom_the_system_let_in_are_served(
    start: Start, tmp_path: Path, processes: int, signum: int
) -> None:
    """They wait in the backlog, more than are accepted at a time, when the service is told."""
    service = start("--port=0", f"--processes={processes}", f"--store=sqlite:///{tmp_path}/s")
    service.get("/healthz")
    if processes > 1:
        until(lambda: len(children(service.process.pid)) == processes, "the children")
    pids = [*children(service.process.pid), service.process.pid]
    for pid in pids:
        halt(pid)
    waiting = []
    for _ in range(300):
        waiting.append(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE))
        waiting[-1].sendall(GET)
    service.signal(signum)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    answers = []
    for client in waiting:
        with client, contextlib.suppress(ConnectionError):
            answers.append(client.recv(4096))
    assert service.exit_status() == 0
    assert len([answer for answer in answers if answer.startswith(b"HTTP/1.1 200")]) == 300


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


@pytest.mark.parametrize("attempt", range(3))
def test_whoever_connects_is_answered_or_refused(start: Start, attempt: int) -> None:
    service = start("--port=0")
    callers = [Caller(service) for _ in range(8)]
    until(lambda: all(caller.answered > 20 for caller in callers), "the callers to be at it")
    service.stop()
    for caller in callers:
        caller.join(PATIENCE)
        assert not caller.is_alive()
    assert [lost for caller in callers for lost in caller.lost] == []


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
