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


class Admission(enum.Enum):
    """What a user's record says of a session that was just written."""

    ADMITTED = enum.auto()
    FENCED = enum.auto()
    """Somebody has signed the user out everywhere meanwhile; the session is to be withdrawn."""
    ENDED = enum.auto()
    """Somebody has ended it, or the user has more sessions than may be and it is the oldest."""
    REPLACED = enum.auto()
    """It is in, and another request has replaced its token, whose answer has the newer cookie."""


ADMITTED, FENCED, ENDED, REPLACED = Admission


class Entrance(NamedTuple):
    """A session of *user* that comes in."""

    id: bytes
    user: str
    join: Update
    """The change that lists it."""
    authenticated: float
    """Unix time in seconds at which the user proved who he is."""
    is_listed: bool
    """Whether it is listed already, so that nothing need be written."""
    at: float
    """Unix time in seconds from which a fence stops it."""
    began: float | None
    """The same by the monotonic clock, for a sign-in."""
    label: str | None
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

    def of_new(self, pending: Pending, record: Record) -> Entrance | None:
        """Return how a session comes in that begins; `None` if it is nobody's."""
        if record.user is None:
            return None
        return self._sign_in(pending, record.user, record, record.created, is_listed=False)

    def of_rotated(self, pending: Pending, saved: Record, now: float) -> Entrance | None:
        """Return how a session comes in whose token is replaced; `None` if it is in."""
        if not pending.signs_in or pending.user is None:
            return self.of_unlisted(pending, saved)
        is_listed = saved.user == pending.user and not is_unlisted(saved)
        return self._sign_in(pending, pending.user, saved, now, is_listed=is_listed)

    def of_unlisted(self, pending: Pending, saved: Record) -> Entrance | None:
        """Return how a session from before there was a list comes in; `None` for any other."""
        user, began = saved.user, saved.created
        if user is None or saved.authenticated:
            return None
        join = self._join(user, saved, began, pending.presented, None)
        return Entrance(saved.id, user, join, began, False, began, None, None, frozenset())

    async def write(
        self, change: Change, entrance: Entrance | None, since: float
    ) -> tuple[Outcome, Admission]:
        """Write *change*, which lets a session come in; return its outcome and what became of it.

        Raises `SessionUnavailable`; the change may have been made then.
        """
        if entrance is None:
            return await self._gateway.write(change, since), ADMITTED
        changes = [change] if entrance.is_listed else [change, entrance.join]
        try:
            outcomes = await self._gateway.write_all(changes, since)
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
                if not await self._within_bound(entrance, listing, since):
                    return ENDED
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
        self, pending: Pending, user: str, record: Record, now: float, *, is_listed: bool
    ) -> Entrance:
        presented, label = pending.presented, pending.label
        join = self._join(user, record, now, presented, label)
        began = presented.began
        return Entrance(
            record.id, user, join, now, is_listed, presented.at, began, label, presented.deeds
        )

    def _stops(self, fence: Fence, entrance: Entrance) -> bool:
        if entrance.began is None:
            return fence.keep != entrance.id and fence.stops(entrance.at, None)
        return fence.stops(entrance.at, entrance.began) and fence.key not in entrance.deeds

    async def _within_bound(self, entrance: Entrance, listing: Listing, since: float) -> bool:
        """Return whether the session stays, where the user may not have so many."""
        user, users, label = entrance.user, self._users, entrance.label
        entry = listing.entries[entrance.id]
        if label is not None and entry.text("label") != label:
            await users.write(user, user_record.rename(user, entry, label), since)
        if len(listing.entries) <= self._max_per_user:
            return True
        alive, absent = await users.alive(user, listing.entries, since)
        over = max(0, len(alive) - self._max_per_user)
        oldest = by_age(alive, listing)[:over]
        lost = users.lost(absent, listing)
        if oldest or lost:
            since_then = after(since, [*listing.entries])
            await users.end(user, oldest, lost, EventKind.LIMITED, since_then)
        return entrance.id not in oldest and any(record.id == entrance.id for record in alive)

    def _join(
        self,
        user: str,
        record: Record,
        now: float,
        presented: Presented,
        label: str | None,
    ) -> Update:
        shown = {"label": label}
        client = presented.client
        if client is not None and self._keep_agent:
            shown["agent"] = _plain(client.headers.get("User-Agent"))
        if client is not None and self._keep_address:
            shown["address"] = client.remote_ip
        until = record.created + self._timeouts.lifetime
        return user_record.join(user, record.id, self._cookie, now, until, shown)


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
