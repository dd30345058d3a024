"""Takes in connections, and pauses when there is no room for more."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from app.connections import Connections

log = logging.getLogger(__name__)

BURST = 128
"""Connections taken in one turn of the loop, so that those that are open have theirs."""

PAUSE = 1.0
"""Seconds after which it is tried again when no connection ended before."""

CALM = 60.0
"""Seconds without a pause after which the next one is told again."""


class Acceptor:
    """Accepts on *sockets* and gives each connection to *admit*.

    Those that wait meanwhile are kept by the system, up to the sockets' backlog, and are the first
    to get in. Connections that are idle make room for them.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        connections: Connections,
        admit: Callable[[socket.socket, Any], None],
    ) -> None:
        self._sockets = sockets
        for listening in sockets:
            listening.setblocking(False)  # another process may take what was announced
        self._connections = connections
        self._admit = admit
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None  # while it pauses
        self._calm: asyncio.TimerHandle | None = None  # while the last pause was not long ago
        self._next_closing = 0.0
        connections.on_close = self._on_close
        self._resume()

    def stop(self) -> None:
        """Accept no more, and close the sockets."""
        self._connections.on_close = lambda: None
        for timer in (self._retry, self._calm):
            if timer is not None:
                timer.cancel()
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            listening.close()

    def _accept(self, listening: socket.socket) -> None:
        for count in range(BURST):
            if len(self._connections) >= self._connections.most:
                if not count:  # otherwise it is not known whether anybody waits
                    self._pause(f"{len(self._connections)} are open, and that is the limit")
                return
            try:
                connection, address = listening.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:  # it was gone before its turn came
                continue
            except OSError as error:  # no file descriptors or memory left
                self._pause(error.strerror or type(error).__name__)
                return
            try:
                self._admit(connection, address)
            except OSError as error:
                connection.close()
                self._pause(error.strerror or type(error).__name__)
                return

    def _pause(self, reason: str) -> None:
        if self._retry is not None:
            return
        for listening in self._sockets:
            self._loop.remove_reader(listening)
        self._retry = self._loop.call_later(PAUSE, self._resume)
        if self._calm is None:
            log.warning(
                "no room for more connections (%s): new ones wait until others end; "
                "see --max-connections and the limit of open files",
                reason,
            )
        else:
            self._calm.cancel()
        self._calm = self._loop.call_later(CALM, self._tell_calm)
        if self._loop.time() >= self._next_closing:
            self._next_closing = self._loop.time() + PAUSE
            self._connections.close_idle()

    def _on_close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = self._loop.call_later(0, self._resume)

    def _resume(self) -> None:
        self._retry = None
        for listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _tell_calm(self) -> None:
        self._calm = None
        log.info("there is room for new connections again: %d are open", len(self._connections))
