"""A request's working copy of a session: what it began from, what it changed.

The functions at the end are for the response and the WebSocket, which freeze and discard the copy.
`saving.py` saves it. They are none of a handler's business, so they are no methods of what it sees.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.sessions.deeds import go_on_with
from app.sessions.delta import DeltaMapping
from app.sessions.pending import Keeper, Presented
from app.sessions.recognition import GRACE, grace_left
from app.sessions.stage import (
    COMMITTED,
    ERROR_PAGE,
    HEAD_SENT,
    ON_SOCKET,
    OPEN,
    REPLACED,
    Stage,
    refuse_change,
    refuse_cookie,
)
from stores.contract import Record

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class WorkingCopy(DeltaMapping):
    """What `Session` is behind its public names."""

    # Most requests never set these.
    _gone = False  # another request ended the session
    _cookie: str | None = None  # Set-Cookie value that waits for the head of the response
    _saving: asyncio.Future[None] | bool = False  # a commit is in flight; others wait for it
    _extend_from = 0.0  # a commit's time, where that is later than the request's
    _life = 0  # how many ends it has come through
    _label: str | None = None  # what a sign-in calls it among the user's devices
    _waited = 0.0  # seconds that commits and looks have waited for the store

    _shown: frozenset[str] = frozenset()  # keys of messages that the response shows
    _first: WorkingCopy | None = None  # the request's own, where this is another manager's

    def __init__(
        self,
        manager: Keeper,
        record: Record | None,
        presented: Presented,
        stage: Stage = OPEN,
        touch_due: bool = False,
    ) -> None:
        self._manager = manager
        self._presented = presented
        self._stage = stage
        self._touch_due = touch_due
        self._begin(record)

    def _begin(self, record: Record | None) -> None:
        """Start from what the store has acknowledged, without any change."""
        self._saved = record
        self._rebase(None if record is None else record.data)
        self._user: str | None = None if record is None else record.user
        self._persistent: bool | None = None if record is None else record.persistent
        self._rotating = self._signs_in = False
        self._proved: float | None = None  # when the user did, by this request
        self._ended = 0  # how often, by this request; _saved is then the record to delete

    @property
    def live(self) -> bool:
        """Whether the store has a record of this session, as far as is known here."""
        return self._saved is not None and not self._ended

    def _is_persistent(self) -> bool:
        return self._manager.cookie.persistent if self._persistent is None else self._persistent

    async def _reload(self) -> Record | None:
        if self._saved is None or self._ended:
            return None
        saved = self._saved
        record = await self._ask(lambda since: self._manager.reload(saved, since))
        if record is None or self._gone:
            self._mark_gone()
            return None
        return record

    async def _ask(self, operation: Callable[[float], Awaitable[Answer]]) -> Answer:
        """Await *operation*, which takes the moment from which the store's time counts."""
        began = time.monotonic()
        try:
            return await operation(began - waited(self))
        finally:
            (self._first or self)._waited += time.monotonic() - began

    def _acknowledge(
        self, record: Record | None, *, new_token: bool, proved: float | None, ended: int
    ) -> None:
        """Go on from *record*, which is what the store has.

        The others are what the commit knew of; what came since is left to the next.
        """
        self._saved = record
        self._touch_due = False
        if self._ended != ended:
            return
        self._ended = 0
        data = None if record is None else record.data
        if self._stage is COMMITTED:
            self._rebase(data)  # nothing can have been changed since
        else:
            self._advance(data)
        if new_token or not self._rotating:
            known = (None, None) if record is None else (record.user, record.persistent)
            now = (self._user, self._is_persistent(), self._proved)
            if not self._rotating or now == (*known, proved):
                self._rotating = self._signs_in = False
                self._user, self._persistent = known
                self._proved = None

    def _mark_gone(self) -> None:
        """Let a session that another request ended stay so: no record, no cookie."""
        self._begin(None)
        self._gone = True
        self._life += 1
        self._cookie = None

    def _resume(self, user: str) -> None:
        """Let a sign-in under a token that was just replaced be one of its own.

        It goes on with the record if that is the same user's by now: after a double click, or when
        the answer to the first sign-in was lost.
        """
        record = self._presented.replaced
        self._stage = OPEN
        if record is not None and record.user == user:
            self._begin(record)

    def _refuse_change(self, *, begins: bool) -> None:
        stage = self._stage
        if stage is OPEN:
            return
        if stage is ERROR_PAGE:
            log.warning("a change of the session on an error page is not saved; change it earlier")
            return
        if stage is ON_SOCKET and self._gone:
            log.warning("a change of the session on a WebSocket is not saved: the session ended")
            return
        replaced = self._presented.replaced
        left = 1 if replaced is None else grace_left(replaced, self._manager.clock())
        refuse_change(stage, left)
        if begins and not self.live and not self._gone:
            refuse_cookie(stage, "a new session")


# For the user of a handler


def life_of(copy: WorkingCopy) -> tuple[str | None, int]:
    """Return what stays while the session does, and the user who is signed in."""
    return copy._user, copy._life


def state_of(copy: WorkingCopy) -> object:
    """Return what is equal as long as nothing that the session holds has changed."""
    local = copy._local
    seen = repr(local) if local else None  # a nested value changes from within
    return copy._user, copy._life, copy._base, seen


def proof_of(copy: WorkingCopy) -> tuple[float | None, float, float]:
    """Return when the user last proved who he is, when the request came, and what time it is.

    All in Unix time in seconds.
    """
    now = copy._manager.clock()
    if copy._proved is not None:
        return copy._proved, now, now
    saved = copy._saved if copy.live else None
    proved = None if saved is None or saved.user is None else saved.authenticated
    if not isinstance(proved, int | float):  # no store that keeps its contract returns it
        proved = None
    return proved or None, copy._presented.at, now


# For the response


def freeze_unchanged(copy: WorkingCopy) -> bool:
    """Freeze the session if there is nothing to save, not even a touch; return whether."""
    if copy._local or copy._rotating or copy._ended or copy._touch_due:
        return False
    if copy._stage < COMMITTED or copy._stage is REPLACED:
        copy._stage = COMMITTED
    return True


def freeze(copy: WorkingCopy) -> None:
    """From now on nothing may change."""
    if copy._stage < COMMITTED or copy._stage is REPLACED:
        copy._stage = COMMITTED


def refuse_cookies(copy: WorkingCopy) -> None:
    """From now on nothing may need a cookie."""
    if copy._stage is OPEN or copy._stage is REPLACED:
        copy._stage = HEAD_SENT


def refuse_replaced(copy: WorkingCopy) -> None:
    """Raise `SessionConflict` if the client presented a token that was just replaced."""
    replaced = copy._presented.replaced
    if replaced is not None and not copy.live:
        refuse_change(REPLACED, grace_left(replaced, copy._presented.at))


def show_error_page(copy: WorkingCopy) -> None:
    """From now on changes are taken, but not saved: an error page must not fail on them."""
    copy._stage = ERROR_PAGE


def waited(copy: WorkingCopy) -> float:
    """Return the seconds that the request has waited for stores so far.

    None count of a socket, and of what lasts longer than the grace: each look has time of its own.
    """
    first = copy._first or copy
    presented = first._presented
    if first._stage is ON_SOCKET or first._manager.clock() - presented.at > GRACE:
        return 0.0
    return presented.waited + first._waited


def go_along(copy: WorkingCopy, first: WorkingCopy) -> None:
    """Let *copy*, which was just loaded, be one of the request of *first*: in its time, too."""
    copy._first = first
    first._waited += copy._presented.waited
    copy._presented = copy._presented._replace(deeds=first._presented.deeds)


def go_on(copy: WorkingCopy) -> None:
    """Let what the request does belong to *copy*, rather than to another that was loaded."""
    go_on_with(copy._presented.deeds)


def discard(copy: WorkingCopy) -> None:
    """Forget what this request changed since the store last acknowledged."""
    # The record of a token that was replaced is the session's once the sign-in is acknowledged.
    copy._begin(None if copy._saved is copy._presented.replaced else copy._saved)


def take_cookie(copy: WorkingCopy) -> str | None:
    """Return the `Set-Cookie` value that waits for the head of the response, once."""
    cookie = copy._cookie
    if cookie is not None:
        copy._cookie = None
    return cookie


# For the WebSocket


def move_to_socket(copy: WorkingCopy) -> Record | None:
    """Let the session go on after its response; return the record to watch, if there is one."""
    if copy._stage < COMMITTED or copy._stage is REPLACED:
        copy._stage = ON_SOCKET
    return copy._saved


def end(copy: WorkingCopy) -> None:
    """Let the session be over, for it ended elsewhere."""
    copy._mark_gone()
