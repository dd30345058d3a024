"""The sessions of a user: listed, ended one by one, ended everywhere."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from app.sessions import token, user_record
from app.sessions.deeds import forget_old_deeds, note
from app.sessions.endings import Endings
from app.sessions.errors import SessionUnavailable
from app.sessions.events import EventKind
from app.sessions.gateway import Gateway
from app.sessions.recognition import GRACE
from app.sessions.timeouts import Timeouts
from app.sessions.user_record import Entry, Listing
from stores.contract import Change, Delete, Outcome, Record, Update

log = logging.getLogger(__name__)

CHUNK = 250
"""Sessions that are read or ended in one store call. Each call after the first has its own time."""

MAX_TRIES = 5
"""Tries at writing to a user's record, which others may fill or lose meanwhile."""


class Device(NamedTuple):
    """One session of a user. All times are in UTC.

    *agent* is the browser's own word: escape it like any text of a client.
    """

    id: str
    """`Session.id`: the public handle."""
    signed_in: datetime
    last_seen: datetime
    """To a tenth of the idle time-out."""
    expires: datetime
    """When it ends unless it is used before."""
    agent: str | None
    address: str | None
    label: str | None
    current: bool
    """Whether it is the session that asks."""


class Users:
    """The users of one manager's sessions. Every method raises `SessionUnavailable`.

    *since* is the moment (`time.monotonic`) from which the store's time counts.
    """

    def __init__(
        self,
        gateway: Gateway,
        cookie: str,
        timeouts: Timeouts,
        endings: Endings,
        clock: Callable[[], float],
        tell: Callable[[EventKind, bytes, str | None], None],
    ) -> None:
        self._gateway = gateway
        self._cookie = cookie
        self._timeouts = timeouts
        self._endings = endings
        self._clock = clock
        self._tell = tell

    async def devices(
        self, user: str, current: str | None = None, since: float | None = None
    ) -> list[Device]:
        """Return the live sessions of *user*, the last seen first; *current* is an id of one."""
        user_record.check_user(user, "devices()")
        listing = await self.listing(user, since)
        alive, _ = await self.alive(user, listing.entries, since)
        devices = [self._device(listing.entries[r.id], r, current) for r in alive]
        return sorted(devices, key=lambda device: (device.last_seen, device.id), reverse=True)

    async def sign_out(self, user: str, id: str, since: float | None = None) -> bool:
        """End the session *id* of *user*; return whether there was one.

        For an id of somebody else's, or of nobody's, the store is asked the same.
        """
        user_record.check_user(user, "sign_out()")
        user_record.check_id(id, "sign_out()")
        forget_old_deeds()
        listing = await self.listing(user, since)
        wanted = token.record_id(id)
        if wanted is None or wanted not in listing.entries:
            wanted = token.new_id()
        alive, _ = await self.alive(user, [wanted], since)
        if alive:
            await self.end(user, [wanted], (), EventKind.REVOKED, since)
            return True
        await self._gateway.write(Delete(token.new_id()), since)
        await self._gateway.write(user_record.leave(user, [token.new_id()]), since)
        return False

    async def sign_out_everywhere(
        self, user: str, keep: bytes | None = None, since: float | None = None
    ) -> int:
        """End every session of *user* but *keep*; return how many there were.

        In this order, so that a sign-in at the same time is either seen here or sees the fence.
        """
        user_record.check_user(user, "sign_out_everywhere()")
        await self.raise_fence(user, keep, since)
        return await self.end_all(user, keep, since)

    async def end_all(self, user: str, keep: bytes | None, since: float | None = None) -> int:
        """End every session that is listed but *keep*, after a fence; return how many."""
        record = await self._gateway.load(user_record.id_of(user), since)
        if record is None:
            await self.repair(user, since)
            raise SessionUnavailable("the list of a user's sessions cannot be read")
        listing = user_record.read(record, self._cookie)
        ids = [id for id in listing.entries if id != keep]
        alive, absent = await self.alive(user, ids, since)
        fences, lost = listing.old_fences(self._clock()), self.lost(absent, listing)
        since = after(since, ids)
        await self.end(user, [r.id for r in alive], lost, EventKind.REVOKED, since, fences)
        return len(alive)

    # For sign-ins as well

    async def listing(self, user: str, since: float | None = None) -> Listing:
        """Return what the record of *user* lists; nothing if there is none."""
        record = await self._gateway.load(user_record.id_of(user), since)
        return user_record.read(record, self._cookie)

    async def alive(
        self, user: str, ids: Iterable[bytes], since: float | None = None
    ) -> tuple[list[Record], list[bytes]]:
        """Return the records of those that are live sessions of *user*; the ids without a record.

        One that is nobody's may become the user's, so that it is neither.
        """
        ids, now = list(ids), self._clock()
        alive: list[Record] = []
        absent: list[bytes] = []
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            found = await self._gateway.load_each(chunk, None if start else since, opened=False)
            absent += [id for id, record in zip(chunk, found, strict=True) if record is None]
            mine = (record for record in found if record is not None and record.user == user)
            alive += [record for record in mine if self._timeouts.is_alive(record, now)]
        return alive, absent

    def lost(self, absent: Iterable[bytes], listing: Listing) -> list[bytes]:
        """Return those of *absent* that no sign-in is just beginning."""
        began = self._clock() - GRACE
        return [id for id in absent if listing.entries[id].signed_in < began]

    async def end(
        self,
        user: str,
        ids: Sequence[bytes],
        lost: Sequence[bytes],
        kind: EventKind | None,
        since: float | None = None,
        fences: Collection[str] = (),
    ) -> None:
        """End the sessions *ids* of *user*; then take these and those *lost* from the list.

        In that order: whatever fails, none lives that is not listed.
        """
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            ends: list[Change] = [Delete(id) for id in chunk]
            await self._gateway.write_all(ends, None if start else since)
            note(chunk)
            for id in chunk:
                self._endings.tell(id)
                if kind is not None:
                    self._tell(kind, id, user)
        if ids or lost or fences:
            await self.unlist(user, [*ids, *lost], since, fences)

    async def unlist(
        self, user: str, ids: Sequence[bytes], since: float | None, fences: Collection[str] = ()
    ) -> None:
        """Take sessions that ended from the list; what fails leaves what no reader minds."""
        with contextlib.suppress(SessionUnavailable):
            await self._gateway.write(user_record.leave(user, ids, fences), since)

    async def make_room(self, user: str, spare: Collection[bytes], since: float | None) -> None:
        """Take from the full record of *user* what is dead, else end the oldest but *spare*."""
        record = await self._gateway.load(user_record.id_of(user), since)
        every = user_record.read(record, None)
        own = user_record.read(record, self._cookie)
        alive, absent = await self.alive(user, every.entries)
        lost, fences = self.lost(absent, every), own.old_fences(self._clock())
        oldest: list[bytes] = []
        if not (lost or fences):
            mine = [found for found in alive if found.id in own.entries]
            count = 1 + len(mine) // 16
            oldest = [id for id in by_age(mine, own) if id not in spare][:count]
        await self.end(user, oldest, lost, EventKind.LIMITED, None, fences)

    async def raise_fence(self, user: str, keep: bytes | None, since: float | None = None) -> None:
        """Stop the sign-ins of *user* that began before now, but not the session *keep*."""
        forget_old_deeds()
        now = self._clock()
        # A session that is not listed yet, for it is from before there was a list, looks later.
        until = now + max(self._timeouts.lifetime, user_record.FENCE_KEPT)
        key, fence = user_record.raise_fence(user, self._cookie, now, until, time.monotonic(), keep)
        for _ in range(MAX_TRIES):
            outcome = await self.write(user, fence, since)
            if outcome is Outcome.DONE:
                note((key,))
                return
            await self.make_room(user, () if keep is None else (keep,), since)
        raise SessionUnavailable("the list of a user's sessions is full")

    async def write(self, user: str, update: Update, since: float | None) -> Outcome:
        """Write to the record of *user*; return `DONE` or `TOO_LARGE`."""
        try:
            outcome = await self._gateway.write(update, since)
        except SessionUnavailable:
            await self.repair(user, since)
            raise
        if outcome in (Outcome.DONE, Outcome.TOO_LARGE):
            return outcome
        raise SessionUnavailable(f"the store answered {outcome} to a change of a user's record")

    async def repair(self, user: str, since: float | None) -> None:
        """Remove the record of *user* if it cannot be read: nobody is locked out for ever."""
        id = user_record.id_of(user)
        with contextlib.suppress(SessionUnavailable):
            if await self._gateway.is_unreadable(id, since):
                await self._gateway.write(Delete(id), since)
                log.error(
                    "store %s: the list of a user's sessions, record %s, could not be read and "
                    "begins anew; the sessions that it had are not listed until they sign in again",
                    self._gateway.store.name,
                    token.public_id(id),
                )

    def _device(self, entry: Entry, record: Record, current: str | None) -> Device:
        id = token.public_id(record.id)
        return Device(
            id,
            _utc(entry.signed_in),
            _utc(record.created if record.seen is None else record.seen),
            _utc(self._timeouts.end(record)),
            entry.text("agent"),
            entry.text("address"),
            entry.text("label"),
            id == current,
        )


def after(since: float | None, ids: Sequence[bytes]) -> float | None:
    """Return from when the store's time counts after so many sessions were read."""
    return since if len(ids) <= CHUNK else None


def by_age(alive: Iterable[Record], listing: Listing) -> list[bytes]:
    """Return the ids of *alive*, the earliest sign-in first: the same order for everybody."""
    entries = [listing.entries[record.id] for record in alive]
    return [entry.id for entry in sorted(entries, key=lambda entry: (entry.rank, entry.id))]


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
