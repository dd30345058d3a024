"""The watch over the sessions of open WebSockets: each learns in time that its own ended."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from app.sessions.batching import MAX_BATCH
from app.sessions.errors import SessionUnavailable
from app.sessions.manager import RecordKey, SessionManager

if TYPE_CHECKING:
    from app.websocket import SessionWebSocket

log = logging.getLogger(__name__)

SHORTEST_CHECK = 0.01
"""Seconds between two looks at least, whatever `session_check` says."""


class Watches:
    """The watch of each manager in one application."""

    def __init__(self) -> None:
        self._watches: dict[SessionManager, Watch] = {}

    def of(self, manager: SessionManager) -> Watch:
        """Return the watch over the sessions of *manager*."""
        if manager not in self._watches:
            self._watches[manager] = Watch(manager)
        return self._watches[manager]

    async def stop(self) -> None:
        """Watch nothing any more."""
        for watch in self._watches.values():
            await watch.stop()


class Watch:
    """Ends the open WebSockets whose session ended or got a new token.

    The manager tells at once of what this process does. Of other processes it learns by a look at
    the store, one for all sockets together.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._keys: dict[SessionWebSocket, RecordKey] = {}
        self._sockets: dict[bytes, set[SessionWebSocket]] = {}  # by the record's id
        self._due: dict[SessionWebSocket, float] = {}  # loop time of the next look at the latest
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0  # uvloop's handle does not tell
        self._look: asyncio.Task[None] | None = None

    def add(self, socket: SessionWebSocket, key: RecordKey, began: float) -> None:
        """Watch the session of *key* for *socket*; it began to be loaded at *began* (Unix time)."""
        self.remove(socket)
        if not self._keys:
            self._manager.endings.listeners.add(self._session_ended)
        self._keys[socket] = key
        self._sockets.setdefault(key[0], set()).add(socket)
        due = asyncio.get_running_loop().time()
        if (
            self._manager.endings.last < began
        ):  # else it may be this one's, told too early to be heard
            due += max(0.0, _check(socket) - (time.time() - began))
        self._due[socket] = due
        self._wake_at(due)

    def remove(self, socket: SessionWebSocket) -> None:
        """Watch no longer for *socket*."""
        key = self._keys.pop(socket, None)
        if key is None:
            return
        del self._due[socket]
        sockets = self._sockets[key[0]]
        sockets.discard(socket)
        if not sockets:
            del self._sockets[key[0]]
        if not self._keys:
            self._rest()

    async def stop(self) -> None:
        """Watch for no socket any more, and ask the store nothing."""
        for socket in list(self._keys):
            self.remove(socket)
        look = self._look
        if look is not None:
            look.cancel()
            await asyncio.wait([look])

    def _rest(self) -> None:
        self._manager.endings.listeners.discard(self._session_ended)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _session_ended(self, id: bytes, secret_hash: bytes) -> None:
        for socket in list(self._sockets.get(id, ())):
            if self._keys[socket][1] != secret_hash:
                self._end(socket)

    def _end(self, socket: SessionWebSocket) -> None:
        self.remove(socket)
        socket._session_end_on_socket(self._manager)

    def _wake_at(self, due: float) -> None:
        if self._look is not None:
            return  # it sees to the next one
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        first = min(self._due.values())
        if first > now + SHORTEST_CHECK / 2:
            self._wake_at(first)  # that of the timer was closed meanwhile
            return
        # Those that are due soon come along, so that one look serves all from then on.
        sockets = [s for s, due in self._due.items() if due - now <= _check(s) / 2]
        for socket in sockets:
            self._due[socket] = now + _check(socket)
        keys = list(dict.fromkeys(self._keys[socket] for socket in sockets))
        self._look = asyncio.ensure_future(self._look_at(keys))

    async def _look_at(self, keys: list[RecordKey]) -> None:
        try:
            # Not all at once: requests are to get their turns at the store in between.
            for start in range(0, len(keys), MAX_BATCH):
                ended = await self._manager.ended(keys[start : start + MAX_BATCH])
                for id, secret_hash in ended:
                    for socket in list(self._sockets.get(id, ())):
                        if self._keys[socket][1] == secret_hash:
                            self._end(socket)
        except SessionUnavailable as error:  # an outage ends nobody's session
            log.warning("it is not known which sessions of WebSockets live: %s", error.what)
        finally:
            self._look = None
            if self._due:
                self._wake_at(min(self._due.values()))


def _check(socket: SessionWebSocket) -> float:
    return max(socket.session_check, SHORTEST_CHECK)
