"""Tornado's server, with its connections counted, bounded, and ended in peace."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any, cast

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate

from app.acceptor import Acceptor
from app.application import Application
from app.client_stream import ClientStream
from app.connections import Connections
from app.limits import Limits
from app.shares import Share


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

    def add_sockets(self, sockets: Iterable[socket.socket], share: Share | None = None) -> None:
        """Accept connections on *sockets*, and no more than a *share*; it is called once."""
        self._acceptor = Acceptor(list(sockets), self._client_connections, self._admit, share)
        self._client_connections.watch()

    def let_nobody_in(self) -> None:
        """See to it that nobody connects any more; those who are connected still wait."""
        if self._acceptor is not None:
            self._acceptor.let_nobody_in()

    def take_rest(self) -> bool:
        """Take those who wait, as far as there is room; with the last one, stop accepting.

        Return whether that were all.
        """
        if self._acceptor is not None and not self._acceptor.take_rest():
            return False
        self.stop()
        return True

    def has_connections(self) -> bool:
        return len(self._client_connections) > 0

    def is_sending(self) -> bool:
        """Tell whether there is an answer that its client has not taken to the end."""
        return self._client_connections.are_sending()

    def close_silent(self, begun: float, patience: float) -> None:
        """Close the connections that have sent nothing whole for *patience* seconds since then."""
        self._client_connections.close_silent(begun, patience)

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
        cast(ClientStream, cast(HTTP1ServerConnection, server_conn).stream).begin_request()
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Tornado is done with a connection: it was closed, or became a WebSocket."""
        cast(ClientStream, cast(HTTP1ServerConnection, server_conn).stream).serves_http = False
        super().on_close(server_conn)
