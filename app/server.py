"""Serving: listen, start, and stop without cutting off a request or a WebSocket."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import time
from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.process import fork_processes

from app.application import Application

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""How long requests in flight and WebSockets may take to end after the service was told to stop."""

GOING_AWAY = 1001
"""What a WebSocket is closed with then (RFC 6455, section 7.4.1)."""


class CannotListen(Exception):
    """The address is taken or not ours; the text says which and what to do."""


def listen(port: int, address: str) -> list[socket.socket]:
    """Bind *port* (0: any free one) on *address* ("": all). Raises `CannotListen`."""
    try:
        return bind_sockets(port, address or None)
    except OSError as error:
        where = f"port {port} on {address or 'all addresses'}"
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"{where} is in use; choose another with --port") from None
        reason = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {where}: {reason}; see --port, --address") from None
    except UnicodeError:
        raise CannotListen(f"{address!r} is not an address; see --address") from None


def address_of(sockets: list[socket.socket]) -> str:
    """Return a URL of what *sockets* listen on, for a person to open."""
    host, port = sockets[0].getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def fork(processes: int, announce: Callable[[], None]) -> int | None:
    """Go on in *processes* children (0: one a core); return in each what tells it to stop.

    The parent stays behind, restarts children that die, and on SIGTERM or SIGINT lets them all
    stop: it closes a pipe of which each child has the other end, so that they stop too when the
    parent is killed. The parent calls *announce* when it can be told. Returns `None`
    without forking for one process.
    """
    if processes == 1:
        return None
    told, tell = os.pipe()
    open_in_parent = [tell]

    def stop_children(*_: object) -> None:
        if open_in_parent:
            os.close(open_in_parent.pop())

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop_children)
    announce()
    fork_processes(processes)  # returns in the children only
    stop_children()
    return told


async def serve(
    make: Callable[[], Application],
    sockets: list[socket.socket],
    *,
    xheaders: bool = False,
    parent: int | None = None,
    announce: Callable[[], None] | None = None,
    drain_seconds: float = DRAIN_SECONDS,
) -> None:
    """Serve what *make* returns until SIGTERM, SIGINT or the end of the pipe *parent*.

    *announce* is called when it serves and can be told to stop.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    if parent is not None:
        loop.add_reader(parent, stop.set)
    application = make()
    server = HTTPServer(application, xheaders=xheaders)
    server.add_sockets(sockets)
    if announce is not None:
        announce()
    try:
        for failure in await application.open():
            log.error("%s; answering 503 where it is needed until it is back", failure.what)
        await stop.wait()
        if parent is not None:
            loop.remove_reader(parent)
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signum)  # a second one ends the process at once
        await _drain(server, application, drain_seconds)
    finally:
        await application.close()


async def _drain(server: HTTPServer, application: Application, seconds: float) -> None:
    log.info(
        "stopping: %d requests in flight, %d open WebSockets",
        application.activity.requests,
        len(application.activity.sockets),
    )
    server.stop()
    server.conn_params.no_keep_alive = True
    deadline = time.monotonic() + seconds
    while application.activity.requests or application.activity.sockets:
        if time.monotonic() >= deadline:
            log.warning(
                "%d requests and %d WebSockets were cut off after %g s",
                application.activity.requests,
                len(application.activity.sockets),
                seconds,
            )
            break
        for handler in application.activity.sockets:  # again: a handshake may have been in flight
            handler.close(GOING_AWAY)
        await asyncio.sleep(0.02)
    await server.close_all_connections()
