"""What becomes of sessions, for auditors: to the log `sessions.audit` and to the users' listener.

An event follows the store's acknowledgement. Its listener runs after the step that told it: it
fails no response, and none waits for it. No event tells that a session expired: nobody sees that.
"""

from __future__ import annotations

import asyncio
import enum
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import NamedTuple

from app.sessions import token
from stores.contract import NO_SESSION, Record

log = logging.getLogger(__name__)
audit = logging.getLogger("sessions.audit")

PAUSE = 10.0
"""Seconds between two events of a kind that any request can cause, for one session."""

MAX_PAUSES = 10_000
"""Sessions of which that is remembered."""

MAX_RUNNING = 1000
"""Awaitables of a listener that are waited for; further events are not told to it."""

MOMENT = 1.0
"""Seconds that they have when the manager is closed."""


class EventKind(enum.StrEnum):
    """What happened."""

    STARTED = "started"
    """A new session is kept."""
    SIGNED_IN = "signed_in"
    """A user signed in, under a new token; `started` comes before it where the session is new."""
    CONFIRMED = "confirmed"
    """The user proved once more who he is, under a new token."""
    ROTATED = "rotated"
    """The session got a new token by anything else."""
    SIGNED_OUT = "signed_out"
    """The session ended by a request that presented it: `sign_out`, `destroy`, a sign-in as another
    user. Its user is `None` where nobody was signed in."""
    REVOKED = "revoked"
    """The session was ended from elsewhere: another device, an operator."""
    LIMITED = "limited"
    """The session ended because its user has more than `max_per_user`."""
    EVICTED = "evicted"
    """The store ended the session, for it is full."""
    REPLACED_TOKEN_USED = "replaced_token_used"  # noqa: S105 - a name
    """A request presented a token less than 10 s after it was replaced."""
    SEVERAL_TOKENS = "several_tokens"
    """A request presented the live token of this session and of others; none was taken."""
    UNREADABLE = "unreadable"
    """The session's record cannot be read, and counts as unknown."""
    UNOPENED = "unopened"
    """A value of the session is sealed and does not open; its client is answered 503."""


QUIET = {EventKind.STARTED, EventKind.ROTATED}
"""What the log tells at the level DEBUG: a sign-in has a line of its own."""

FAULTS = {EventKind.UNREADABLE, EventKind.UNOPENED}
"""What no client can cause: it is told of nobody's sessions, too."""

ALARMING = {EventKind.REPLACED_TOKEN_USED, EventKind.SEVERAL_TOKENS, *FAULTS}
"""What it tells as a warning."""

SESSION = "session"
"""What the log calls what an event is about."""


class SessionEvent(NamedTuple):
    """Something that happened to one session. It holds no token and no value."""

    kind: EventKind
    manager: str
    """The name of the manager's cookie."""
    session: str
    """The session's public id."""
    user: str | None
    """Whose session it is, or was; `None` for nobody's, and for that of an unreadable record."""
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
        self.counts = dict.fromkeys(EventKind, 0)
        """How many of each kind were told, whoever listens."""
        self._running: set[asyncio.Future[object]] = set()
        self._untold = 0
        self._last: OrderedDict[tuple[EventKind, bytes], float] = OrderedDict()

    def tell(
        self, kind: EventKind, id: bytes, user: str | None = None, noun: str = SESSION
    ) -> None:
        """Tell that *kind* happened to the session of record *id*, which is (or was) *user*'s.

        *noun* is what the log calls the record, where it is no session.
        """
        self.counts[kind] += 1
        level = _level(kind, user)
        if self._listener is None and not audit.isEnabledFor(level):
            return
        event = SessionEvent(kind, self._manager, token.public_id(id), user, self._clock())
        if audit.isEnabledFor(level):
            audit.log(
                level,
                "%s: %s %s of the cookie %s, user %r",
                *(event.kind, noun, event.session, event.manager, event.user),
            )
        if self._listener is not None:
            # Not in the request's context, which has its deadline and its own affairs.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._call, self._listener, event, context=Context())

    def tell_seldom(self, kind: EventKind, record: Record) -> None:
        """Tell it of *record*'s session unless that was told a moment ago.

        A client can cause such an event by each of its requests.
        """
        now, key = self._clock(), (kind, record.id)
        if 0 <= now - self._last.get(key, float("-inf")) < PAUSE:
            return
        self._last[key] = now
        self._last.move_to_end(key)
        if len(self._last) > MAX_PAUSES:
            self._last.popitem(last=False)
        self.tell(kind, record.id, record.user)

    def tell_evicted(self, record: Record) -> None:
        """Tell that the store ended *record*'s session.

        It may be another manager's over the same store, which a record does not say; each tells.
        What no token opens is no session, but the list of a user's.
        """
        if record.secret_hash not in NO_SESSION:
            self.tell(EventKind.EVICTED, record.id, record.user)

    async def settle(self) -> None:
        """Let the listener hear what was told, and give its awaitables a moment to end."""
        await asyncio.sleep(0)  # what tell() asked for comes first
        if not self._running:
            return
        _, late = await asyncio.wait(tuple(self._running), timeout=MOMENT)
        for running in late:
            running.cancel()
        if late:
            log.warning("on_event: %d calls did not end within %g s", len(late), MOMENT)

    def _call(self, listener: Listener, event: SessionEvent) -> None:
        if len(self._running) >= MAX_RUNNING:
            if self._untold % MAX_RUNNING == 0:
                log.error(
                    "on_event does not keep up: %d calls have not ended, and events are not told "
                    "to it (%d so far)",
                    *(len(self._running), self._untold + 1),
                )
            self._untold += 1
            return
        try:
            result = listener(event)
            if inspect.isawaitable(result):
                running = asyncio.ensure_future(result)
                self._running.add(running)
                running.add_done_callback(self._done)
        except (Exception, asyncio.CancelledError):
            log.exception("on_event failed at the event %s", event.kind)

    def _done(self, running: asyncio.Future[object]) -> None:
        self._running.discard(running)
        if not running.cancelled() and (error := running.exception()) is not None:
            log.error("on_event failed", exc_info=error)


def _level(kind: EventKind, user: str | None) -> int:
    """Return the level at which the log tells it; of nobody's sessions, which bots fill it with,
    DEBUG."""
    if kind in QUIET or (user is None and kind not in FAULTS):
        return logging.DEBUG
    return logging.WARNING if kind in ALARMING else logging.INFO
