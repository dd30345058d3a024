"""Where the service listens: Unix sockets, handed-over sockets, shared ports, addresses."""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import (
    PATIENCE,
    ROOT,
    Answer,
    Service,
    Start,
    ask,
    children,
    environment,
    run,
    starting,
    until,
)
from tests.helpers.servers import free_port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def get_unix(path: Path) -> Answer:
    connection = UnixConnection(path)
    try:
        return ask(connection, "/sessions/set/Ada")
    finally:
        connection.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Unix sockets


@pytest.mark.parametrize("processes", [1, 2])
def test_a_unix_socket_goes_with_the_service(start: Start, tmp_path: Path, processes: int) -> None:
    path = tmp_path / "service.sock"
    store = f"--store=sqlite:///{tmp_path}/sessions"
    service = start(f"--unix-socket={path}", f"--processes={processes}", store)
    service.wait_for(f"serving on unix:{path}, ")
    assert get_unix(path).body == "Ada"
    assert mode(path) == 0o660
    service.stop()
    assert not path.exists()


def test_the_mode_says_who_may_connect(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    start(f"--unix-socket={path}", "--unix-socket-mode=0606")
    assert mode(path) == 0o606


def test_the_socket_of_a_dead_process_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    start(f"--unix-socket={path}").kill()
    assert path.exists()
    start(f"--unix-socket={path}")
    assert get_unix(path).status == 200


def test_the_socket_of_a_living_process_is_left_to_it(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    start(f"--unix-socket={path}")
    result = run(f"--unix-socket={path}")
    assert result.returncode == 2
    expected = f"main.py: --unix-socket={path} is in use: a process listens there\n"
    assert result.stderr == expected
    assert get_unix(path).status == 200


def test_the_name_is_left_to_whom_has_it_now(start: Start, tmp_path: Path) -> None:
    """Whoever took the name in the meantime keeps it when the service stops."""
    path = tmp_path / "service.sock"
    first = start(f"--unix-socket={path}")
    path.unlink()
    start(f"--unix-socket={path}")
    first.stop()
    assert get_unix(path).status == 200


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("file", [], "is there, and not a socket"),
        ("missing/socket", [], "No such file or directory"),
        ("x" * 120, [], "AF_UNIX path too long"),
        ("socket", ["--unix-socket-mode=rw"], "--unix-socket-mode=rw is not a mode"),
        ("socket", ["--unix-socket-mode=7777"], "--unix-socket-mode=7777 is not a mode"),
        ("socket", ["--http-port=0"], "--http-port is for HTTP beside TLS"),
    ],
)
def test_a_unix_socket_that_cannot_be_is_refused(
    tmp_path: Path, name: str, options: list[str], message: str
) -> None:
    (tmp_path / "file").touch()
    result = run(f"--unix-socket={tmp_path / name}", *options)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


# Handed over

RESTARTING = 'while [ ! -e "$0" ]; do sh -c "LISTEN_PID=\\$\\$ exec {command}"; done'
"""Starts the service anew each time it ends, with the sockets that the shell was handed over."""


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None,
    reason="systemd-socket-activate (Debian's package systemd) is not on PATH",
)
def test_a_restart_refuses_no_connection_on_systemds_socket(tmp_path: Path) -> None:
    port, end, log = free_port(), tmp_path / "end", tmp_path / "log"
    command = shlex.join([sys.executable, "main.py", "--port=1"])
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [
                *("systemd-socket-activate", f"--listen=127.0.0.1:{port}"),
                *("--setenv=PYTHONPATH", "--setenv=PYTHONUNBUFFERED"),
                *("sh", "-c", RESTARTING.format(command=command), end),
            ],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def get() -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            return ask(connection, "/sessions/get")
        finally:
            connection.close()

    try:
        until(lambda: b"Listening on" in log.read_bytes(), "systemd-socket-activate to listen")
        for n in range(1, 4):
            assert get().status == 200
            started = log.read_text().count(f"serving on http://127.0.0.1:{port}, ")
            assert started == n
            (service,) = children(supervisor.pid)
            os.kill(service, signal.SIGTERM)
            for _ in range(20):
                assert get().status == 200  # it waits for the next one, or the last one serves it
            until(lambda n=n: log.read_text().count("serving on") > n, "the next one")  # type: ignore[misc]
    finally:
        end.touch()
        for service in children(supervisor.pid):
            os.kill(service, signal.SIGTERM)
        supervisor.wait(PATIENCE)


def test_sockets_for_another_process_are_left_alone(start: Start) -> None:
    service = start("--port=0", LISTEN_PID="1", LISTEN_FDS="1")
    assert service.get("/healthz").status == 200


def test_what_is_handed_over_must_listen(tmp_path: Path) -> None:
    script = (
        "import os, sys; os.dup2(os.open(os.devnull, 0), 3); "
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
        "os.execv(sys.executable, [sys.executable, 'main.py', '--port=0'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 2
    assert "LISTEN_FDS=1, and descriptor 3 is no listening stream socket" in result.stderr


# Ports


def test_an_instance_takes_the_port_over_from_another(start: Start) -> None:
    """With --reuse-port the next one serves before the last one stops."""
    first = start("--port=0", "--address=127.0.0.1", "--reuse-port")
    port = f"--port={first.port}"
    assert "in use" in run(port, "--address=127.0.0.1").stderr
    second = start(port, "--address=127.0.0.1", "--reuse-port")

    def get(service: Service) -> int:
        return service.get("/sessions/get").status

    for _ in range(20):
        assert get(first) == 200
    first.signal()
    while first.process.poll() is None:
        assert get(second) == 200
    for _ in range(20):
        assert get(second) == 200


@pytest.mark.parametrize("address", ["[::1]", "::1", "127.0.0.1"])
def test_the_address_is_taken_as_the_log_prints_it(start: Start, address: str) -> None:
    service = start("--port=0", f"--address={address}")
    host = address.strip("[]")
    printed = f"[{host}]" if ":" in host else host
    service.wait_for(f"serving on http://{printed}:{service.port}, ")
    connection = http.client.HTTPConnection(host, service.port, timeout=PATIENCE)
    assert ask(connection, "/healthz").status == 200
    connection.close()
