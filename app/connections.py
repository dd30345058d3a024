"""The connections of clients: how many there are, and that none lingers.

Tornado bounds how long a request's body takes. One look at all connections every other second
bounds the rest; so a request costs no timer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from tornado.httputil import HTTPServerRequest

from app.client_stream import ClientStream, TLSClientStream
from app.limits import Limits

log = logging.getLogger(__name__)


LONG_IDLE = 5.0
"""Seconds after which an idle connection may have to make room for a new one."""


class Phase(Enum):
    """What a connection is at."""

    IDLE = "no request"
    HEADER = "half a header"
    WORKING = "a request that is being served"
    SENDING = "an answer that its client does not take"


class Connections:
    """All that are open. *in_flight* tells which requests are being served."""

    def __init__(
        self, limits: Limits, in_flight: Callable[[], Iterable[HTTPServerRequest]]
    ) -> None:
        self.most = limits.connections()
        self.bounded_by = limits.bounded_by
        self.on_close: Callable[[], None] = lambda: None
        self._in_flight = in_flight
        self._streams: set[ClientStream] = set()
        self._patience = {
            Phase.IDLE: limits.keep_alive_timeout,
            Phase.HEADER: limits.header_timeout,
            Phase.WORKING: float("inf"),
            Phase.SENDING: limits.send_timeout,
        }
        self._interval = min(2.0, min(self._patience.values()) / 10)

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, connection: socket.socket) -> ClientStream:
        """Return the stream of a connection that was just accepted."""
        kind = TLSClientStream if isinstance(connection, ssl.SSLSocket) else ClientStream
        stream = kind(connection, self._remove)
        stream.seen = (Phase.IDLE, 1)
        stream.since = asyncio.get_running_loop().time()
        self._streams.add(stream)
        return stream

    def watch(self) -> None:
        """Close the connections that linger, from now on."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for stream, phase in self._look_at_all(now):
            if now - stream.since >= self._patience[phase]:
                log.debug("connection closed: %s for %.0f s", phase.value, now - stream.since)
                stream.close()
        loop.call_later(self._interval, self.watch)

    def are_sending(self) -> bool:
        return any(stream.writing() for stream in self._streams)

    def close_silent(self, begun: float, patience: float) -> None:
        """Close those that for *patience* seconds, not counting any before *begun*, have had no
        request or half a header.
        """
        now = asyncio.get_running_loop().time()
        for stream, phase in self._look_at_all(now):
            waits = phase in (Phase.IDLE, Phase.HEADER)
            if waits and now - max(stream.since, begun) >= patience:
                stream.close()

    def _look_at_all(self, now: float) -> Iterator[tuple[ClientStream, Phase]]:
        """Note what each connection is at, and since when."""
        serving = {
            getattr(request.connection, "stream", None)  # None for one that became a WebSocket
            for request in self._in_flight()
        }
        for stream in list(self._streams):
            seen = _look(stream, serving)
            if seen != stream.seen:
                stream.seen, stream.since = seen, now
            yield stream, seen[0]

    def close_idle(self) -> None:
        """Close up to a tenth of them all, of those that were idle for some time: first such as
        never sent a request, and those that are idle longest.
        """
        now = asyncio.get_running_loop().time()
        idle = [
            stream
            for stream, phase in self._look_at_all(now)
            if phase is Phase.IDLE and stream.since < now - LONG_IDLE
        ]
        idle.sort(key=lambda stream: (stream.requests > 1, stream.since))
        for stream in idle[: len(self._streams) // 10 + 1]:
            stream.close()

    def _remove(self, stream: ClientStream) -> None:
        self._streams.discard(stream)
        self.on_close()


def _look(stream: ClientStream, serving: set[object]) -> tuple[Phase, int]:
    """Return what a connection is at, and a number that changes when it gets on with it."""
    if stream.writing():
        return Phase.SENDING, stream.sends
    if not stream.serves_http or stream in serving:
        return Phase.WORKING, 0
    return (Phase.IDLE if stream.silent else Phase.HEADER), stream.requests
