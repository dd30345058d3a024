"""SessionMixin: the session is there before the handler, and saved before the response leaves."""

from __future__ import annotations

import inspect
import time
from typing import Any, cast

from tornado.web import Finish, RequestHandler

from app.current_user import Assigned, Identity, property_behind, refuse_awaitable
from app.default_headers import PRIVATE, set_defaults
from app.guard import admit, load, meets
from app.policy import SessionPolicy
from app.sessions.errors import SessionsOff, SessionUnavailable
from app.sessions.manager import SessionManager
from app.sessions.pending import Presented
from app.sessions.saving import save
from app.sessions.session import Session
from app.sessions.stage import Stage
from app.sessions.working_copy import go_along, go_on, refuse_cookies, waited
from app.websocket import SessionWebSocket


class SessionMixin(SessionWebSocket):
    """Gives a request handler `self.session`. Put it before `RequestHandler` in the bases.

    A `prepare` of the handler's own begins with `await super().prepare()`. The mixin's methods go
    on to the class behind it in the bases, so that a guard of a base class runs.
    """

    _session_identity: Identity | None = None

    @property
    def session(self) -> Session:
        """The client's session. Raises `SessionsOff` where there is none, saying why."""
        if self._session_own is None:
            self._session_own = self._session_for_error_page()
        self._session_touched = True
        return self._session_own

    @session.setter
    def session(self, value: Session) -> None:
        if value is not self._session_own:  # it is the same in `self.session |= {...}`
            raise AttributeError(
                "self.session cannot be replaced; use self.session.clear() and "
                "self.session.update(...)"
            )

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
        began = time.time()
        try:
            session = await load(self, manager, self.session_policy, waited(own))
        finally:
            go_on(own)
        if manager in self._session_others:  # two asked at the same time
            return self._session_others[manager]
        go_along(session, own)
        if session.user is not None and not self._session_head_sent:
            set_defaults(self, PRIVATE)
        if self._session_head_sent:
            refuse_cookies(session)
        self._session_others = {**self._session_others, manager: session}
        if self._session_on_socket:
            self._session_watch(manager, session, began)
        return session

    async def prepare(self) -> None:
        """Load the session, let users only into an `authenticated` group, then go on behind.

        Raises `SessionUnavailable` (503), and what `app.guard.admit` raises.
        """
        policy = self.session_policy
        if policy is not None and policy.manager is not None:
            try:
                own = self._session_own = await load(self, policy.manager, policy)
            except SessionUnavailable as error:
                self._session_unavailable = error.what
                raise
            self._session_prepared = True
            if own.user is not None:
                set_defaults(self, PRIVATE)
            if policy.authenticated:
                if not meets(policy, self.current_user, own):
                    if own.live:
                        await save(own)  # extends it: whoever is refused has presented it, too
                elif own.user is None:
                    set_defaults(self, PRIVATE)
                self._session_admit()
        behind = super().prepare()
        if behind is not None:
            await behind

    def get_current_user(self) -> Any:
        """Return whom the class behind says, if it says it, else whom the session belongs to."""
        behind = super().get_current_user
        if getattr(behind, "__func__", None) is not RequestHandler.get_current_user:
            return behind()
        return self.session.user if self._session_is_on() else None

    @property
    def current_user(self) -> Any:
        """Who the user is, by `get_current_user`, asked again when the session has changed.

        A property of a class behind the mixin is asked each time.
        """
        if property_behind(type(self), SessionMixin) is not None:
            return super().current_user
        if self._session_identity is None or not self._session_identity.holds(self._session_own):
            user = self.get_current_user()
            if inspect.isawaitable(user):
                refuse_awaitable(self, user)
            self._session_identity = Identity(self._session_own, user)
        return self._session_identity.user

    @current_user.setter
    def current_user(self, value: Any) -> None:
        behind = property_behind(type(self), SessionMixin)
        if behind is None:
            self._session_identity = Assigned(self._session_own, value)
        elif hasattr(behind, "__set__"):
            behind.__set__(self, value)
        else:
            vars(self)["current_user"] = value  # where a cached_property looks

    def _session_admit(self) -> None:
        """Raise unless a user is signed in."""
        session, policy = self._session_own, cast(SessionPolicy, self.session_policy)
        if session is None:
            raise RuntimeError(self._session_why_unprepared())
        self._session_touched = True
        if self._session_finishing:
            raise Finish  # it is answered
        admit(self, policy, self.current_user, session)

    def _session_check_prepared(self) -> None:
        if not self._session_prepared:
            if self._session_unavailable is not None:  # which prepare() has swallowed
                raise SessionUnavailable(self._session_unavailable)
            raise RuntimeError(self._session_why_unprepared())
        if cast(SessionPolicy, self.session_policy).authenticated:
            self._session_admit()

    def _session_why_unprepared(self) -> str:
        return (
            f"{type(self).__qualname__}.prepare() did not run SessionMixin.prepare(): "
            "make it an async method that begins with `await super().prepare()`"
        )

    def _session_for_error_page(self) -> Session:
        """Return an empty session for the page of an error that came before it was loaded."""
        policy = self.session_policy
        if not self._session_sending_error or policy is None or policy.manager is None:
            raise SessionsOff(self._session_why_none())
        return Session(policy.manager, None, Presented(0.0), Stage.ERROR_PAGE)

    def _session_is_on(self) -> bool:
        return self.session_policy is not None and self.session_policy.manager is not None

    def _session_why_none(self) -> str:
        name, policy = type(self).__qualname__, self.session_policy
        if policy is None:
            return f"{name} runs outside make_app(): list it as a Route in Config.routes"
        if policy.manager is not None:
            return f"{name}: the session is not loaded yet; `await super().prepare()` comes first"
        if policy.decided_by:
            return (
                f"{name}: sessions are off in group {policy.group}, by sessions=False on group "
                f"{policy.decided_by}; set sessions=True on group {policy.group}"
            )
        return (
            f"{name}: sessions are off in group {policy.group}, for no group turns them on; "
            f"set sessions=True on group {policy.group}"
        )
