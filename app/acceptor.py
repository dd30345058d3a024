"""Takes in connections, and pauses when there is no room for more."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from app.backlog import let_nobody_in
from app.connections import Connections
from app.listening import UnixSocket
from app.shares import Share

log = logging.getLogger(__name__)

BURST = 128
"""Connections taken in one turn of the loop, so that those that are open have theirs."""

TURN = 0.005
"""Seconds in which processes with fewer connections may take those that wait."""

PAUSE = 1.0
"""Seconds after which it is tried again when no connection ended before."""

LACKING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors that say that there are no file descriptors or memory left."""

CALM = 60.0
"""Seconds without a pause after which the next one is told again."""


class Acceptor:
    """Accepts on *sockets* and gives each connection to *admit*.

    Those that wait meanwhile are kept by the system, up to the sockets' backlog, and are the first
    to get in. Connections that are idle make room for them. *share* is this process's, where others
    accept on the sockets, too.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        connections: Connections,
        admit: Callable[[socket.socket, Any], None],
        share: Share | None = None,
    ) -> None:
        self._sockets = sockets
        for listening in sockets:
            listening.setblocking(False)  # another process may take what was announced
        self._connections = connections
        self._admit = admit
        self._share = share
        self._waited = False  # for others, in vain
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None  # while it pauses
        self._calm: asyncio.TimerHandle | None = None  # while the last pause was not long ago
        self._next_closing = 0.0
        connections.on_close = self._on_close
        self._tell_share()
        self._resume()

    def let_nobody_in(self) -> None:
        """See to it that nobody connects to the sockets any more; some still wait there."""
        for listening in self._sockets:
            if isinstance(listening, UnixSocket):
                listening.remove()
            let_nobody_in(listening)

    def take_rest(self) -> bool:
        """Take those who wait; return whether that were all."""
        self._leave_share()  # the others are stopping, too
        return all(self._accept(listening) for listening in self._sockets)

    def stop(self) -> None:
        """Accept no more, and close the sockets."""
        self._connections.on_close = lambda: None
        self._leave_share()
        for timer in (self._retry, self._calm):
            if timer is not None:
                timer.cancel()
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            listening.close()

    def _accept(self, listening: socket.socket) -> bool:
        """Take those who wait at a socket; return whether that were all."""
        for count in range(BURST):
            if len(self._connections) >= self._connections.most:
                if not count:  # otherwise it is not known whether anybody waits
                    self._pause(f"{len(self._connections)} are open, and that is the limit")
                return False
            if self._share is not None and self._share.leads() and not self._waited:
                self._let_others_go_first()
                return False
            self._waited = False
            try:
                self._take(*listening.accept())
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in LACKING:
                    self._pause(error.strerror or type(error).__name__)
                    return False
                # The connection was gone before its turn came (accept(2), "Error handling").
        return False

    def _take(self, connection: socket.socket, address: Any) -> None:
        try:
            self._admit(connection, address)
        except OSError:
            connection.close()
            raise
        self._tell_share()

    def _tell_share(self) -> None:
        if self._share is not None:
            self._share.tell(len(self._connections))

    def _leave_share(self) -> None:
        if self._share is not None:
            self._share.leave()
            self._share = None

    def _let_others_go_first(self) -> None:
        """Accept nobody for a moment, then one; the others may be busy, or stuck."""
        self._waited = True
        if self._retry is None:
            self._accept_nobody(TURN)

    def _accept_nobody(self, seconds: float) -> None:
        for listening in self._sockets:
            self._loop.remove_reader(listening)
        self._retry = self._loop.call_later(seconds, self._resume)

    def _pause(self, reason: str) -> None:
        if self._retry is not None:
            return
        self._accept_nobody(PAUSE)
        if self._calm is None:
            log.warning(
                "no room for more connections (%s): new ones wait until others end; "
                "see %s and the limit of open files",
                reason,
                self._connections.bounded_by,
            )
        else:
            self._calm.cancel()
        self._calm = self._loop.call_later(CALM, self._tell_calm)
        if self._loop.time() >= self._next_closing:
            self._next_closing = self._loop.time() + PAUSE
            self._connections.close_idle()

    def _on_close(self) -> None:
        self._tell_share()
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
