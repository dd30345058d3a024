"""What becomes of sessions, for auditors: to the log `sessions.audit` and to the users' listener.

An event follows the store's acknowledgement. Its listener runs after the step that told it: it
delays no response and fails none. There is no event for a session that expires: nobody sees that.
"""

from __future__ import annotations

import asyncio
import enum
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from app.sessions import token

log = logging.getLogger("sessions.audit")


class EventKind(enum.StrEnum):
    """What happened."""

    STARTED = "started"
    SIGNED_IN = "signed_in"
    CONFIRMED = "confirmed"
    ROTATED = "rotated"
    SIGNED_OUT = "signed_out"
    """The session ended by a request that presented it."""
    REVOKED = "revoked"
    """The session was ended from elsewhere: another device, an operator."""
    LIMITED = "limited"
    """The session ended because its user has more than `max_per_user`."""
    EVICTED = "evicted"
    """The store ended the session, for it is full."""
    REPLACED_TOKEN_USED = "replaced_token_used"  # noqa: S105 - a name
    SEVERAL_TOKENS = "several_tokens"
    UNREADABLE = "unreadable"


LEVELS = {
    EventKind.STARTED: logging.DEBUG,
    EventKind.ROTATED: logging.DEBUG,
    EventKind.REPLACED_TOKEN_USED: logging.WARNING,
    EventKind.SEVERAL_TOKENS: logging.WARNING,
    EventKind.UNREADABLE: logging.WARNING,
}
"""The log's level of a kind, where it is not INFO."""


class SessionEvent(NamedTuple):
    """Something that happened to one session. It holds no token and no value."""

    kind: EventKind
    manager: str
    """The name of the manager's cookie."""
    session: str
    """The session's public id."""
    user: str | None
    at: float
    """Unix time in seconds."""


Listener = Callable[[SessionEvent], Awaitable[object] | object]


class Events:
    """Tells what becomes of the sessions of one manager."""

    def __init__(
        self, manager: str, clock: Callable[[], float], listener: Listener | None = None
    ) -> None:
        self._manager = manager
        self._clock = clock
        self._listener = listener
        self._running: set[asyncio.Future[object]] = set()

    def tell(self, kind: EventKind, id: bytes, user: str | None = None) -> None:
        """Tell that *kind* happened to the session of record *id*, which is (or was) *user*'s."""
        level = LEVELS.get(kind, logging.INFO)
        if self._listener is None and not log.isEnabledFor(level):
            return
        event = SessionEvent(kind, self._manager, token.public_id(id), user, self._clock())
        if log.isEnabledFor(level):
            log.log(
                level,
                "%s: session %s of cookie %s, user %r",
                *(event.kind, event.session, event.manager, event.user),
            )
        if self._listener is not None:
            asyncio.get_running_loop().call_soon(self._call, self._listener, event)

    def _call(self, listener: Listener, event: SessionEvent) -> None:
        try:
            result = listener(event)
            if inspect.isawaitable(result):
                running = asyncio.ensure_future(result)
                self._running.add(running)
                running.add_done_callback(self._done)
        except Exception:
            log.exception("on_event failed at the event %s", event.kind)

    def _done(self, running: asyncio.Future[object]) -> None:
        self._running.discard(running)
        if not running.cancelled() and (error := running.exception()) is not None:
            log.error("on_event failed", exc_info=error)
