"""Sessions in the memory of this process. They end with the process."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import assert_never

from stores.contract import (
    Change,
    ConfigurationError,
    Create,
    Delete,
    Outcome,
    Record,
    Store,
    Update,
)

log = logging.getLogger(__name__)


class MemoryStore(Store):
    """Keeps at most *max_sessions* records; a full store evicts the least recently used one.

    An eviction signs a user out early, so the log has a warning (at the first eviction, then at
    every thousandth). Raises `ConfigurationError` when *max_sessions* is less than 1.
    """

    timeout = None
    shared = False

    def __init__(self, max_sessions: int = 100_000) -> None:
        if max_sessions < 1:
            raise ConfigurationError(f"max_sessions is {max_sessions}; it must be at least 1")
        self.max_sessions = max_sessions
        self._records: OrderedDict[bytes, Record] = OrderedDict()
        # Ids by the minute in which they expire, so that a sweep visits expired records only.
        self._by_minute: dict[int, set[bytes]] = {}
        self._evictions = 0

    @property
    def name(self) -> str:
        return "memory:"

    def __len__(self) -> int:
        return len(self._records)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ping(self) -> None:
        pass

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
        found = {}
        for id in ids:
            record = self._records.get(id)
            if record is not None:
                self._records.move_to_end(id)
                found[id] = record
        return found

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        return [self._apply(change) for change in changes]

    async def sweep(self, now: float, limit: int) -> int:
        removed = 0
        for minute in sorted(m for m in self._by_minute if (m + 1) * 60 <= now):
            ids = self._by_minute[minute]
            # Not by an iterator: each new one would pass over the empty places of removed ids.
            while ids and removed < limit:
                del self._records[ids.pop()]
                removed += 1
            if ids:
                break
            del self._by_minute[minute]
        return removed

    def _apply(self, change: Change) -> Outcome:
        match change:
            case Update():
                return self._update(change)
            case Create(record):
                if record.id in self._records:
                    return Outcome.EXISTS
                self._records[record.id] = record
                self._note_expiry(record)
                self._evict()
                return Outcome.DONE
            case Delete(id):
                if id in self._records:
                    self._remove(id)
                return Outcome.DONE
            case _:
                assert_never(change)

    def _update(self, change: Update) -> Outcome:
        record = self._records.get(change.id)
        if record is None:
            return Outcome.MISSING
        rotation = change.rotation
        if rotation is not None and rotation.expected_hash != record.secret_hash:
            return Outcome.CONFLICT
        changed = change.applied_to(record)
        if changed.expires != record.expires:
            self._forget_expiry(record)
            self._note_expiry(changed)
        self._records[change.id] = changed
        self._records.move_to_end(change.id)
        return Outcome.DONE

    def _remove(self, id: bytes) -> None:
        self._forget_expiry(self._records.pop(id))

    def _note_expiry(self, record: Record) -> None:
        self._by_minute.setdefault(int(record.expires // 60), set()).add(record.id)

    def _forget_expiry(self, record: Record) -> None:
        minute = int(record.expires // 60)
        ids = self._by_minute[minute]
        ids.remove(record.id)
        if not ids:
            del self._by_minute[minute]

    def _evict(self) -> None:
        while len(self._records) > self.max_sessions:
            self._remove(next(iter(self._records)))
            if self._evictions % 1000 == 0:
                log.warning(
                    "the memory store is full (%d sessions) and evicts the least recently used; "
                    "%d were evicted before",
                    self.max_sessions,
                    self._evictions,
                )
            self._evictions += 1
