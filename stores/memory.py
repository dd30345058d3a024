"""Sessions in the memory of this process: the default, lost when the process ends."""

from __future__ import annotations

import logging
import marshal
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from stores.applying import apply_change
from stores.contract import Change, Outcome, Record, Store, check_bound

log = logging.getLogger(__name__)

OVERHEAD = 300
"""Bytes that a record takes beside its packed form: two keys, three entries, two object headers."""

NEW, ANONYMOUS, SIGNED_IN = range(3)
GROUPS = ("sessions whose cookie never came back", "anonymous sessions", "signed-in sessions")
"""What is evicted first, second and last; in each group, the least recently used first."""


class MemoryStore(Store):
    """Keeps at most *max_sessions* records that take at most *max_bytes* of memory.

    When it is full, it evicts sessions whose cookie never came back, then anonymous ones, then
    signed-in ones, each group the least recently used first. An eviction ends a session early. The
    log tells of the first one of each group, and of each thousandth. A record that alone takes more
    than *max_bytes* is refused as too large. Raises `ConfigurationError` for a bound that keeps
    nothing.
    """

    timeout = None
    shared = False

    def __init__(self, max_sessions: int = 100_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        check_bound("max_sessions", max_sessions, 1)
        check_bound("max_bytes", max_bytes, 1024)
        self.max_sessions = max_sessions
        self.max_bytes = max_bytes
        # Packed, a record is half as large, and nothing that the garbage collector walks through.
        self._groups: tuple[OrderedDict[bytes, bytes], ...] = tuple(OrderedDict() for _ in GROUPS)
        self._bytes = 0
        # Ids by the minute in which they expire, so that a sweep looks at expired records only.
        self._by_minute: dict[int, set[bytes]] = {}
        self._evicted = [0] * len(GROUPS)

    @property
    def name(self) -> str:
        return "memory"

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
                if group is self._groups[NEW]:  # its cookie came back
                    del group[id]
                    self._groups[ANONYMOUS][id] = packed
                else:
                    group.move_to_end(id)
                found[id] = _unpack(id, packed)
                break
        return found

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        return [self._apply(change) for change in changes]

    async def sweep(self, now: float, limit: int) -> int:
        removed = 0
        for minute in sorted(m for m in self._by_minute if (m + 1) * 60 <= now):
            ids = self._by_minute[minute]
            # By pop(): an iterator would pass, each time anew, over the places of all that went.
            while ids and removed < limit:
                self._drop(ids.pop())
                removed += 1
            if ids:
                break
            del self._by_minute[minute]
        return removed

    def _apply(self, change: Change) -> Outcome:
        id = change.id
        group = next((group for group in self._groups if id in group), None)
        before = None if group is None else _unpack(id, group[id])
        outcome, after = apply_change(before, change)
        if after is before:
            return outcome
        packed = b"" if after is None else _pack(after)
        if len(packed) + OVERHEAD > self.max_bytes:  # all others would go, and then this one
            return Outcome.TOO_LARGE
        if group is not None:
            self._bytes -= len(group.pop(id)) + OVERHEAD
        if before is not None and (after is None or after.expires != before.expires):
            self._forget_expiry(before)
        if after is not None:
            if before is None or after.expires != before.expires:
                self._note_expiry(after)
            number = SIGNED_IN if after.user is not None else NEW if before is None else ANONYMOUS
            self._groups[number][id] = packed
            self._bytes += len(packed) + OVERHEAD
            self._evict()
        return outcome

    def _drop(self, id: bytes) -> bytes:
        for group in self._groups:
            packed = group.pop(id, None)
            if packed is not None:
                self._bytes -= len(packed) + OVERHEAD
                return packed
        raise KeyError(id)

    def _note_expiry(self, record: Record) -> None:
        self._by_minute.setdefault(int(record.expires // 60), set()).add(record.id)

    def _forget_expiry(self, record: Record) -> None:
        minute = int(record.expires // 60)
        ids = self._by_minute[minute]
        ids.remove(record.id)
        if not ids:
            del self._by_minute[minute]

    def _evict(self) -> None:
        """Remove what is over the bounds."""
        while len(self) > self.max_sessions or self._bytes > self.max_bytes:
            number = next(i for i, group in enumerate(self._groups) if group)
            id = next(iter(self._groups[number]))
            self._forget_expiry(_unpack(id, self._drop(id)))
            if self._evicted[number] % 1000 == 0:
                log.warning(
                    "the memory store is full (%d sessions, %d kB): it evicts %s; "
                    "%d of them so far",
                    len(self),
                    self._bytes // 1000,
                    GROUPS[number],
                    self._evicted[number] + 1,
                )
            self._evicted[number] += 1


def _pack(record: Record) -> bytes:
    return marshal.dumps((*record[1:4], dict(record.data), *record[5:]))


def _unpack(id: bytes, packed: bytes) -> Record:
    return Record(id, *marshal.loads(packed))  # noqa: S302 - packed in this process
