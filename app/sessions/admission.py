"""A sign-in and its user's record: what goes into it, and what it says afterwards.

The session is listed in the batch that writes it; the record is read when that is acknowledged.
"""

from __future__ import annotations

import enum
from collections.abc import Set
from hmac import compare_digest
from typing import NamedTuple

from app.sessions import user_record
from app.sessions.deeds import Deed
from app.sessions.errors import SessionConflict, SessionUnavailable
from app.sessions.events import EventKind
from app.sessions.gateway import Gateway
from app.sessions.pending import Pending, Presented
from app.sessions.timeouts import Timeouts
from app.sessions.user_record import Fence, Listing
from app.sessions.users import MAX_TRIES, Users, after, by_age
from stores.contract import Change, Create, Outcome, Record, Update

MAX_AGENT = 300
"""Characters that are kept of a `User-Agent`."""


STEP = 1e-6
"""Seconds between the ranks of two sign-ins at least; what a float of today can tell apart."""


class Admission(enum.Enum):
    """What a user's record says of a session that was just written."""

    ADMITTED = enum.auto()
    FENCED = enum.auto()
    """Somebody has signed the user out everywhere meanwhile; the session is to be withdrawn."""
    ENDED = enum.auto()
    """Somebody has ended it, or the user has more sessions than may be and it is the oldest."""
    REPLACED = enum.auto()
    """It is in, and another request has replaced its token, whose answer has the newer cookie."""
    BEHIND = enum.auto()
    """It would be the oldest, by a clock that went back: it is to begin anew, as the newest."""


ADMITTED, FENCED, ENDED, REPLACED, BEHIND = Admission


class Entrance(NamedTuple):
    """A session of *user* that comes in."""

    id: bytes
    user: str
    join: Update
    """The change that lists it."""
    authenticated: float
    """Unix time in seconds at which the user proved who he is."""
    renews: bool
    """Whether it is listed already, so that the user has no more sessions than before."""
    at: float
    """Unix time in seconds from which a fence stops it."""
    began: float | None
    """The same by the monotonic clock, for a sign-in."""
    deeds: Set[Deed]
    """What its own request has done: such a fence stops it not."""


def is_unlisted(record: Record) -> bool:
    """Tell whether a session is a user's from before there was a list."""
    return record.user is not None and not record.authenticated


class Admissions:
    """Lets the sessions of one manager in."""

    def __init__(
        self,
        gateway: Gateway,
        users: Users,
        cookie: str,
        timeouts: Timeouts,
        max_per_user: int,
        keep_agent: bool,
        keep_address: bool,
    ) -> None:
        self._gateway = gateway
        self._users = users
        self._cookie = cookie
        self._timeouts = timeouts
        self._max_per_user = max_per_user
        self._keep_agent = keep_agent
        self._keep_address = keep_address
        self._rank = 0.0  # of the last sign-in

    def of_new(self, pending: Pending, record: Record) -> Entrance | None:
        """Return how a session comes in that begins; `None` if it is nobody's."""
        if record.user is None:
            return None
        return self._sign_in(pending, record.user, record, record.created, renews=False)

    def of_rotated(self, pending: Pending, saved: Record, now: float) -> Entrance | None:
        """Return how a session comes in whose token is replaced; `None` if it is in."""
        if not pending.signs_in or pending.user is None:
            return self.of_unlisted(pending, saved)
        renews = saved.user == pending.user and not is_unlisted(saved)
        return self._sign_in(pending, pending.user, saved, now, renews=renews)

    def of_unlisted(self, pending: Pending, saved: Record) -> Entrance | None:
        """Return how a session from before there was a list comes in; `None` for any other."""
        user, began = saved.user, saved.created
        if user is None or not is_unlisted(saved):
            return None
        join = self._join(user, saved, began, pending.presented, None)
        return Entrance(saved.id, user, join, began, False, began, None, frozenset())

    async def write(
        self, change: Change, entrance: Entrance | None, since: float
    ) -> tuple[Outcome, Admission]:
        """Write *change*, which lets a session come in; return its outcome and what became of it.

        Raises `SessionUnavailable`; the change may have been made then.
        """
        if entrance is None:
            return await self._gateway.write(change, since), ADMITTED
        try:
            outcomes = await self._gateway.write_all([change, entrance.join], since)
        except SessionUnavailable:
            await self._users.repair(entrance.user, since)
            raise
        if outcomes[0] is not Outcome.DONE:
            return outcomes[0], ADMITTED
        admission = await self._admit(entrance, outcomes[-1], _secret_of(change), since)
        return Outcome.DONE, admission

    async def _admit(
        self, entrance: Entrance, outcome: Outcome, secret_hash: bytes | None, since: float
    ) -> Admission:
        """Return what becomes of a session, now that it is written.

        *outcome* is that of `Entrance.join`; *secret_hash* is of the token it got, if any.
        """
        user, users = entrance.user, self._users
        ids = (user_record.id_of(user), entrance.id)
        for _ in range(MAX_TRIES):
            if outcome is Outcome.TOO_LARGE:
                await users.make_room(user, (entrance.id,), since)
                outcome = await users.write(user, entrance.join, since)
                continue
            if outcome is not Outcome.DONE:
                raise SessionUnavailable(f"the store answered {outcome} to a user's new session")
            found, own = await self._gateway.load_each(ids, since)
            listing = user_record.read(found, self._cookie)
            if any(self._stops(fence, entrance) for fence in listing.fences):
                return FENCED
            if own is None:
                return ENDED
            if entrance.id in listing.entries:
                admission = await self._bounded(entrance, listing, since)
                if admission is not ADMITTED:
                    return admission
                is_last = secret_hash is None or compare_digest(own.secret_hash, secret_hash)
                return ADMITTED if is_last else REPLACED
            # Who ends a session takes it from the list only afterwards: the list was lost.
            if found is None:
                await users.repair(user, since)
            outcome = await users.write(user, entrance.join, since)
        raise SessionUnavailable("the list of a user's sessions cannot be kept")

    async def withdraw(self, entrance: Entrance, since: float) -> None:
        """Take a session from the list that was not written, or is the user's no more."""
        await self._users.unlist(entrance.user, (entrance.id,), since)

    async def remove(self, entrance: Entrance, kind: EventKind | None, since: float) -> None:
        """End a session that may not stay; *kind* tells of one that was there before."""
        await self._users.end(entrance.user, (entrance.id,), (), kind, since)

    def _sign_in(
        self, pending: Pending, user: str, record: Record, now: float, *, renews: bool
    ) -> Entrance:
        presented = pending.presented
        # The sign-ins of this process are in order also where its clock stands still or goes back.
        self._rank = max(now, self._rank + STEP)
        join = self._join(user, record, now, presented, pending.label, self._rank)
        at, began, deeds = presented.at, presented.began, presented.deeds
        return Entrance(record.id, user, join, now, renews, at, began, deeds)

    def _stops(self, fence: Fence, entrance: Entrance) -> bool:
        if entrance.began is None:
            return fence.keep != entrance.id and fence.stops(entrance.at, None)
        return fence.stops(entrance.at, entrance.began) and fence.key not in entrance.deeds

    async def _bounded(self, entrance: Entrance, listing: Listing, since: float) -> Admission:
        """Return what becomes of the session where the user may not have so many.

        What ends others has one rank for ever, and is among the newest: of sign-ins at the same
        time, the newest of all is ended by none. So one that renews its rank ends no other, one
        that is too old ends itself only, and one that gets a later rank is a session of its own.
        """
        user, users, own = entrance.user, self._users, entrance.id
        if entrance.renews or len(listing.entries) <= self._max_per_user:
            return ADMITTED
        alive, absent = await users.alive(user, listing.entries, since)
        in_order = by_age(alive, listing)
        oldest = in_order[: max(0, len(alive) - self._max_per_user)]
        if own in oldest:
            newest = listing.entries[in_order[-1]].rank
            if entrance.began is not None and newest > max(entrance.authenticated, self._rank) + 1:
                self._rank = newest
                return BEHIND
            oldest = [own]
        lost = users.lost(absent, listing)
        if oldest or lost:
            since_then = after(since, [*listing.entries])
            await users.end(user, oldest, lost, EventKind.LIMITED, since_then)
        return ADMITTED if own in in_order and own not in oldest else ENDED

    def _join(
        self,
        user: str,
        record: Record,
        now: float,
        presented: Presented,
        label: str | None,
        rank: float | None = None,
    ) -> Update:
        shown = {"label": label}
        client = presented.client
        if client is not None and self._keep_agent:
            shown["agent"] = _plain(client.headers.get("User-Agent"))
        if client is not None and self._keep_address:
            shown["address"] = client.remote_ip
        until = record.created + self._timeouts.lifetime
        return user_record.join(user, record.id, self._cookie, now, until, shown, rank)


def fenced() -> SessionConflict:
    """Return what a sign-in is answered that a fence stops."""
    return SessionConflict(
        "the user was signed out everywhere while he signed in",
        reason="Signed Out Everywhere, Sign In Again",
    )


def _secret_of(change: Change) -> bytes | None:
    """Return the hash of the secret that *change* gives a session, if it gives one."""
    if isinstance(change, Create):
        return change.record.secret_hash
    rotation = change.rotation if isinstance(change, Update) else None
    return None if rotation is None else rotation.secret_hash


def _plain(text: str | None) -> str | None:
    """Return what a client says of itself, cut, without what a terminal might obey."""
    if not text:
        return None
    text = text[:MAX_AGENT]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
