"""What a supervisor is told (sd_notify): that the service is ready, lives, stops."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import PATIENCE, Start, starting
from tests.helpers.servers import halt


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


class Listener:
    """The supervisor's socket."""

    def __init__(self, address: str) -> None:
        self.variable = address.replace("\0", "@")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(PATIENCE)

    def hear(self) -> str:
        return self._socket.recv(4096).decode()

    def heard_nothing(self, seconds: float) -> bool:
        """Tell whether nothing comes, after what is there already."""
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while self.hear():
                pass
        self._socket.settimeout(seconds)
        try:
            return not self.hear()
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def supervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    path = str(tmp_path / "notify")
    listener = Listener(path if request.param == "path" else f"\0{path}")
    yield listener
    listener.close()


def several(processes: int, folder: Path) -> tuple[str, ...]:
    """Return options for processes that share a store."""
    return "--port=0", f"--processes={processes}", f"--store=sqlite:///{folder}/sessions"


@pytest.mark.parametrize("processes", [1, 2])
def test_it_says_that_it_is_ready_and_that_it_stops(
    start: Start, supervisor: Listener, tmp_path: Path, processes: int
) -> None:
    service = start(*several(processes, tmp_path), NOTIFY_SOCKET=supervisor.variable)
    assert supervisor.hear() == "READY=1"
    assert service.get("/healthz").status == 200
    service.signal()
    assert supervisor.hear() == "STOPPING=1"
    assert service.exit_status() == 0
    assert supervisor.heard_nothing(0.1)


@pytest.mark.parametrize("processes", [1, 2])
def test_it_gives_signs_of_life_while_it_lives(
    start: Start, supervisor: Listener, tmp_path: Path, processes: int
) -> None:
    service = start(
        *several(processes, tmp_path),
        NOTIFY_SOCKET=supervisor.variable,
        WATCHDOG_USEC="400000",
    )
    assert [supervisor.hear() for _ in range(4)] == ["READY=1"] + ["WATCHDOG=1"] * 3
    halt(service.process.pid)
    assert supervisor.heard_nothing(0.6)
    os.kill(service.process.pid, signal.SIGCONT)
    assert supervisor.hear() == "WATCHDOG=1"
    service.stop()


def test_a_watchdog_of_another_process_is_not_ours(start: Start, supervisor: Listener) -> None:
    start(
        "--port=0",
        NOTIFY_SOCKET=supervisor.variable,
        WATCHDOG_USEC="100000",
        WATCHDOG_PID="1",
    )
    assert supervisor.hear() == "READY=1"
    assert supervisor.heard_nothing(0.3)


def test_a_supervisor_that_does_not_listen_stops_nothing(start: Start, tmp_path: Path) -> None:
    service = start("--port=0", NOTIFY_SOCKET=str(tmp_path / "gone"))
    assert service.get("/healthz").status == 200
    service.stop()
    assert "the supervisor was not told READY=1: No such file or directory" in service.output
