"""What a store keeps of a user: one record, with a key for each of the user's sessions.

Two sign-ins set different keys, so both win. A *fence* is a key, too: it says when somebody signed
the user out everywhere. A sign-in writes its own key and then reads the record; "everywhere" writes
its fence and then reads the record. Whichever reads last sees the other. Nothing here asks a store.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, TypeGuard

from app.sessions import token, values
from app.sessions.soundness import clamped
from stores.contract import JSON, MAX_DATA, NO_SECRET, Record, Update

MAX_USER = 255
"""Characters of a user's name: what every database can keep in an indexed column."""

MAX_LABEL = 100
"""Characters of a session's label."""

LIMIT = MAX_DATA
"""Bytes that a user's record may take, as JSON text in UTF-8."""

FENCE_KEPT = 24 * 3600.0
"""Seconds for which a fence is kept at least: no request lasts as long."""

MAX_FENCES = 32
"""Fences kept of one manager, the newest ones: each says all that older ones of its process do."""

PROCESS = os.urandom(8).hex()
"""The name of this process and of those forked from it, which share one monotonic clock."""

_FENCE = "!"
"""Begins a fence's key, and no session's."""


class Entry(NamedTuple):
    """What a user's record says of one session."""

    id: bytes
    signed_in: float
    """Unix time in seconds."""
    rank: float
    """The order of the sign-ins: that time, or a later one where it would not tell the order."""
    shown: Mapping[str, JSON]
    """"agent", "address" and "label", where they are known, among what else is kept."""

    def text(self, name: str) -> str | None:
        """Return what is kept under *name*, if it is a text."""
        value = self.shown.get(name)
        return value if isinstance(value, str) else None


class Fence(NamedTuple):
    """What a user's record says of one time that the user was signed out everywhere."""

    key: str
    at: float
    """Unix time in seconds."""
    process: str
    moment: float
    """The monotonic clock of that process, in seconds."""
    keep: bytes | None
    """The session that went on."""

    def stops(self, at: float, began: float | None) -> bool:
        """Tell whether it is younger than what began *at* that Unix time.

        *began* is the same by this process's monotonic clock, which tells the order exactly.
        """
        if began is not None and self.process == PROCESS:
            return self.moment >= began
        return self.at >= at


class Listing(NamedTuple):
    """A user's record as the manager of one cookie reads it."""

    entries: Mapping[bytes, Entry]
    fences: Sequence[Fence]

    def old_fences(self, now: float) -> list[str]:
        """Return the keys of the fences that nobody needs any more; the newest one is needed."""
        fences = sorted(self.fences, key=lambda fence: -fence.at)
        return [
            fence.key
            for number, fence in enumerate(fences)
            if number >= MAX_FENCES or (number and now - fence.at > FENCE_KEPT)
        ]


def check_user(user: object, what: str) -> str:
    """Return *user* if it is a user's name, as *what* takes it.

    Raises `TypeError` or `ValueError`.
    """
    if type(user) is not str or not user:
        found = "an empty one" if type(user) is str else type(user).__name__
        raise TypeError(f"{what} takes the user as a non-empty str, not {found}")
    values.check(user, "user")
    if len(user) > MAX_USER:
        raise ValueError(f"{what} takes a user of at most {MAX_USER} characters")
    return user


def check_id(id: object, what: str) -> None:
    """Raise `TypeError` unless *id* may be a session's public id, as *what* takes it."""
    if type(id) is not str:
        raise TypeError(f"{what} takes a session's id as a str, not {type(id).__name__}")


def check_label(label: object) -> None:
    """Raise `TypeError` or `ValueError` unless *label* is `None` or a short text."""
    if label is None:
        return
    if type(label) is not str:
        raise TypeError(f"label is a str or None, not {type(label).__name__}")
    values.check(label, "label")
    if len(label) > MAX_LABEL:
        raise ValueError(f"label has {len(label)} characters; {MAX_LABEL} at most")


def id_of(user: str) -> bytes:
    """Return the id of the record of *user*, by the exact characters of the name."""
    return sha256(b"user\0" + user.encode()).digest()[: token.ID_BYTES]


def blank(user: str, now: float, expires: float) -> Record:
    """Return the record of *user* before anything is listed."""
    return Record(id_of(user), NO_SECRET, now, expires, {})


def join(
    user: str,
    id: bytes,
    cookie: str,
    now: float,
    until: float,
    shown: Mapping[str, str | None],
    rank: float | None = None,
) -> Update:
    """Return the change that lists session *id*, signed in *now*, which ends *until* then.

    *cookie* is the name of its manager's; *shown* and *rank* are what `Entry` says of them.
    """
    entry: dict[str, JSON] = {"in": now, "until": until, "cookie": cookie}
    if rank is not None and rank != now:
        entry["rank"] = rank
    entry.update((name, value) for name, value in shown.items() if value is not None)
    return _update(user, {token.public_id(id): entry}, now, until)


def leave(user: str, ids: Iterable[bytes], fences: Iterable[str] = ()) -> Update:
    """Return the change that takes sessions and fences from the list."""
    return Update(id_of(user), unset=[*map(token.public_id, ids), *fences])


def rejoin(there: Record, other: Record) -> Update | None:
    """Return the change that brings to the record *there* all that another version of it has.

    `None` if it has nothing more. What was taken from *there* may come back by this: it names a
    session that has ended, which readers notice.
    """
    lacking = {key: value for key, value in other.data.items() if key not in there.data}
    if not lacking and other.expires <= there.expires:
        return None
    return Update(there.id, lacking, expires=other.expires)


def raise_fence(
    user: str, cookie: str, now: float, until: float, moment: float, keep: bytes | None
) -> tuple[str, Update]:
    """Return the key of a new fence and the change that writes it."""
    key = _FENCE + os.urandom(8).hex()
    fence: dict[str, JSON] = {"at": now, "cookie": cookie, "by": PROCESS, "n": moment}
    if keep is not None:
        fence["keep"] = token.public_id(keep)
    return key, _update(user, {key: fence}, now, until)


def read(record: Record | None, cookie: str | None) -> Listing:
    """Return what *record* lists of the manager of *cookie*, or of all; it may be garbled."""
    entries: dict[bytes, Entry] = {}
    fences: list[Fence] = []
    for key, value in () if record is None else record.data.items():
        if not isinstance(value, dict) or cookie not in (None, value.get("cookie")):
            continue
        if key.startswith(_FENCE):
            at, by, n, keep = (value.get(name) for name in ("at", "by", "n", "keep"))
            if _is_number(at) and isinstance(by, str) and _is_number(n):
                kept = token.record_id(keep) if isinstance(keep, str) else None
                fences.append(Fence(key, clamped(at), by, n, kept))
            continue
        id, signed_in = token.record_id(key), value.get("in")
        if id is not None and _is_number(signed_in):
            rank = value.get("rank")
            rank = clamped(rank if _is_number(rank) else signed_in)
            # Left out, a garbled one would outlive a sign-out everywhere.
            entries[id] = Entry(id, clamped(signed_in), rank, value)
    return Listing(entries, fences)


def _update(user: str, change: Mapping[str, JSON], now: float, until: float) -> Update:
    return Update(
        id_of(user), change, expires=until, limit=LIMIT, or_create=blank(user, now, until)
    )


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) is float or type(value) is int
