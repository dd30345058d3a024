"""Sessions on WebSockets: saved before the handshake, watched while the socket is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from tornado.websocket import WebSocketHandler

from app.response import SessionResponse
from app.sessions.errors import SessionUnavailable
from app.sessions.session import Session
from app.sessions.working_copy import is_current, outlive_request

log = logging.getLogger(__name__)


class SessionWebSocket(SessionResponse):
    """What `SessionMixin` adds to a WebSocket's handler."""

    session_check: float = 30.0
    """Seconds between two looks, while a WebSocket is open, at whether its session still lives."""

    _session_on_socket = False

    def on_session_end(self) -> None:
        """Called on an open WebSocket whose session ended or got a new token: close it.

        It is called within `session_check` seconds of the end.
        """
        if isinstance(self, WebSocketHandler):
            self.close(1008, "session ended")  # RFC 6455: policy violation

    async def _session_handshake(self, get: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a WebSocket's `get`, whose response cannot wait: commit beforehand.

        `get` returns when the connection is closed.
        """
        await self._session_save(101, streaming=True)
        self._session_on_socket = True
        for session in self._session_all:
            outlive_request(session)
        watch = asyncio.ensure_future(self._session_watch())
        try:
            await get(self, *args, **kwargs)
        finally:
            watch.cancel()

    async def _session_watch(self) -> None:
        while self._session_all:
            await asyncio.sleep(self.session_check)
            for session in self._session_all:
                if session.live and not await self._session_is_current(session):
                    self.on_session_end()
                    return

    async def _session_is_current(self, session: Session) -> bool:
        try:
            return await is_current(session)
        except SessionUnavailable as error:  # an outage ends nobody's session
            log.warning(
                "%s: it is not known whether the session is alive: %s",
                self.request.path,
                error.what,
            )
            return True
