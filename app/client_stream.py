"""A client's connection: what moves on it, and with few calls of the system."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable

from tornado.iostream import IOStream, SSLIOStream

log = logging.getLogger(__name__)

MAX_UNREAD = 16_000_000
"""Bytes that a WebSocket's peer may leave unread. (An answer to a request may be of any size.)"""

SMALL_CHUNK, LARGE_CHUNK = 4_096, 65_536
"""Bytes that one read asks for: as many as a request has mostly, and as many as fill a body."""

MOST_EARLY = 2
"""Events that are left alone before what came is read; by then, the next read has begun mostly."""

MOST_LEFT = 1_000_000
"""Bytes that a client may have sent in vain before its connection ends."""


class ClientStream(IOStream):
    """A client's connection; it notes what moves on it, and asks the system for little."""

    has_no_buffer = True
    """Whether what was received is either read or still in the system."""

    def __init__(self, connection: socket.socket, on_close: Callable[[ClientStream], None]) -> None:
        self._on_close = on_close
        self.requests = 0  # that were begun, the one that is waited for included
        self.silent = True  # since then
        self.sends = 0  # that the system took something of
        self.unsent = 0  # bytes
        self.serves_http = True  # until a WebSocket takes it over
        # Of the last look: what it was at, and since when.
        self.seen: object = None
        self.since = 0.0
        self._emptied = False  # by the last read
        self._early = 0  # events that may be left alone before the next one
        # uvloop tells an error once, and nothing more.
        self._tells_again = isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
        self._most_early = MOST_EARLY if self._tells_again or self.has_no_buffer else 0
        super().__init__(connection, read_chunk_size=SMALL_CHUNK)
        super().set_nodelay(True)

    def begin_request(self) -> None:
        """Note that a request is waited for."""
        self.requests += 1
        self.silent = True  # bytes that came along with the request before are not seen
        self.read_chunk_size = SMALL_CHUNK

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read, unless that is in vain: the loop tells of what is there for as long as it is."""
        if self._emptied and self.reading():
            self._emptied = False
            return None
        # Tornado reads between two requests, to see who has left; if a request was there, it would
        # stop listening until it has taken that.
        if self._early and not self.reading():
            self._early -= 1
            self._emptied = False
            if self._tells_again or self._has_received():
                return None
        size = len(buf)
        try:
            count = super().read_from_fd(buf)
        finally:
            del buf  # an error's frames must not keep it from being resized
        if count:
            self.silent = False
            self._early = self._most_early
            if count == size:
                self.read_chunk_size = LARGE_CHUNK
            else:
                self._emptied = self.has_no_buffer
        return count

    def _has_received(self) -> bool:
        """Tell whether something is there to be read, rather than the connection's end."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        """Send *data* at once as far as the system takes it; Tornado sends the rest."""
        if not self.unsent and isinstance(data, bytes) and self.has_no_buffer and not self.closed():
            sent = self._send(data)
            if sent == len(data):
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                done.set_result(None)
                return done
            data = memoryview(data)[sent:]
        self.unsent += data.nbytes if isinstance(data, memoryview) else len(data)
        if self.unsent > MAX_UNREAD and not self.serves_http:
            log.info("WebSocket cut off: its peer left %d bytes unread", self.unsent)
            self.close()
        return super().write(data)

    def _send(self, data: bytes) -> int:
        """Return how many bytes of *data* the system took."""
        try:
            count = self.socket.send(data)
        except OSError:  # Tornado meets it again, and knows what to do
            return 0
        self.sends += 1
        return count

    def write_to_fd(self, data: memoryview) -> int:
        try:
            count = super().write_to_fd(data)
        finally:
            del data
        if count:
            self.sends += 1
            self.unsent -= count
        return count

    def set_nodelay(self, value: bool) -> None:
        """Leave it on, as it is from the beginning; a WebSocket may turn it off.

        Tornado turns it on at the end of each answer and off again after it.
        """
        if not self.serves_http:
            super().set_nodelay(value)

    def close_fd(self) -> None:
        """Close the connection, so that its client gets all that was sent."""
        with contextlib.suppress(OSError):  # the system resets one where anything is left unread
            left = MOST_LEFT
            while left > 0 and (chunk := os.read(self.socket.fileno(), LARGE_CHUNK)):
                left -= len(chunk)
        super().close_fd()
        self._on_close(self)


class TLSClientStream(ClientStream, SSLIOStream):
    """The same over TLS. It is silent until the handshake is done."""

    has_no_buffer = False
