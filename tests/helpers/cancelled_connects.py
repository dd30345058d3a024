"""Closes each socket whose connecting is cancelled, which PyMongo's asynchronous client forgets.

That client (4.20) connects to its servers in tasks that it cancels when it is closed. A socket that
is not yet connected then is left to the garbage collector, whose warning fails the test that runs
at that time, perhaps one about another database.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest


def close_what_is_cancelled(
    loops: type[asyncio.AbstractEventLoop], patch: pytest.MonkeyPatch
) -> None:
    """Let loops of this class close such sockets."""
    connect: Any = loops.sock_connect

    # A task, for a coroutine that is cancelled before it begins could not tell.
    def sock_connect(
        loop: asyncio.AbstractEventLoop, sock: socket.socket, address: Any
    ) -> asyncio.Task[None]:
        connecting: asyncio.Task[None] = loop.create_task(connect(loop, sock, address))
        connecting.add_done_callback(lambda done: sock.close() if done.cancelled() else None)
        return connecting

    patch.setattr(loops, "sock_connect", sock_connect)
