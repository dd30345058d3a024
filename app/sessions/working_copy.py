"""A request's working copy of a session: what it began from, what it changed, how that is saved.

The functions at the end are for the response, which freezes, saves and discards the copy. They are
none of a handler's business, so they are no methods of what it sees.
"""

from __future__ import annotations

import asyncio

from app.sessions.delta import DeltaMapping
from app.sessions.errors import SessionReadOnly
from app.sessions.pending import Keeper, Pending, Presented
from app.sessions.stage import (
    COMMITTED,
    HEAD_SENT,
    OPEN,
    READ_ONLY,
    REPLACED,
    Stage,
    refuse_change,
    refuse_cookie,
)
from stores.contract import Record


class WorkingCopy(DeltaMapping):
    """What `Session` is behind its public names."""

    # Most requests never set these.
    _gone = False  # another request ended the session
    _outlives_request = False  # a WebSocket has it
    _cookie: str | None = None  # Set-Cookie value that waits for the head of the response
    _saving: asyncio.Future[None] | bool = False  # a commit is in flight; others wait for it

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
        self._rotating = False
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
        record = await self._manager.reload(self._saved)
        if record is None:
            self._mark_gone()
        return record

    def _acknowledge(self, record: Record | None, *, new_token: bool, ended: int) -> None:
        """Go on from *record*, which is what the store has.

        *new_token* and *ended* are what the commit knew of; what came since is left to the next.
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
            if not self._rotating or (self._user, self._is_persistent()) == known:
                self._rotating = False
                self._user, self._persistent = known

    def _mark_gone(self) -> None:
        """Let a session that another request ended stay so: no record, no cookie."""
        self._begin(None)
        self._gone = True
        self._cookie = None

    def _refuse_change(self, *, begins: bool) -> None:
        stage = self._stage
        if stage is OPEN:
            return
        refuse_change(stage)
        if begins and not self.live and not self._gone:
            refuse_cookie(stage, "a new session")


# For the response


def freeze_unchanged(copy: WorkingCopy) -> bool:
    """Freeze the session if there is nothing to save, not even a touch; return whether."""
    if copy._local or copy._rotating or copy._ended or copy._touch_due:
        return False
    if copy._stage < COMMITTED:
        copy._stage = COMMITTED
    return True


def freeze(copy: WorkingCopy) -> None:
    """From now on nothing may change."""
    if copy._stage < COMMITTED:
        copy._stage = COMMITTED


def refuse_cookies(copy: WorkingCopy) -> None:
    """From now on nothing may need a cookie."""
    if copy._stage is OPEN:
        copy._stage = HEAD_SENT


async def save(copy: WorkingCopy) -> None:
    """Have the store acknowledge the session's changes; its cookie waits for the head.

    Raises `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`, and `TypeError` or
    `ValueError` for a nested value that cannot be kept. Nothing is written then.
    """
    while copy._saving is not False:  # by another task of the same request
        if copy._saving is True:
            copy._saving = asyncio.get_running_loop().create_future()
        # Several may wait for one commit, and one of them may be cancelled.
        await asyncio.wait((copy._saving,))
    copy._saving = True
    try:
        changed, removed = copy._delta()
        if copy._stage is READ_ONLY:
            if changed or removed:
                raise SessionReadOnly(
                    "a list or dict of the session was changed in a group with read_only=True"
                )
            return
        if copy._gone or copy._stage is REPLACED:
            copy._begin(None)
            return
        rotate, ended = copy._rotating, copy._ended
        saved = await copy._manager.save(
            Pending(
                copy._presented,
                copy._saved,
                changed,
                removed,
                rotate,
                bool(ended),
                copy._user,
                copy._persistent
                if copy._persistent is not None
                else copy._manager.cookie.persistent,
                copy._presented.cookie or copy._cookie is not None,
            )
        )
        if saved.gone:
            copy._mark_gone()
            return
        if saved.cookie is not None:
            copy._cookie = saved.cookie
        new_token = rotate or ended > 0 or copy._saved is None
        copy._acknowledge(saved.record, new_token=new_token, ended=ended)
    finally:
        waiting, copy._saving = copy._saving, False
        if isinstance(waiting, asyncio.Future):
            waiting.set_result(None)


def is_unsaved(copy: WorkingCopy) -> bool:
    """Tell whether there is something to save, be it changed while a commit was in flight."""
    return bool(copy._rotating or copy._ended or (copy._local and any(copy._delta())))


def discard(copy: WorkingCopy) -> None:
    """Forget what this request changed since the store last acknowledged."""
    copy._begin(copy._saved)


def take_cookie(copy: WorkingCopy) -> str | None:
    """Return the `Set-Cookie` value that waits for the head of the response, once."""
    cookie = copy._cookie
    if cookie is not None:
        copy._cookie = None
    return cookie


def outlive_request(copy: WorkingCopy) -> None:
    """Let the session go on after its response, on a WebSocket."""
    copy._outlives_request = True


async def is_current(copy: WorkingCopy) -> bool:
    """Return whether the session's token still opens its record; leave its changes as they are.

    Raises `SessionUnavailable`.
    """
    return await copy._reload() is not None
