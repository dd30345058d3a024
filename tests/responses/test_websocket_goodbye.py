"""What a handler makes of the end of its session: `on_session_end` of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app import SessionManager
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore
from tests.helpers.websockets import (
    Talk,
    closing_code,
    eventually,
    open_socket,
    stays,
    talk,
    talking,
)

Serve = Callable[..., Site]


@pytest.fixture
def manager() -> SessionManager:
    return SessionManager(SpyStore())


class SaysGoodbye(Talk):
    """Sends a last message, and closes when the gate opens."""

    def on_session_end(self) -> Any:
        self.ends += 1
        self.write_message("bye")
        asyncio.get_running_loop().create_task(self.close_later())

    async def close_later(self) -> None:
        await self.gate.wait()
        self.close(4000)


class SaysGoodbyeAsync(SaysGoodbye):
    async def on_session_end(self) -> None:
        self.ends += 1
        await self.write_message("bye")
        await self.close_later()


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", [SaysGoodbye, SaysGoodbyeAsync])
async def test_an_own_on_session_end_may_say_goodbye(
    serve: Serve, manager: SessionManager, kind: type[Talk]
) -> None:
    """It is called once, may send a last message and close later; no message comes any more."""
    handler = talk(kind, session_check=0.02)
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    await browser.text("/do/destroy")
    assert await socket.read_message() == "bye"
    await socket.write_message("commit")
    (made,) = handler.made
    assert await stays(lambda: made.ends == 1 and not handler.got, browser)
    handler.gate.set()
    assert await closing_code(socket) == 4000
    assert handler.got == []


class Pinged(SaysGoodbye):
    def on_ping(self, data: bytes) -> None:
        self.got.append(f"ping {data.decode()}")

    def on_pong(self, data: bytes) -> None:
        self.got.append(f"pong {data.decode()}")


@pytest.mark.gen_test
async def test_no_ping_is_delivered_after_the_end(serve: Serve, manager: SessionManager) -> None:
    handler = talk(Pinged)
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    (made,) = handler.made
    socket.ping(b"before")
    made.ping(b"before")
    await eventually(lambda: {"ping before", "pong before"} <= {*handler.got})
    await browser.text("/do/destroy")
    assert await socket.read_message() == "bye"
    socket.ping(b"after")
    assert await stays(lambda: "ping after" not in handler.got, browser)
    handler.gate.set()
    assert await closing_code(socket) == 4000


@pytest.mark.gen_test
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_on_session_end_that_fails_leaves_nothing_open(
    serve: Serve, manager: SessionManager, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Talk) -> None:
        raise RuntimeError("on_session_end failed")

    async def fail_later(self: Talk) -> None:
        fail(self)

    handler = talk(on_session_end=fail_later if asynchronous else fail)
    browser = serve(talking(handler), manager).browser()
    await browser.text("/do/keep")
    sockets = [await open_socket(browser) for _ in range(3)]
    await browser.text("/do/destroy")
    assert [await closing_code(socket) for socket in sockets] == [1008] * 3
    assert caplog.text.count("RuntimeError: on_session_end failed") == 3
