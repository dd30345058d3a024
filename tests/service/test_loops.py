"""The event loops: which one the service takes, and that it serves alike on both."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from app import ConfigurationError, SessionManager
from app.loops import loop_factory
from app.watch import Watches
from app.websocket import SessionWebSocket
from stores import MemoryStore
from tests.helpers.process import Start, run, starting


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def find(name: str, *arguments: Any) -> Any:
        if name == "uvloop":
            raise ImportError(name=name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", find)


def test_uvloop_is_taken_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")
    assert loop_factory("auto") is loop_factory("uvloop") is uvloop.new_event_loop
    assert loop_factory("asyncio") is None


def test_without_uvloop_the_own_loop_serves(without_uvloop: None) -> None:
    assert loop_factory("auto") is None
    with pytest.raises(ConfigurationError, match=r"^--loop=uvloop needs .*EXTRAS=fast$"):
        loop_factory("uvloop")


def test_another_loop_is_refused() -> None:
    result = run("--loop=gevent")
    assert result.returncode == 2
    assert result.stderr == "main.py: --loop=gevent is none of auto, asyncio, uvloop\n"


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_a_service_starts_serves_and_stops(start: Start, name: str) -> None:
    if name == "uvloop":
        pytest.importorskip("uvloop")
    service = start("--port=0", f"--loop={name}")
    cookie = service.get("/sessions/set/Ada").cookie
    assert service.get("/sessions/get", cookie).body == "Ada"
    service.stop()
    assert "Traceback" not in service.output


class Socket:
    """What a watch sees of a WebSocket."""

    session_check = 30.0

    def _session_end_on_socket(self, manager: object) -> None:
        pass


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_sockets_whose_look_is_overdue_are_watched(name: str) -> None:
    """A timer that is due already is no timer to uvloop."""
    if name == "uvloop":
        pytest.importorskip("uvloop")

    async def watch() -> None:
        watches = Watches()
        own = watches.of(SessionManager(MemoryStore()))
        for number in range(3):
            own.add(cast(SessionWebSocket, Socket()), (bytes([number] * 16), b""), began=0.0)
        await watches.stop()

    with asyncio.Runner(loop_factory=loop_factory(name)) as runner:
        runner.run(watch())
