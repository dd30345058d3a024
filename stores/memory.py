"""Sessions in the memory of this process: the default, lost when the process ends."""

from __future__ import annotations

import heapq
import logging
import marshal
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from stores.applying import apply_change
from stores.contract import (
    NO_SECRET,
    Change,
    Count,
    Outcome,
    Page,
    Record,
    Store,
    StoreUnavailable,
    Update,
    check_bound,
)
from stores.cursor import id_after, page_of

log = logging.getLogger(__name__)

OVERHEAD = 300
"""Bytes that a record takes beside its packed form: its key, two object headers, and entries in
two tables, which have room for more."""

NEW, ANONYMOUS, SIGNED_IN, USERS, EMPTY = range(5)
GROUPS = (
    "sessions whose cookie never came back",
    "anonymous sessions",
    "signed-in sessions",
    "users' lists of sessions",
    "users' lists without a session",
)
"""Of each, the least recently used is evicted first. The last goes before all that came back."""

PUBLIC_ID = 22
"""Characters of a session's id in base64url."""

MAX_LOOKS = 4
"""Users' lists that are looked at, for one without a session, before a session is evicted."""

SHARE_OF_NEW = 10
"""A tenth of the places and bytes is kept for the first group: else nobody could begin a session in
a store that is full of the others."""


class MemoryStore(Store):
    """Keeps at most *max_sessions* records that take at most *max_bytes* of memory.

    When it is full, it evicts sessions whose cookie never came back, then anonymous ones, then
    signed-in ones, each group the least recently used first. A user's list of sessions takes a
    place, too, so that who signs in takes two; it goes when none of these is left, but before those
    that came back if it lists none. Beside anonymous sessions, a tenth of the store stays with the
    first group, and the session that was just written stays. An eviction ends a session early; a
    sign-in that its own batch evicts again is answered as not saved. The log tells of the first one
    of each group, and of each thousandth. A record that alone takes more than *max_bytes* is
    refused as too large. Raises `ConfigurationError` for a bound that keeps nothing.

    What reads a record counts as its cookie that came back; the store cannot tell whether the
    secret was right.
    """

    timeout = None
    shared = False

    def __init__(self, max_sessions: int = 100_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        check_bound("max_sessions", max_sessions, 2)  # a session, and the list of its user's
        check_bound("max_bytes", max_bytes, 1024)
        self.max_sessions = max_sessions
        self.max_bytes = max_bytes
        # Packed, a record is half as large, and nothing that the garbage collector walks through.
        self._groups: tuple[OrderedDict[bytes, bytes], ...] = tuple(OrderedDict() for _ in GROUPS)
        self._bytes = self._bytes_of_new = 0
        # Ids by the minute in which they expire, so that a sweep looks at expired records only.
        self._by_minute: dict[int, set[bytes]] = {}
        self._evicted = [0] * len(GROUPS)
        self._evicted_now: set[bytes] = set()  # signed-in sessions, by the write that runs
        self._on_evict: set[Callable[[Record], None]] = set()

    @property
    def name(self) -> str:
        return "memory"

    @property
    def on_evict(self) -> set[Callable[[Record], None]]:
        return self._on_evict

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    @property
    def size(self) -> int:
        """Bytes that the records take, as far as can be told cheaply."""
        return self._bytes

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ping(self) -> None:
        pass

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
        found = {}
        for id in ids:
            for group in self._groups:
                packed = group.get(id)
                if packed is None:
                    continue
                found[id] = record = _unpack(id, packed)
                if group is self._groups[NEW]:  # its cookie came back
                    self._take_out(record, NEW)
                    self._put_in(record, packed, ANONYMOUS)
                else:
                    group.move_to_end(id)
                break
        return found

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        self._evicted_now.clear()
        outcomes: list[Outcome | StoreUnavailable] = [self._apply(change) for change in changes]
        if self._evicted_now:
            for number, change in enumerate(changes):
                if change.id in self._evicted_now and outcomes[number] is Outcome.DONE:
                    outcomes[number] = StoreUnavailable("it is full and evicts what it just wrote")
        return outcomes

    async def sweep(self, now: float, limit: int) -> int:
        removed = 0
        for minute in sorted(m for m in self._by_minute if (m + 1) * 60 <= now):
            ids = self._by_minute[minute]
            # By pop(): an iterator would pass, each time anew, over the places of all that went.
            while ids and removed < limit:
                id = ids.pop()
                self._remove(id, next(n for n, group in enumerate(self._groups) if id in group))
                removed += 1
            if ids:
                break
            del self._by_minute[minute]
        return removed

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        behind = id_after(after)
        # Not by load(), whose records count as used.
        ids = heapq.nsmallest(limit, (id for group in self._groups for id in group if id > behind))
        packed = {id: next(g[id] for g in self._groups if id in g) for id in ids}
        return page_of({id: _unpack(id, each) for id, each in packed.items()}, limit)

    async def count(self, *, exact: bool = False) -> Count:
        return Count(len(self), True)

    def _apply(self, change: Change) -> Outcome:
        id = change.id
        number = before = None
        for each, group in enumerate(self._groups):
            if id in group:
                number, before = each, _unpack(id, group[id])
                break
        outcome, after = apply_change(before, change)
        if after is before:
            return outcome
        packed = b"" if after is None else _pack(after)
        grows = before is None or (isinstance(change, Update) and change.set)
        if grows and len(packed) + OVERHEAD > self.max_bytes:
            return Outcome.TOO_LARGE
        target = None if after is None else _group_of(after, is_new=before is None)
        if before is not None and number is not None:
            if after is not None and number == target and after.expires == before.expires:
                # In its place: with its key, which is shared, and without a longer table.
                self._resize(number, len(packed) - len(self._groups[number][id]))
                self._groups[number][id] = packed
                self._groups[number].move_to_end(id)
                target = None
            else:
                self._take_out(before, number)
        if after is not None and target is not None:
            self._put_in(after, packed, target)
        if self._bytes > self.max_bytes or len(self) > self.max_sessions:
            self._evict(id)
        return outcome

    def _put_in(self, record: Record, packed: bytes, number: int) -> None:
        """Put a record into a group, and its id, which is one object for both, by its minute."""
        self._groups[number][record.id] = packed
        self._resize(number, len(packed) + OVERHEAD)
        self._by_minute.setdefault(int(record.expires // 60), set()).add(record.id)

    def _take_out(self, record: Record, number: int) -> None:
        self._remove(record.id, number)
        self._forget_expiry(record)

    def _remove(self, id: bytes, number: int) -> bytes:
        packed = self._groups[number].pop(id)
        self._resize(number, -len(packed) - OVERHEAD)
        return packed

    def _resize(self, number: int, bytes: int) -> None:
        self._bytes += bytes
        if number == NEW:
            self._bytes_of_new += bytes

    def _forget_expiry(self, record: Record) -> None:
        minute = int(record.expires // 60)
        ids = self._by_minute[minute]
        ids.remove(record.id)
        if not ids:
            del self._by_minute[minute]

    def _evict(self, written: bytes) -> None:
        """Remove what is over the bounds, but not the session that was just *written*."""
        while len(self) > self.max_sessions or self._bytes > self.max_bytes:
            number = self._next_group(written)
            if number is None:
                break
            if number not in (NEW, EMPTY) and self._lists_nothing(written):
                number = USERS
            group = self._groups[number]
            id = next(iter(group))
            record = _unpack(id, self._remove(id, number))
            self._forget_expiry(record)
            if self._evicted[number] % 1000 == 0:
                log.warning(
                    "the memory store is full (%d sessions, %d users' lists, %d kB): it evicts %s; "
                    "%d of them so far",
                    sum(map(len, self._groups[:USERS])),
                    len(self._groups[USERS]) + len(self._groups[EMPTY]),
                    self._bytes // 1000,
                    GROUPS[number],
                    self._evicted[number] + 1,
                )
            self._evicted[number] += 1
            if number < USERS:
                if number == SIGNED_IN:
                    self._evicted_now.add(id)
                for tell in self._on_evict:
                    tell(record)

    def _lists_nothing(self, written: bytes) -> bool:
        """Tell whether the first of the users' lists has no session that is here.

        A few are looked at; those that have one go behind the others.
        """
        users = self._groups[USERS]
        for _ in range(min(MAX_LOOKS, len(users))):
            id = next(iter(users))
            if id != written and not any(map(self._keeps, _unpack(id, users[id]).data)):
                return True
            users.move_to_end(id)
        return False

    def _keeps(self, key: str) -> bool:
        """Tell whether *key* of a user's record is that of a session that is here."""
        if not _is_id(key):
            return False
        id = urlsafe_b64decode(key + "==")
        return any(id in group for group in self._groups)

    def _next_group(self, written: bytes) -> int | None:
        """Return the group that loses a session; `None` if there is no other than *written*."""
        keeps_new = (
            len(self._groups[NEW]) <= self.max_sessions // SHARE_OF_NEW
            and self._bytes_of_new <= self.max_bytes // SHARE_OF_NEW
        )
        first = (EMPTY, ANONYMOUS, NEW) if keeps_new else (NEW, EMPTY, ANONYMOUS)
        for number in (*first, SIGNED_IN, USERS):
            # What was just written is the last of its group. Newcomers sign nobody out.
            if group := self._groups[number]:
                is_only_newcomer = number == NEW and not self._groups[ANONYMOUS]
                if is_only_newcomer or next(iter(group)) != written:
                    return number
        return None


def _group_of(record: Record, *, is_new: bool) -> int:
    if record.secret_hash == NO_SECRET:
        return USERS if any(map(_is_id, record.data)) else EMPTY
    return SIGNED_IN if record.user is not None else NEW if is_new else ANONYMOUS


def _is_id(key: str) -> bool:
    return len(key) == PUBLIC_ID


def _pack(record: Record) -> bytes:
    return marshal.dumps((*record[1:4], dict(record.data), *record[5:]))


def _unpack(id: bytes, packed: bytes) -> Record:
    return Record(id, *marshal.loads(packed))  # noqa: S302 - packed in this process
