"""SessionMixin: the session is there before the handler, and saved before the response leaves."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

from tornado.web import HTTPError

from app.policy import SessionPolicy
from app.sessions.errors import SessionsOff
from app.sessions.manager import SessionManager
from app.sessions.session import Session
from app.sessions.working_copy import outlive_request, refuse_cookies
from app.websocket import SessionWebSocket


class SessionMixin(SessionWebSocket):
    """Gives a request handler `self.session`. Put it before `RequestHandler` in the bases.

    A `prepare` of the handler's own begins with `await super().prepare()`. `self.current_user` is
    `self.session.user` unless `get_current_user` is overridden.
    """

    session_policy: SessionPolicy | None = None
    """The flags of the route's group; set on the class that a route runs."""

    @property
    def session(self) -> Session:
        """The client's session. Raises `SessionsOff` where there is none, saying why."""
        if self._session_own is None:
            raise SessionsOff(self._session_why_none())
        self._session_touched = True
        return self._session_own

    async def session_of(self, manager: SessionManager) -> Session:
        """Return the client's session with *manager*, that of another group of this application.

        It is loaded when first asked for, under the flags of this handler's group, and saved along
        with `self.session`: one after the other, for two stores have no common transaction. Raises
        `SessionsOff` where sessions are off or *manager* is no group's, and `SessionUnavailable`.
        """
        own = self.session
        assert self.session_policy is not None
        if manager is self.session_policy.manager:
            return own
        if manager in self._session_others:
            return self._session_others[manager]
        if manager not in cast(Any, self.application).managers:
            raise SessionsOff(
                f"{type(self).__qualname__}: session_of() takes the manager of a group of this "
                "application; pass it as sessions= to one"
            )
        session = await self._session_load(manager, self.session_policy)
        if self._session_head_sent:
            refuse_cookies(session)
        if self._session_on_socket:
            outlive_request(session)
        self._session_others = {**self._session_others, manager: session}
        return session

    async def prepare(self) -> None:
        """Load the session; 503 when the store fails, 401 when the group requires one."""
        self._session_prepared = True
        policy = self.session_policy
        if policy is None or policy.manager is None:
            return
        self._session_own = await self._session_load(policy.manager, policy)
        if policy.required and not self.session.live:
            raise HTTPError(401, f"group {policy.group} requires a session")

    def _session_load(self, manager: SessionManager, policy: SessionPolicy) -> Awaitable[Session]:
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
        if self._session_own is None and self._session_sending_error:
            return None  # the page of an error that came before the session was loaded
        return self.session.user

    def _session_why_none(self) -> str:
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
