"""The response's way out: what the sessions changed is saved before its head leaves.

Tornado has no asynchronous hook between a handler and the head of its response. So the methods that
serve a request, `prepare`, `data_received` and the verb, are run by `_session_run` (`app.binding`
binds a route's class to it). While one runs, `finish()` only notes that the response is wanted
(`app.answer`). When it has returned, the changes are committed and then the response leaves.
`flush()` commits first, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError
from tornado.web import Finish, HTTPError, RequestHandler

from app.default_headers import NO_HEADERS
from app.guard import headers_of
from app.policy import SessionPolicy
from app.preview import shows_page
from app.sessions.errors import SessionUnavailable
from app.sessions.flash import take_shown
from app.sessions.manager import SessionManager
from app.sessions.saving import is_unsaved, save
from app.sessions.session import Session
from app.sessions.working_copy import (
    discard,
    freeze,
    freeze_unchanged,
    refuse_cookies,
    show_error_page,
    take_cookie,
)

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    _Handler = RequestHandler  # a handler's class has it behind the mixin
else:
    _Handler = object

Method = Callable[..., Any]


class SessionResponse(_Handler):
    """The half of `SessionMixin` that its users do not see."""

    session_policy: SessionPolicy | None = None
    """The flags of the route's group; set on the class that a route runs."""

    _session_own: Session | None = None
    _session_others: Mapping[SessionManager, Session] = MappingProxyType({})
    _session_prepared = False
    _session_unavailable: str | None = None  # what the store said when it was to load
    _session_touched = False
    _session_running = False  # one of them is running: the response waits
    _session_finishing = False  # finish() was called meanwhile
    _session_flush: asyncio.Future[None] | None = None
    _session_head_sent = False
    _session_on_socket = False  # the handshake is done: nothing waits for the response any more
    _session_sending_error = False
    _session_defaults: Mapping[str, str] = NO_HEADERS

    @property
    def _session_all(self) -> tuple[Session, ...]:
        """All sessions that this request has loaded."""
        if self._session_own is None:
            return ()
        return (self._session_own, *self._session_others.values())

    def flush(self, include_footers: bool = False) -> asyncio.Future[None]:
        """Send what was written so far; the head leaves once the session is saved."""
        if not self._session_head_sent:
            if self._session_running:
                flush = asyncio.ensure_future(self._session_commit_and_flush(self._session_flush))
                self._session_flush = flush
                return flush
            self._session_complete_head()
        return super().flush(include_footers)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the error page in the place of what was written; changes are dropped."""
        error = kwargs.get("exc_info", (None, None))[1]
        self._session_defaults = {**self._session_defaults, **headers_of(error)}
        if self._session_running and self._session_finishing:
            self._session_finishing = False  # the error takes the place of the response that waits
            del self.write
        self._session_sending_error = True
        if not self._session_running:  # else what the page changes is saved with all the rest
            for session in self._session_all:
                show_error_page(session)
        super().send_error(status_code, **kwargs)
        self._session_sending_error = False

    def _session_check_prepared(self) -> None:
        """Raise unless the method that comes after `prepare` may run."""
        raise NotImplementedError

    async def _session_await_flush(self) -> None:
        flush, self._session_flush = self._session_flush, None
        assert flush is not None
        try:
            with contextlib.suppress(StreamClosedError):  # nobody may have awaited it
                await flush
        finally:
            del flush  # a failed one refers to this frame

    async def _session_commit_and_flush(self, before: asyncio.Future[None] | None) -> None:
        if before is not None:
            await before
        if not self._session_head_sent:
            await self._session_save(self.get_status(), streaming=True)
            self._session_complete_head()
        await super().flush()

    def _session_complete_head(self) -> None:
        """Add what the sessions have to say; late, because an error page clears all headers."""
        self._session_head_sent = True
        own = self._session_own
        if own is not None:
            if (cookie := take_cookie(own)) is not None:
                self._session_add_cookie(cookie)
            for session in self._session_others.values():
                if (cookie := take_cookie(session)) is not None:
                    self._session_add_cookie(cookie)
        if self._session_touched:
            self.add_header("Vary", "Cookie")

    def _session_add_cookie(self, cookie: str) -> None:
        self.add_header("Set-Cookie", cookie)
        self.set_header("Cache-Control", "no-store")

    async def _session_save(self, status: int, *, streaming: bool = False) -> None:
        """Commit the sessions, or after a server error only extend their lives."""
        sessions = self._session_all
        try:
            for session in sessions:
                if not streaming:
                    freeze(session)
                if status < 500:
                    if session._shown and shows_page(self.request, status):
                        take_shown(session)
                    await save(session)
                else:
                    await _extend(session)
            while streaming and any(is_unsaved(session) for session in sessions):
                # The handler goes on meanwhile: what it changed goes along.
                for session in sessions:
                    await save(session)
        except Exception as error:
            if self._session_head_sent:
                self._session_cut_off(error)
            raise
        finally:
            for session in sessions:
                if streaming:
                    refuse_cookies(session)

    def _session_cut_off(self, error: Exception) -> None:
        """Close the connection: the client must not take what it has for the whole response."""
        log.error("%s: response cut off, for saving failed: %s", self.request.path, error)
        self.detach().close()
        self.application.log_request(self)
        self.on_finish()

    async def _session_save_after(self, error: Exception) -> None:
        """Save as the status says that *error* leads to."""
        if self._session_on_socket or isinstance(error, SessionUnavailable):
            return  # in the latter case the store need not be asked again
        if isinstance(error, (Finish, StreamClosedError)):  # a client that left changes nothing
            await self._session_save(self.get_status())
        else:  # an error page takes the place of what the handler has shown
            for session in self._session_all:
                session._shown = frozenset()
            await self._session_save(error.status_code if isinstance(error, HTTPError) else 500)

    def _session_run(
        self, method: Method, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_verb: bool
    ) -> Awaitable[None] | None:
        """Call *method* while the response waits; then save, and let the response leave.

        After a `prepare` or `data_received` that wants no response there is nothing to save yet.
        """
        self._session_running = True
        try:
            result = method(self, *args, **kwargs)
        except BaseException as error:
            result = _raise(error)
        if (
            result is None
            and is_verb
            and not self._session_finishing
            and self._session_flush is None
            and self._session_own is not None
            and not self._session_others
            and freeze_unchanged(self._session_own)
        ):
            self._session_running = False  # most requests: there is nothing to wait for
            return None
        return self._session_complete(result, is_verb)

    async def _session_complete(self, result: Awaitable[Any] | None, is_verb: bool) -> None:
        """Await what a method returned, save what it changed, and let the response leave."""
        try:
            try:
                if result is not None:
                    await result
            finally:
                if self._session_flush is not None:
                    await self._session_await_flush()
        except Exception as error:
            if isinstance(error, TypeError):
                _explain_session_in_json(error)
            await self._session_save_after(error)
            raise
        finally:
            self._session_running = False
            if self._session_finishing:
                del self.write  # an error page may still have to be written
        if not is_verb and not self._session_finishing:
            self._session_check_prepared()
            return
        if self._session_on_socket:
            return
        own = self._session_own
        if own is not None and (self._session_others or not freeze_unchanged(own)):
            await self._session_save(self.get_status())
        if self._session_finishing:
            RequestHandler.finish(self)  # the classes before it have had their say


async def _raise(error: BaseException) -> None:
    try:
        raise error
    finally:
        del error  # it refers to this frame


async def _extend(session: Session) -> None:
    discard(session)
    try:
        await save(session)
    except SessionUnavailable as error:
        log.warning("a session's life was not extended: %s", error.what)


def _explain_session_in_json(error: TypeError) -> None:
    """Name the mend where a session was given to `write` or `json.dumps`, which take a dict."""
    if "write() only accepts" in str(error) or "Session is not JSON serializable" in str(error):
        error.add_note("The session itself is not a dict; pass dict(self.session)")
