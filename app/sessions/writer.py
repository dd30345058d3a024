"""From a session's changes to the store and a cookie: new records, new tokens, ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from hmac import compare_digest

from app.sessions import token, values
from app.sessions.admission import (
    BEHIND,
    ENDED,
    FENCED,
    Admission,
    Admissions,
    Entrance,
    fenced,
    is_unlisted,
)
from app.sessions.closing import Closer
from app.sessions.cookie import Cookie
from app.sessions.cookie_warnings import CookieWarnings
from app.sessions.endings import Endings
from app.sessions.errors import SessionConflict, SessionError, SessionTooLarge, SessionUnavailable
from app.sessions.events import EventKind, Events
from app.sessions.gateway import Gateway
from app.sessions.pending import Pending, Saved
from app.sessions.recognition import GRACE, REPLACED, UNKNOWN, grace_left
from app.sessions.rotation import Undoer, may_continue, rotate
from app.sessions.size import check_size
from app.sessions.timeouts import Timeouts
from stores.contract import Create, Outcome, Record, Update

MAX_ROTATIONS = 20
"""Tries at replacing a token that other requests replace at the same time."""


class Writer:
    """Saves what the sessions of one manager have pending."""

    def __init__(
        self,
        gateway: Gateway,
        undoer: Undoer,
        admissions: Admissions,
        closer: Closer,
        cookie: Cookie,
        warnings: CookieWarnings,
        timeouts: Timeouts,
        endings: Endings,
        events: Events,
        clock: Callable[[], float],
        max_bytes: int,
    ) -> None:
        self._gateway = gateway
        self._undoer = undoer
        self._admissions = admissions
        self._closer = closer
        self._cookie = cookie
        self._warnings = warnings
        self._timeouts = timeouts
        self._endings = endings
        self._events = events
        self._clock = clock
        self._max_bytes = max_bytes
        # Above max_bytes, which each request checks in its own copy, so that the store's measure
        # may differ; requests at the same time must not pile up more.
        self._limit = 2 * max_bytes

    async def save(self, pending: Pending) -> Saved:
        """Have the store acknowledge what a session has pending.

        Raises `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`; nothing is written then.
        """
        saved, presented = pending.record, pending.presented
        # The token may have been replaced meanwhile: who planted it must not write any more.
        late = pending.confirm or self._clock() - presented.at > GRACE
        since = time.monotonic() - (0.0 if late else pending.waited)
        if saved is None or pending.ended:
            return await self._replace(pending, late, since)
        expires = self._timeouts.extension(saved, pending.extend_from)
        if not (pending.changed or pending.removed or pending.rotate or expires is not None):
            return Saved(saved)
        # A sign-in finds that out when it replaces the token, and goes on in another way.
        if late and not pending.signs_in and await self.reload(saved, since) is None:
            return Saved(None, gone=True)
        if pending.rotate:
            if pending.signs_in and presented.several:
                standings = await self._closer.standings(presented.several, late, since)
                await self._closer.end(presented.several, standings, since)
            return await self._rotate(pending, saved, expires, since)
        # Told with every write; `expires`, which stores have an index of, is told less often.
        seen = pending.extend_from
        update = Update(
            saved.id, pending.changed, pending.removed, expires, None, seen, self._limit
        )
        record = update.applied_to(saved)
        if pending.changed and not values.surely_fits(record.data, self._max_bytes):
            check_size(record, self._max_bytes)
        entrance = None if expires is None else self._admissions.of_unlisted(pending, saved)
        if entrance is None:
            outcome = await self._gateway.write(update, since)
        else:
            outcome, admission = await self._admissions.write(update, entrance, since)
            if admission in (ENDED, FENCED):
                return await self._turn_away(entrance, admission, since)
        if outcome is Outcome.DONE:
            return Saved(record)
        if outcome is Outcome.MISSING:
            self._endings.tell(saved.id)
            return Saved(None, gone=True)
        raise self._refusal(outcome, pending)

    async def reload(self, record: Record, since: float | None = None) -> Record | None:
        """Return *record* as the store has it now; `None` if it is dead or has another token.

        Raises `SessionUnavailable`.
        """
        found = await self._undoer.load(record.id, record.secret_hash, since)
        if found is None or not self._timeouts.is_alive(found, self._clock()):
            self._endings.tell(record.id)
            return None
        # Where its token was replaced, who holds this connection may not be who has signed in.
        if not compare_digest(found.secret_hash, record.secret_hash):
            self._endings.tell(record.id, found.secret_hash)
            return None
        return found

    async def _rotate(
        self, pending: Pending, saved: Record, expires: float | None, since: float
    ) -> Saved:
        """Replace the token, with what else changed, of the record as the store has it by now."""
        await self._undoer.settle(saved.id, since)
        seen = pending.extend_from
        for _ in range(MAX_ROTATIONS):
            now = self._clock()
            entrance = self._admissions.of_rotated(pending, saved, now)
            proved = pending.authenticated
            if proved is None and entrance is not None:
                proved = entrance.authenticated
            rotation, secret = rotate(
                saved, self._cookie.name, pending.user, pending.persistent, now, proved
            )
            update = Update(
                saved.id, pending.changed, pending.removed, expires, rotation, seen, self._limit
            )
            record = update.applied_to(saved)
            if pending.changed:
                check_size(record, self._max_bytes)
            try:
                outcome, admission = await self._admissions.write(update, entrance, since)
            except (SessionUnavailable, asyncio.CancelledError):
                self._undoer.undo(saved, update, rotation)
                raise
            if entrance is not None and admission in (ENDED, FENCED):
                if admission is ENDED or not pending.signs_in:
                    return await self._turn_away(entrance, admission, since)
                if is_unlisted(saved):  # it is from before the fence itself
                    await self._turn_away(entrance, admission, since)
                else:
                    await self._undoer.undo_now(saved, update, rotation, since)
                raise fenced()  # it stays listed: what is another's, readers pass over
            if entrance is not None and admission is BEHIND:
                await self._admissions.remove(entrance, None, since)
                return await self._replace(pending.anew(record.data), False, since)
            if outcome is Outcome.DONE:
                self._events.tell(_kind_of(pending), saved.id, pending.user)
                if admission is Admission.REPLACED:
                    return Saved(record)
                self._endings.tell(saved.id, rotation.secret_hash)
                return Saved(record, self._make_cookie(pending, record, secret, now))
            if outcome not in (Outcome.CONFLICT, Outcome.MISSING):
                raise self._refusal(outcome, pending)
            found = await self._undoer.load(saved.id, saved.secret_hash, since)
            if entrance is not None and found is None:
                await self._admissions.withdraw(entrance, since)
            if found is None or not self._timeouts.is_alive(found, self._clock()):
                self._endings.tell(saved.id)
                was_alive = self._timeouts.is_alive(found or saved, self._clock())
                if not pending.signs_in or (was_alive and saved.id not in pending.presented.deeds):
                    return Saved(None, gone=True)
                # It expired; nobody ended it, so that the sign-in begins a session of its own.
                return await self._replace(pending._replace(record=None), False, since)
            if not compare_digest(found.secret_hash, saved.secret_hash):
                if not pending.signs_in:
                    raise SessionConflict(
                        "the session's token was replaced meanwhile",
                        grace_left(found, self._clock()),
                    )
                if not may_continue(pending, found):
                    return await self._replace(pending._replace(record=None), False, since)
            saved = found
        raise SessionConflict("the session's token is being replaced by other requests")

    async def _replace(self, pending: Pending, late: bool, since: float) -> Saved:
        """Begin a new record if there is something to keep, then end those that it replaces.

        In that order, so that a failure leaves the client where it was.
        """
        presented = pending.presented
        begins = pending.begins
        if begins and pending.user is None and presented.withheld:
            # The browser has a session, for all that is known, and its cookie would be replaced.
            self._warnings.withheld(presented.at)
            if not pending.ended:
                return Saved(None, gone=True)
            begins = False
        ending = list(presented.several) if pending.ended or pending.signs_in else []
        if pending.ended and pending.record is not None:
            ending.append(pending.record)
        standings = await self._closer.standings(ending, late, since)
        drop = REPLACED in standings and not pending.signs_in
        record, cookie = None, None
        if drop:
            pass
        elif begins:
            created = await self._create(pending, since)
            drop = created is None
            if created is not None:
                record, secret = created
                cookie = self._make_cookie(pending, record, secret, record.created)
        elif pending.ended and pending.cookie_to_remove and UNKNOWN not in standings:
            cookie = self._cookie.render_removal(over_tls=presented.over_tls)
        await self._closer.end(ending, standings, since)
        if record is not None:  # which the client gets to know of only now
            self._events.tell(EventKind.STARTED, record.id, record.user)
            if pending.signs_in:
                self._events.tell(EventKind.SIGNED_IN, record.id, record.user)
        return Saved(record, cookie, drop)

    async def _create(self, pending: Pending, since: float) -> tuple[Record, bytes] | None:
        """Have the store keep a new record; return it and its secret.

        `None` if it is a user's, and was ended by others at once.
        """
        now = self._clock()
        secret = token.new_secret()
        record = Record(
            id=token.new_id(),
            secret_hash=token.hash_secret(self._cookie.name, secret),
            created=now,
            expires=self._timeouts.expiry(now),
            data=pending.changed,
            user=pending.user,
            persistent=pending.persistent,
            authenticated=pending.authenticated,
            seen=now,
        )
        check_size(record, self._max_bytes)
        entrance = self._admissions.of_new(pending, record)
        outcome, admission = await self._admissions.write(Create(record), entrance, since)
        if outcome is Outcome.TOO_LARGE:
            raise self._refusal(outcome, pending)
        if outcome is not Outcome.DONE:
            # 128 random bits: it is the generator or the store that is broken.
            raise SessionUnavailable(
                f"store {self._gateway.store.name}: has a new session's id already"
            )
        if entrance is not None and admission is ENDED:
            await self._turn_away(entrance, admission, since)
            return None
        if entrance is not None and admission in (FENCED, BEHIND):
            await self._admissions.remove(entrance, None, since)
            if admission is BEHIND:
                return await self._create(pending, since)
            raise fenced()
        return record, secret

    async def _turn_away(self, entrance: Entrance, admission: Admission, since: float) -> Saved:
        """Let a session be over that its user's record does not let in."""
        if admission is FENCED:
            await self._admissions.remove(entrance, EventKind.REVOKED, since)
        else:
            self._endings.tell(entrance.id)
            await self._admissions.withdraw(entrance, since)
        return Saved(None, gone=True)

    def _refusal(self, outcome: Outcome, pending: Pending) -> SessionError:
        """Return what to raise for the outcome of an update that was not applied."""
        if outcome is Outcome.TOO_LARGE:
            return SessionTooLarge(None, self._max_bytes, values.largest(pending.changed))
        return SessionUnavailable(
            f"store {self._gateway.store.name}: answered {outcome} to an update"
        )

    def _make_cookie(self, pending: Pending, record: Record, secret: bytes, now: float) -> str:
        """Return the new token's cookie, which lasts as long as the session can be extended."""
        return self._cookie.render(
            token.encode(record.id, secret),
            max_age=self._timeouts.left(record, now) if record.persistent else None,
            over_tls=pending.presented.over_tls,
        )


def _kind_of(pending: Pending) -> EventKind:
    """Return what a new token of *pending* is for."""
    if pending.signs_in:
        return EventKind.SIGNED_IN
    return EventKind.ROTATED if pending.authenticated is None else EventKind.CONFIRMED
