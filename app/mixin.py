"""SessionMixin: the session is there before the handler, and saved before the response leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tornado.web import HTTPError
from tornado.websocket import WebSocketHandler

from app.policy import SessionPolicy
from app.response import SavesBeforeHead
from app.sessions.errors import SessionsOff, SessionUnavailable
from app.sessions.manager import SessionManager
from app.sessions.session import Session

log = logging.getLogger(__name__)


class SessionMixin(SavesBeforeHead):
    """Gives a request handler `self.session`. Put it before `RequestHandler` in the bases.

    A `prepare` of the handler's own begins with `await super().prepare()`. `self.current_user` is
    `self.session.user` unless `get_current_user` is overridden.
    """

    session_policy: SessionPolicy | None = None
    """The flags of the route's group; set on the class that a route runs."""

    session_check: float = 30.0
    """Seconds between two looks, while a WebSocket is open, at whether its session still lives."""

    @property
    def session(self) -> Session:
        """The client's session. Raises `SessionsOff` where there is none, saying why."""
        if self._session is None:
            raise SessionsOff(self._why_no_session())
        self._session_touched = True
        return self._session

    async def session_of(self, manager: SessionManager) -> Session:
        """Return the client's session with *manager*, that of another group of this application.

        It is loaded when first asked for, under the flags of this handler's group, and saved along
        with `self.session`: one after the other, for two stores have no common transaction. Raises
        `SessionsOff` where sessions are off or *manager* is no group's, and `SessionUnavailable`.
        """
        own = self.session
        for session in (own, *self._other_sessions):
            if session._manager is manager:
                return session
        if manager not in cast(Any, self.application).managers:
            raise SessionsOff(
                f"{type(self).__qualname__}: session_of() takes the manager of a group of this "
                "application; pass it as sessions= to one"
            )
        assert self.session_policy is not None
        session = await self._load(manager, self.session_policy)
        session._outlives_request = own._outlives_request
        if self._session_head_sent:
            session.head_sent()
        self._other_sessions = (*self._other_sessions, session)
        return session

    async def prepare(self) -> None:
        """Load the session; 503 when the store fails, 401 when the group requires one."""
        self._session_prepared = True
        policy = self.session_policy
        if policy is None or policy.manager is None:
            return
        self._session = await self._load(policy.manager, policy)
        if policy.required and not self.session.live:
            raise HTTPError(401, f"group {policy.group} requires a session")

    def _load(self, manager: SessionManager, policy: SessionPolicy) -> Awaitable[Session]:
        request = self.request
        return manager.load(
            request.headers.get("Cookie"),
            over_tls=request.protocol == "https",
            read_only=policy.read_only,
        )

    def get_current_user(self) -> Any:
        """Return the user whom the session is signed in as."""
        if self.session_policy is None or self.session_policy.manager is None:
            return super().get_current_user()
        if self._session is None and self._session_sending_error:
            return None  # the page of an error that came before the session was loaded
        return self.session.user

    def _why_no_session(self) -> str:
        name, policy = type(self).__qualname__, self.session_policy
        if policy is None:
            return f"{name} runs outside make_app(): list it as a Route in Config.routes"
        if policy.manager is not None:
            return (
                f"{name}: the session is not loaded yet; `await super().prepare()` comes first, "
                "and the page of an error before it has none"
            )
        if policy.decided_by:
            return (
                f"{name}: sessions are off in group {policy.group}, by sessions=False on group "
                f"{policy.decided_by}; set sessions=True on group {policy.group}"
            )
        return (
            f"{name}: sessions are off in group {policy.group}, for no group turns them on; "
            f"set sessions=True on group {policy.group}"
        )

    # WebSockets

    def on_session_end(self) -> None:
        """Called on an open WebSocket whose session ended or got a new token: close it.

        It is called within `session_check` seconds of the end.
        """
        if isinstance(self, WebSocketHandler):
            self.close(1008, "session ended")  # RFC 6455: policy violation

    async def _run_handshake(self, get: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a WebSocket's `get`, whose response cannot wait: commit beforehand.

        `get` returns when the connection is closed.
        """
        await self._save(101, streaming=True)
        for session in self._sessions:
            session._outlives_request = True
        watch = asyncio.ensure_future(self._watch_sessions())
        try:
            await get(self, *args, **kwargs)
        finally:
            watch.cancel()

    async def _watch_sessions(self) -> None:
        while self._sessions:
            await asyncio.sleep(self.session_check)
            for session in self._sessions:
                if session.live and not await self._is_there(session):
                    self.on_session_end()
                    return

    async def _is_there(self, session: Session) -> bool:
        try:
            return await session._manager.still_lives(session)
        except SessionUnavailable as error:  # an outage ends nobody's session
            log.warning(
                "%s: whether a session lives is not known: %s", self.request.path, error.what
            )
            return True
