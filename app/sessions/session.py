"""The session as a handler sees it: a mapping that knows what changed, and its life."""

from __future__ import annotations

import asyncio
import enum
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.sessions import token, values
from app.sessions.delta import DeltaMapping
from app.sessions.errors import SessionCommitted, SessionConflict, SessionReadOnly
from stores.contract import Record

if TYPE_CHECKING:
    from app.sessions.manager import SessionManager


MAX_USER = 255
"""Characters of a user's name: what every database can keep in an indexed column."""


class Stage(enum.IntEnum):
    """How far the response is, or why the session cannot change."""

    OPEN = 0
    HEAD_SENT = 1
    COMMITTED = 2
    READ_ONLY = 3
    SUPERSEDED = 4


OPEN, HEAD_SENT, COMMITTED, READ_ONLY, SUPERSEDED = Stage


class Session(DeltaMapping):
    """What the application knows of one client; made by `SessionManager.load`.

    Keys are `str`, values `None`, `bool`, `int` (64 bit), finite `float`, `str`, `list`, `dict` and
    nestings of these. Anything else raises `TypeError` or `ValueError` when it is assigned, or
    when the session is committed if it was put inside a list or dict that is already there. Changes
    inside nested values are found by themselves.

    Every method that changes something raises `SessionReadOnly` in a `read_only` group,
    `SessionCommitted` when the response has left, and `SessionConflict` (409) when the client
    presented a token that another response has just replaced.
    """

    # Underscored names are shared with SessionManager, the other half of this class. What most
    # requests never set is here.
    _gone = False  # destroyed by another request while this one had it
    _outlives_request = False  # a WebSocket has it
    _set_cookie: str | None = None  # value that waits for the head of the response
    _saving: asyncio.Future[None] | bool = False  # a commit is on its way; others wait for it

    def __init__(
        self,
        manager: SessionManager,
        record: Record | None,
        stage: Stage = OPEN,
        presented_at: float = 0.0,
        touch_due: bool = False,
        cookie_presented: bool = False,
        over_tls: bool = False,
    ) -> None:
        self._manager = manager
        self._stage = stage
        self._presented_at = presented_at
        self._touch_due = touch_due
        self._cookie_presented = cookie_presented
        self._over_tls = over_tls
        self._begin(record)

    def _begin(self, record: Record | None) -> None:
        """Start from what the store has acknowledged, without any change."""
        self._saved = record
        self._rebase(None if record is None else record.data)
        self._user: str | None = None if record is None else record.user
        self._persistent: bool | None = None if record is None else record.persistent
        self._rotating = False
        self._destroyed = 0  # how often, by this request; _saved is then the record to delete

    def __repr__(self) -> str:
        return f"<Session {self.id or 'unsaved'}>"

    # What it is

    @property
    def live(self) -> bool:
        """Whether there is a record of this session in the store, as far as is known here."""
        return self._saved is not None and not self._destroyed

    @property
    def id(self) -> str | None:
        """Public handle of the record, 22 characters; `None` until the session is saved.

        Safe to show, in a list of devices for example: it is not the token and does not lead to it.
        """
        return token.handle(self._saved.id) if self._saved and not self._destroyed else None

    @property
    def created(self) -> datetime | None:
        """When the session began (UTC); `None` until it is saved."""
        if self._saved is None or self._destroyed:
            return None
        return datetime.fromtimestamp(self._saved.created, UTC)

    @property
    def user(self) -> str | None:
        """Whom the session is signed in as."""
        return self._user

    @property
    def persistent(self) -> bool:
        """Whether the client's cookie outlives its browser session ("remember me").

        Assigning another value replaces the token, for the cookie has to be sent anew.
        """
        if self._persistent is None:
            return self._manager.cookie.persistent
        return self._persistent

    @persistent.setter
    def persistent(self, value: bool) -> None:
        if value != self.persistent:
            self.regenerate()
            self._persistent = value

    # Its life

    def destroy(self) -> None:
        """End the session: its record is deleted and the client's cookie removed.

        What is set afterwards in the same request begins a new session.
        """
        self._refuse_change(begins=False)
        self._refuse_cookie("destroy()")
        self._rebase(None)
        self._user = self._persistent = None
        self._rotating = False
        self._destroyed += 1

    def regenerate(self) -> None:
        """Keep the data and replace the token; the old one is dead when the response leaves.

        To be called whenever the client gains rights (`sign_in` does it). A session that is not
        saved yet gets a new token anyway.
        """
        self._refuse_change(begins=False)
        self._refuse_cookie("regenerate()")
        self._rotating = True

    def sign_in(self, user: str, *, persistent: bool | None = None) -> None:
        """Bind the session to *user* under a new token.

        Data that was gathered before anybody signed in is kept; data of a different user is
        dropped, with that user's record. *persistent* sets `session.persistent`.
        """
        if type(user) is not str or not user:
            what = "an empty one" if type(user) is str else type(user).__name__
            raise TypeError(f"sign_in() takes the user as a non-empty str, not {what}")
        values.check(user, "user")
        if len(user) > MAX_USER:
            raise ValueError(f"sign_in() takes a user of at most {MAX_USER} characters")
        if self._user not in (None, user):
            self.destroy()
        self.regenerate()
        self._user = user
        if persistent is not None:
            self._persistent = persistent

    def sign_out(self) -> None:
        """End the session; the same as `destroy()`."""
        self.destroy()

    async def commit(self) -> None:
        """Save the changes now, rather than before the head of the response leaves.

        Needed only where there is no response to wait for: in a WebSocket's `on_message`, or to
        know that the store has acknowledged before going on. Raises as the response would:
        `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`.
        """
        self._presented_at = self._manager.clock()
        if self._outlives_request:  # its token may have been replaced long since
            await self._manager.still_lives(self)
        await self._manager.commit(self)

    async def refresh(self) -> bool:
        """Read the record again, dropping changes not committed; return whether it is still there.

        For connections that outlive a request: `False` says that the session was destroyed, has
        expired or got a new token meanwhile (somebody signed in). Raises `SessionUnavailable`.
        """
        return await self._manager.refresh(self)

    # For the mixin

    def head_sent(self) -> None:
        """From now on nothing may need a cookie."""
        if self._stage is OPEN:
            self._stage = HEAD_SENT

    def committed(self) -> None:
        """From now on nothing may change."""
        if self._stage < COMMITTED:
            self._stage = COMMITTED

    def unchanged(self) -> bool:
        """Whether there is nothing to commit, not even a touch."""
        return not (self._local or self._rotating or self._destroyed or self._touch_due)

    def discard(self) -> None:
        """Forget what this request changed since the store last acknowledged."""
        self._begin(self._saved)

    def unsaved(self) -> bool:
        """Whether there is something to commit, be it changed while a commit was on its way."""
        return bool(self._rotating or self._destroyed or (self._local and any(self._delta())))

    # For the manager

    def _acknowledge(self, record: Record | None, *, rotated: bool, destroyed: int) -> None:
        """Go on from *record*, which is what the store has.

        *rotated* and *destroyed* are what the commit knew of; what came since is left to the next.
        """
        self._saved = record
        self._touch_due = False
        if self._destroyed != destroyed:
            return
        self._destroyed = 0
        data = None if record is None else record.data
        if self._stage is COMMITTED:
            self._rebase(data)  # nothing can have been changed since
        else:
            self._advance(data)
        if rotated or not self._rotating:
            known = (None, None) if record is None else (record.user, record.persistent)
            if not self._rotating or (self._user, self.persistent) == known:
                self._rotating = False
                self._user, self._persistent = known

    def _refuse_change(self, *, begins: bool) -> None:
        stage = self._stage
        if stage is OPEN:
            return
        if stage is COMMITTED:
            raise SessionCommitted(
                "the session was changed after the response was committed; change it earlier"
            )
        if stage is READ_ONLY:
            raise SessionReadOnly(
                "the session was changed in a group with read_only=True; "
                "set read_only=False on the group of this route"
            )
        if stage is SUPERSEDED:
            raise SessionConflict("the session's token was just replaced; send the request again")
        if begins and not self.live and not self._gone:
            self._refuse_cookie("a new session")

    def _refuse_cookie(self, what: str) -> None:
        if self._stage is HEAD_SENT:
            raise SessionCommitted(
                f"{what} needs a cookie, but the response has begun; do it before flush()"
            )
