"""Sessions on WebSockets: saved before the handshake, watched while the socket is open."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tornado.websocket import WebSocketHandler

from app.response import SessionResponse
from app.sessions.manager import SessionManager
from app.sessions.saving import is_saving, is_unsaved, settle
from app.sessions.session import Session
from app.sessions.working_copy import end, move_to_socket
from app.watch import Watches

log = logging.getLogger(__name__)

TURNS_TO_COMMIT = 3
"""Turns of the loop in which a commit that `on_close` asked for has begun."""


class SessionWebSocket(SessionResponse):
    """What `SessionMixin` adds to a WebSocket's handler."""

    session_check: float = 30.0
    """Seconds within which an open WebSocket learns that its session ended in another process."""

    _session_socket_closed = False
    _session_socket_ended = False
    _session_ending: asyncio.Task[None] | None = None

    def on_session_end(self) -> Awaitable[None] | None:
        """Called on an open WebSocket whose session ended or got a new token: close it.

        It is called once: at once in the process that ends the session, and within `session_check`
        seconds in others. `self.session` is empty by then, and no message of the client is
        delivered any more. It may be a coroutine, and send a last message before it closes.
        """
        if isinstance(self, WebSocketHandler):
            self.close(1008, "session ended")  # RFC 6455: policy violation
        return None

    async def _session_handshake(self, get: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run Tornado's `get`, whose response cannot wait: commit beforehand.

        `get` returns when the connection is closed.
        """
        self._session_running = False
        await self._session_save(101, streaming=True)
        self._session_on_socket = True
        began = time.time() - self.request.request_time()
        for manager, session in self._session_by_manager():
            self._session_watch(manager, session, began)
        try:
            await get(*args, **kwargs)
        finally:
            self._session_socket_closed = True
            for manager, _ in self._session_by_manager():
                self._session_watches().of(manager).remove(self)
            self._session_break_cycles()
            for _ in range(TURNS_TO_COMMIT):
                await asyncio.sleep(0)
            for session in self._session_all:
                await settle(session)
                self._session_tell_unsaved(session)

    def _session_break_cycles(self) -> None:
        """Let go of what Tornado keeps after an `open` that failed, so that all this is freed."""
        if self.get_status() == 101:
            socket = cast(Any, self)
            socket.ws_connection = socket.ui = None

    def _session_by_manager(self) -> list[tuple[SessionManager, Session]]:
        own, policy = self._session_own, self.session_policy
        if own is None or policy is None or policy.manager is None:
            return []
        return [(policy.manager, own), *self._session_others.items()]

    def _session_watch(self, manager: SessionManager, session: Session, began: float) -> None:
        """Watch *session*, which began to be loaded at *began* (Unix time)."""
        record = move_to_socket(session)
        if record is not None and not self._session_socket_closed:
            key = (record.id, record.secret_hash)
            self._session_watches().of(manager).add(self, key, began)

    def _session_watches(self) -> Watches:
        return cast(Watches, cast(Any, self.application).watches)

    def _session_end_on_socket(self, manager: SessionManager) -> None:
        """Let the session with *manager* be over, and deliver no message any more."""
        session = dict(self._session_by_manager())[manager]
        if not is_saving(session):
            self._session_tell_unsaved(session)
        end(session)
        if not self._session_socket_ended:
            self._session_socket_ended = True
            # In the loop's next turn: the socket's own handler may be what found it out.
            self._session_ending = asyncio.ensure_future(self._session_tell_end())

    async def _session_tell_end(self) -> None:
        try:
            result = self.on_session_end()
            if result is not None:
                await result
        except Exception:
            self.log_exception(*sys.exc_info())
            SessionWebSocket.on_session_end(self)  # it must not stay open for that

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


class Handshake(WebSocketHandler):
    """What stands between a handler, whose `get` may be its own, and Tornado's `get`."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        await cast(SessionWebSocket, self)._session_handshake(super().get, *args, **kwargs)
