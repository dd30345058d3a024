"""Sessions on WebSockets: saved before the handshake, watched while the socket is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from tornado.websocket import WebSocketHandler

from app.response import SessionResponse
from app.sessions.errors import SessionUnavailable
from app.sessions.manager import SessionManager
from app.sessions.session import Session
from app.sessions.working_copy import is_unsaved, move_to_socket
from stores.contract import Record

log = logging.getLogger(__name__)


class SessionWebSocket(SessionResponse):
    """What `SessionMixin` adds to a WebSocket's handler."""

    session_check: float = 30.0
    """Seconds within which an open WebSocket learns that its session ended in another process."""

    _session_on_socket = False
    _session_socket_ended = False

    def on_session_end(self) -> None:
        """Called on an open WebSocket whose session ended or got a new token: close it.

        It is called at once in the process that ends the session, and within `session_check`
        seconds in others. No message of the client is delivered from then on.
        """
        if isinstance(self, WebSocketHandler):
            self.close(1008, "session ended")  # RFC 6455: policy violation

    async def _session_handshake(self, get: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a WebSocket's `get`, whose response cannot wait: commit beforehand.

        `get` returns when the connection is closed.
        """
        await self._session_save(101, streaming=True)
        self._session_on_socket = True
        for manager, session in zip(self._session_managers(), self._session_all, strict=False):
            self._session_watch(manager, session)
        try:
            await get(self, *args, **kwargs)
        finally:
            for manager, session in zip(self._session_managers(), self._session_all, strict=False):
                self._session_watches().of(manager).remove(self)
                self._session_tell_unsaved(session)

    def _session_watch(self, manager: SessionManager, session: Session) -> None:
        record = move_to_socket(session)
        if record is not None:
            self._session_watches().of(manager).add(self, record)

    def _session_watches(self) -> Watches:
        return cast(Watches, cast(Any, self.application).watches)

    def _session_end_socket(self) -> None:
        if not self._session_socket_ended:
            self._session_socket_ended = True
            self.on_session_end()

    def _session_tell_unsaved(self, session: Session) -> None:
        try:
            lost = is_unsaved(session)
        except (TypeError, ValueError):  # it cannot even be saved
            lost = True
        if lost:
            log.warning(
                "%s: changes of the session %s on a WebSocket were never saved; "
                "use `await self.session.commit()`",
                self.request.path,
                session.id or "that did not begin",
            )


class Watches:
    """The watch of each manager in one application."""

    def __init__(self) -> None:
        self._watches: dict[SessionManager, Watch] = {}

    def of(self, manager: SessionManager) -> Watch:
        """Return the watch over the sessions of *manager*."""
        if manager not in self._watches:
            self._watches[manager] = Watch(manager)
        return self._watches[manager]


class Watch:
    """Ends the open WebSockets whose session ended or got a new token.

    The manager tells at once of what this process does. Of other processes it learns by a look at
    the store, one for all sockets together.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._records: dict[SessionWebSocket, Record] = {}
        self._sockets: dict[bytes, set[SessionWebSocket]] = {}
        self._due: dict[SessionWebSocket, float] = {}  # loop time of the next look
        self._timer: asyncio.TimerHandle | None = None
        self._look: asyncio.Task[None] | None = None

    def add(self, socket: SessionWebSocket, record: Record) -> None:
        """Watch the session of *record* for *socket*."""
        if not self._records:
            self._manager.end_listeners.add(self._session_ended)
        self._records[socket] = record
        self._sockets.setdefault(record.id, set()).add(socket)
        self._due[socket] = asyncio.get_running_loop().time() + socket.session_check
        self._set_timer()

    def remove(self, socket: SessionWebSocket) -> None:
        """Watch no longer for *socket*."""
        record = self._records.pop(socket, None)
        if record is None:
            return
        del self._due[socket]
        sockets = self._sockets[record.id]
        sockets.discard(socket)
        if not sockets:
            del self._sockets[record.id]
        if not self._records:
            self._manager.end_listeners.discard(self._session_ended)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _session_ended(self, id: bytes, secret_hash: bytes) -> None:
        for socket in self._sockets.get(id, ()):
            if self._records[socket].secret_hash != secret_hash:
                # In the loop's next turn: the socket's own handler may be what found it out.
                asyncio.get_running_loop().call_soon(socket._session_end_socket)

    def _set_timer(self) -> None:
        due = min(self._due.values(), default=None)
        if due is None or (self._look is not None and not self._look.done()):
            return
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._begin_look)

    def _begin_look(self) -> None:
        self._timer = None
        self._look = asyncio.ensure_future(self._look_at_due())

    async def _look_at_due(self) -> None:
        now = asyncio.get_running_loop().time()
        sockets = [socket for socket, due in self._due.items() if due <= now]
        records = {self._records[s].id: self._records[s] for s in sockets}
        try:
            ended = await self._manager.ended(list(records.values()))
        except SessionUnavailable as error:  # an outage ends nobody's session
            log.warning("it is not known which sessions of WebSockets live: %s", error.what)
            ended = []
        gone = {record.id for record in ended}
        now = asyncio.get_running_loop().time()
        for socket in sockets:
            record = self._records.get(socket)
            if record is None:
                continue  # closed meanwhile
            self._due[socket] = now + socket.session_check
            if record.id in gone:
                socket._session_end_socket()
        self._look = None
        self._set_timer()
