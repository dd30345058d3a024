"""SessionMixin: the session is there before the handler, and saved before the response leaves.

Tornado has no asynchronous hook between a handler and the head of its response. So the methods that
serve a request, `prepare` and the verb, are run by the methods at the end of this class (a route's
class is bound to them in `app.binding`). While one runs, `finish()` only notes that the response is
wanted; when it has returned, the changes are committed and then the response leaves. `flush()`
commits first, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError
from tornado.web import Finish, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from app.errors import SessionConflict, SessionsOff, SessionUnavailable
from app.policy import SessionPolicy
from app.session import Session

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    _Handler = RequestHandler
else:
    _Handler = object

Method = Callable[..., Any]


class SessionMixin(_Handler):
    """Gives a request handler `self.session`. Put it before `RequestHandler` in the bases.

    A `prepare` of the handler's own begins with `await super().prepare()`. `self.current_user` is
    `self.session.user` unless `get_current_user` is overridden.
    """

    session_policy: SessionPolicy | None = None
    """The flags of the route's group; set on the class that a route runs."""

    session_check: float = 30.0
    """Seconds between two looks, while a WebSocket is open, at whether its session still lives."""

    _session: Session | None = None
    _session_prepared = False
    _session_touched = False
    _session_running = False  # prepare or a verb is running: the response waits
    _session_finishing = False  # finish() was called meanwhile
    _session_flush: asyncio.Future[None] | None = None
    _session_head_sent = False
    _session_sending_error = False
    _session_retry = False

    @property
    def session(self) -> Session:
        """The client's session. Raises `SessionsOff` where there is none, saying why."""
        if self._session is None:
            raise SessionsOff(self._why_no_session())
        self._session_touched = True
        return self._session

    async def prepare(self) -> None:
        """Load the session; 503 when the store fails, 401 when the group requires one."""
        self._session_prepared = True
        policy = self.session_policy
        if policy is None or policy.manager is None:
            return
        self._session = await policy.manager.load(
            self.request.headers.get("Cookie"),
            over_tls=self.request.protocol == "https",
            read_only=policy.read_only,
        )
        if policy.required and not self.session.live:
            raise HTTPError(401, f"group {policy.group} requires a session")

    def get_current_user(self) -> Any:
        """Return the user whom the session is signed in as."""
        if self.session_policy is None or self.session_policy.manager is None:
            return super().get_current_user()
        return self.session.user

    def _why_no_session(self) -> str:
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

    def on_session_end(self) -> None:
        """Called on an open WebSocket whose session ended or got a new token: close it.

        It is called within `session_check` seconds of the end.
        """
        if isinstance(self, WebSocketHandler):
            self.close(1008, "session ended")  # RFC 6455: policy violation

    # The response's way out

    def flush(self, include_footers: bool = False) -> asyncio.Future[None]:
        if self._session_running and not self._session_head_sent:
            self._session_flush = asyncio.ensure_future(self._commit_and_flush(self._session_flush))
            return self._session_flush
        if not self._session_head_sent:
            self._complete_head()
        return super().flush(include_footers)

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> asyncio.Future[None]:
        if not self._session_running:
            return super().finish(chunk)
        if self._session_finishing:
            if self._session_sending_error:  # send_error() asks twice, to be sure
                return _done()
            raise RuntimeError("finish() called twice")
        if chunk is not None:
            self.write(chunk)
        self._session_finishing = True
        self.write = _refuse_write  # type: ignore[method-assign]  # as Tornado does after finish()
        return _done()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        self._session_retry = isinstance(error, (SessionConflict, SessionUnavailable))
        if self._session_running and self._session_finishing:
            self._session_finishing = False  # the error takes the place of the response that waits
            del self.write
        self._session_sending_error = True
        super().send_error(status_code, **kwargs)
        self._session_sending_error = False

    async def _last_flush(self) -> None:
        flush, self._session_flush = self._session_flush, None
        assert flush is not None
        try:
            with contextlib.suppress(StreamClosedError):  # nobody may have awaited it
                await flush
        finally:
            del flush  # a failed one refers to this frame

    async def _commit_and_flush(self, before: asyncio.Future[None] | None) -> None:
        if before is not None:
            await before
        if not self._session_head_sent:
            await self._save(self.get_status(), streaming=True)
            self._complete_head()
        await super().flush()

    def _complete_head(self) -> None:
        """Add what the session has to say; late, because an error page clears all headers."""
        self._session_head_sent = True
        session = self._session
        if session is not None and session._set_cookie is not None:
            self.add_header("Set-Cookie", session._set_cookie)
            self.set_header("Cache-Control", "no-store")
            session._set_cookie = None
        if self._session_touched:
            self.add_header("Vary", "Cookie")
        if self._session_retry:
            self.set_header("Retry-After", "1")

    async def _save(self, status: int, *, streaming: bool = False) -> None:
        """Commit the session, or after a server error only extend its life."""
        session = self._session
        if session is None:
            return
        try:
            if status < 500:
                await session._manager.commit(session)
            else:
                session.discard()
                try:
                    await session._manager.commit(session)
                except SessionUnavailable as error:
                    log.warning("a session's life was not extended: %s", error.what)
        except Exception as error:
            if self._session_head_sent:
                self._cut_off(error)
            raise
        finally:
            if streaming:
                session.head_sent()
            else:
                session.committed()

    def _cut_off(self, error: Exception) -> None:
        """Close the connection: the client must not take what it has for the whole response."""
        log.error("%s: response cut off, for saving failed: %s", self.request.path, error)
        self.detach().close()
        self.application.log_request(self)
        self.on_finish()

    async def _save_after(self, error: Exception) -> None:
        """Save as the status says that *error* leads to."""
        if isinstance(error, SessionUnavailable):  # the store need not be asked again
            return
        if isinstance(error, (Finish, StreamClosedError)):  # a client that left changes nothing
            await self._save(self.get_status())
        else:
            await self._save(error.status_code if isinstance(error, HTTPError) else 500)

    # How a request runs

    async def _run(
        self, method: Method, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_prepare: bool
    ) -> None:
        """Call *method* while the response waits; then save, and let the response leave.

        After a `prepare` that wants no response there is nothing to save yet.
        """
        self._session_running = True
        try:
            try:
                result = method(self, *args, **kwargs)
                if result is not None:
                    await result
            finally:
                if self._session_flush is not None:
                    await self._last_flush()
        except Exception as error:
            await self._save_after(error)
            raise
        finally:
            self._session_running = False
            if self._session_finishing:
                del self.write  # an error page may still have to be written
        if is_prepare and not self._session_finishing:
            if not self._session_prepared:
                raise RuntimeError(
                    f"{type(self).__qualname__}.prepare() did not run SessionMixin.prepare(): "
                    "make it an async method that begins with `await super().prepare()`"
                )
            return
        session = self._session
        if session is not None and session.unchanged():
            session.committed()
        else:
            await self._save(self.get_status())
        if self._session_finishing:
            super().finish()

    async def _run_handshake(self, get: Method, *args: Any, **kwargs: Any) -> None:
        """Run a WebSocket's `get`, whose response cannot wait: commit beforehand.

        `get` returns when the connection is closed.
        """
        await self._save(101, streaming=True)
        watch = asyncio.ensure_future(self._watch_session())
        try:
            await get(self, *args, **kwargs)
        finally:
            watch.cancel()

    async def _watch_session(self) -> None:
        while self._session is not None and self._session.live:
            await asyncio.sleep(self.session_check)
            try:
                if not await self._session._manager.still_lives(self._session):
                    self.on_session_end()
            except SessionUnavailable as error:  # an outage ends nobody's session
                log.warning(
                    "%s: whether a session lives is not known: %s", self.request.path, error.what
                )


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def _refuse_write(chunk: object) -> None:
    raise RuntimeError("Cannot write() after finish()")
