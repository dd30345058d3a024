"""Serving: start, and stop without cutting off a request or a WebSocket."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate

from app.acceptor import Acceptor
from app.application import Application
from app.connections import ClientStream, Connections
from app.limits import Limits

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""How long requests in flight and WebSockets may take to end after the service was told to stop."""

GOING_AWAY = 1001
"""What a WebSocket is closed with then (RFC 6455, section 7.4.1)."""


class Server(HTTPServer):
    """Tornado's server, with its connections counted and bounded by *limits*."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Everything is in `initialize`, as Tornado has it."""

    def initialize(  # type: ignore[override]  # it takes limits in the place of Tornado's options
        self, application: Application, limits: Limits, *, xheaders: bool = False
    ) -> None:
        super().initialize(
            application,
            xheaders=xheaders,
            max_body_size=limits.max_body_size,
            body_timeout=limits.body_timeout,
        )
        self.conn_params.header_timeout = None  # the connections are watched instead
        self._client_connections = Connections(limits, lambda: application.activity.requests)
        self._acceptor: Acceptor | None = None

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on *sockets*, which is called once."""
        self._acceptor = Acceptor(list(sockets), self._client_connections, self._admit)
        self._client_connections.watch()

    def stop(self) -> None:
        if self._acceptor is not None:
            self._acceptor.stop()
            self._acceptor = None
        super().stop()

    def _admit(self, connection: socket.socket, address: Any) -> None:
        self.handle_stream(self._client_connections.add(connection), address)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        stream = cast(ClientStream, cast(HTTP1ServerConnection, server_conn).stream)
        stream.requests += 1
        stream.silent = True  # bytes that came along with the request before are not seen
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Tornado is done with a connection: it was closed, or became a WebSocket."""
        cast(ClientStream, cast(HTTP1ServerConnection, server_conn).stream).serves_http = False
        super().on_close(server_conn)


async def serve(
    make: Callable[[], Application],
    sockets: list[socket.socket],
    *,
    xheaders: bool = False,
    limits: Limits | None = None,
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
    server = Server(application, limits or Limits(), xheaders=xheaders)
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
        len(application.activity.requests),
        len(application.activity.sockets),
    )
    server.stop()
    server.conn_params.no_keep_alive = True
    deadline = time.monotonic() + seconds
    activity = application.activity
    while activity.requests or activity.sockets or application.unsettled:
        if time.monotonic() >= deadline:
            if activity.requests or activity.sockets:  # of unsettled rotations their manager tells
                log.warning(
                    "%d requests and %d WebSockets were cut off after %g s",
                    len(activity.requests),
                    len(activity.sockets),
                    seconds,
                )
            break
        for handler in list(
            application.activity.sockets
        ):  # again: a handshake may have been in flight
            handler.close(GOING_AWAY)
        await asyncio.sleep(0.02)
    await server.close_all_connections()
