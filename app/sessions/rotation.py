"""Replacing a session's token, and undoing that when its outcome is not known.

A rotation that got no answer may have been made, may be made later, or never. The client knows the
former token only, which must go on working with the rights it had. So the rotation is undone until
the store has answered to that, and in a way that a late arrival of it collides with: a rotation
names the `rotated` time that it replaces, and the undo changes that time in any case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from hmac import compare_digest

from app.sessions import token
from app.sessions.batching import MAX_BATCH
from app.sessions.errors import SessionUnavailable
from app.sessions.gateway import Gateway
from app.sessions.inverse import Undo, inverse_of, is_covered, later
from app.sessions.pending import Pending
from stores.contract import NEVER_ROTATED, Outcome, Record, Rotation, Update

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two tries at undoing, doubled from the first to the longest."""

MAX_LOOKS = 10
"""Looks at a record that others change at the same time, before a pause."""


def rotate(
    saved: Record,
    name: str,
    user: str | None,
    persistent: bool,
    now: float,
    authenticated: float | None = None,
) -> tuple[Rotation, bytes]:
    """Return a rotation of *saved* to a new secret of the cookie *name*, and that secret.

    *authenticated* is when the user proved who he is, if he does.
    """
    secret = token.new_secret()
    rotation = Rotation(
        expected_hash=saved.secret_hash,
        secret_hash=token.hash_secret(name, secret),
        rotated=later(saved, now),
        user=user,
        persistent=persistent,
        expected_rotated=saved.rotated or NEVER_ROTATED,
        authenticated=authenticated,
    )
    return rotation, secret


def may_continue(pending: Pending, found: Record) -> bool:
    """Tell whether a sign-in goes on with a record whose token was replaced meanwhile."""
    if found.user is not None:
        return found.user == pending.user
    # Where the rotation that replaced the presented token was undone, that token opens it again.
    replaced = pending.presented.replaced
    return (
        replaced is not None
        and replaced.former_hash is not None
        and compare_digest(replaced.former_hash, found.secret_hash)
    )


class Undoer:
    """Undoes rotations in the background, until the store has answered."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self._gateway = gateway
        self._clock = clock
        self.pending: dict[bytes, list[Undo]] = {}
        """Those that are not undone yet, by the record's id."""
        self._task: asyncio.Task[None] | None = None

    def undo(self, saved: Record, update: Update, rotation: Rotation) -> None:
        """Begin to undo *rotation*, a part of *update*; *saved* is the record before it."""
        self._add(Undo(saved, update, rotation))
        self._begin()

    async def undo_now(
        self, saved: Record, update: Update, rotation: Rotation, since: float | None
    ) -> None:
        """Undo *rotation*, which was made, before this returns.

        What cannot be undone yet is undone in the background. Raises `SessionUnavailable`.
        """
        self._add(Undo(saved, update, rotation))
        try:
            await self.settle(saved.id, since)
        finally:
            if saved.id in self.pending:
                self._begin()

    def _add(self, undo: Undo) -> None:
        self.pending.setdefault(undo.saved.id, []).append(undo)

    def _begin(self) -> None:
        if not self._gateway.is_open:  # the request outlived the service
            self.stop()
        elif self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())

    async def load(self, id: bytes, secret_hash: bytes, since: float | None) -> Record | None:
        """Return the record of *id*; what is pending of it is undone if *secret_hash* opens it not.

        Raises `SessionUnavailable`.
        """
        unsure = id in self.pending
        found = await self._gateway.load(id, since)
        return await self._sure(found, secret_hash, unsure, since)

    async def load_each(
        self, ids: Sequence[bytes], secret_hashes: Sequence[bytes], since: float | None
    ) -> list[Record | None]:
        """Return what `load` would of each."""
        unsure = [id in self.pending for id in ids]
        found = await self._gateway.load_each(ids, since)
        each = zip(found, secret_hashes, unsure, strict=True)
        return [await self._sure(*one, since) for one in each]

    async def settle(self, id: bytes, since: float | None) -> None:
        """Undo what is pending of record *id*, in the time that a request has left *since* then.

        Raises `SessionUnavailable`.
        """
        # The newest first: it may be on top of the others.
        for undo in tuple(self.pending.get(id, ()))[::-1]:
            if await self._attempt(undo, since):
                self._remove(undo)

    def stop(self) -> None:
        """Give up what is pending, and say so."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.pending:
            log.error(
                "store %s: stopped before %d rotations without an answer were undone; the clients "
                "of these sessions may have to sign in again: %s",
                self._gateway.store.name,
                sum(map(len, self.pending.values())),
                ", ".join(sorted(map(token.public_id, self.pending))),
            )
            self.pending.clear()

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while self.pending:
            await self._try_each()
            if self.pending:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _try_each(self) -> None:
        """Try each once, a bounded number at a time, as long as the store takes some."""
        ids = list(self.pending)
        for start in range(0, len(ids), MAX_BATCH):
            if not any(await asyncio.gather(*map(self._try, ids[start : start + MAX_BATCH]))):
                return

    async def _try(self, id: bytes) -> bool:
        try:
            await self.settle(id, None)
        except SessionUnavailable:  # the request's own failure is in the log
            if id in self.pending:  # others get their turn first
                self.pending[id] = self.pending.pop(id)
            return False
        return True

    def _remove(self, undo: Undo) -> None:
        id = undo.saved.id
        left = [other for other in self.pending.get(id, ()) if other is not undo]
        if left:
            self.pending[id] = left
        else:
            self.pending.pop(id, None)

    async def _sure(
        self, found: Record | None, secret_hash: bytes, unsure: bool, since: float | None
    ) -> Record | None:
        """Return *found*, read anew if a pending rotation may be why *secret_hash* opens it not.

        *unsure* says that one was pending before it was read.
        """
        if found is None or compare_digest(found.secret_hash, secret_hash):
            return found
        if not unsure and found.id not in self.pending:
            return found
        await self.settle(found.id, since)
        return await self._gateway.load(found.id, since)

    async def _attempt(self, undo: Undo, since: float | None = None) -> bool:
        """Bring the record to where the former token opens it and the rotation cannot be made.

        Return whether that is done, or nothing is left to do. Raises `SessionUnavailable`.
        """
        for _ in range(MAX_LOOKS):
            found = await self._gateway.load(undo.saved.id, since)
            if found is None:
                return True
            inverse = inverse_of(undo, found, self._clock())
            if inverse is None:
                return not is_covered(undo, found)
            if await self._gateway.write(inverse, since) in (Outcome.DONE, Outcome.MISSING):
                return True
        raise SessionUnavailable(f"store {self._gateway.store.name}: a rotation cannot be undone")
