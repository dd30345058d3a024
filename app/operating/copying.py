"""Copying sessions from one store to another, while both may be in use.

What the target has stays as it is, so that a second run is cheap and overwrites nothing. A session
that ended is not brought back: its mark in the target holds its place, and what ended in the source
while it was copied ends in the target as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app.operating.walk import PAUSE, TRIES
from app.sessions import user_record
from app.sessions.errors import SessionUnavailable
from app.sessions.manager import SessionManager
from app.sessions.records import Found
from stores.contract import ENDED, NO_SECRET, Change, Create, Outcome, Record, Unopened
from stores.moving_mark import ending

EARLY = 60.0
"""Seconds by which a server may remove a record before its time, for its clock is ahead."""

Answer = TypeVar("Answer")


@dataclass
class Tally:
    """What became of the records."""

    copied: int = 0
    """Sessions."""
    lists: int = 0
    """Users' records that were copied, or got what they lacked."""
    there: int = 0
    """What the target had already."""
    ended: int = 0
    expired: int = 0
    refused: dict[bytes, str] = field(default_factory=dict)
    """Why some were not copied, by their ids."""

    def note(self, record: Record) -> None:
        """Count a record that was copied."""
        if record.secret_hash == NO_SECRET:
            self.lists += 1
        else:
            self.copied += 1


class Copier:
    """Copies from *source* to *target*, of which it uses the stores alone.

    *is_alive* tells whether a session is to be copied at that Unix time.
    """

    def __init__(
        self,
        source: SessionManager,
        target: SessionManager,
        is_alive: Callable[[Record, float], bool],
    ) -> None:
        self._source = source
        self._target = target
        self._is_alive = is_alive
        self.tally = Tally()

    async def copy(self, page: Mapping[bytes, Found]) -> None:
        """Copy these records. Raises `SessionUnavailable`; what was copied by then stays."""
        live = self._live(page)
        load = self._target.records.load
        there = await self._tried(lambda: load([record.id for record in live])) if live else {}
        changes: list[Change] = []
        for record in live:
            change = self._change(record, there.get(record.id))
            if change is not None:
                changes.append(change)
        if not changes:
            return
        for change, answer in zip(changes, await self._write(changes), strict=True):
            if answer is Outcome.DONE and isinstance(change, Create):
                self.tally.note(change.record)
            elif answer is Outcome.DONE:
                self.tally.lists += 1
            elif answer in (Outcome.EXISTS, Outcome.MISSING):
                self.tally.there += 1
            else:
                what = answer.what if isinstance(answer, SessionUnavailable) else answer.value
                self.tally.refused[change.id] = f"the target refused it: {what}"
        await self._end_what_ended([c.record for c in changes if isinstance(c, Create)])

    def _live(self, page: Mapping[bytes, Found]) -> list[Record]:
        now = self._source.clock()
        live = []
        for id, record in page.items():
            if not isinstance(record, Record):
                what = record if isinstance(record, Unopened) else record.reason
                self.tally.refused[id] = f"it cannot be read: {what}"
            elif record.secret_hash == NO_SECRET and now < record.expires:
                live.append(record)
            elif record.secret_hash == ENDED:
                self.tally.ended += 1
            elif record.secret_hash != NO_SECRET and self._is_alive(record, now):
                live.append(record)
            else:
                self.tally.expired += 1
        return live

    def _change(self, record: Record, there: Found | None) -> Change | None:
        """Return what brings *record* to the target; `None`, and count it, for nothing."""
        if there is None:
            return Create(record)
        if isinstance(there, Record):
            if there.secret_hash == ENDED:
                self.tally.ended += 1
                return None
            if there.secret_hash == record.secret_hash == NO_SECRET:
                lacking = user_record.rejoin(there, record)
                if lacking is not None:
                    return lacking
        self.tally.there += 1
        return None

    async def _end_what_ended(self, created: Sequence[Record]) -> None:
        """End in the target what a process ended in the source alone, since it was read there."""
        if not created:
            return
        now = self._source.clock()
        load = self._source.records.load
        left = await self._tried(lambda: load([record.id for record in created]))
        gone = [r for r in created if r.id not in left and now + EARLY < r.expires]
        # Where the token is another one by now, the target's session is its own.
        answers = await self._write([ending(record) for record in gone])
        ended = answers.count(Outcome.DONE)
        self.tally.ended += ended
        self.tally.copied -= ended

    async def _write(self, changes: Sequence[Change]) -> list[Outcome | SessionUnavailable]:
        """Write *changes*, in smaller steps where that fails; one alone may fail in the end."""
        if not changes:
            return []
        try:
            return [*await self._target.records.write(changes)]
        except SessionUnavailable as error:
            await self._tried(self._target.ping)  # else nothing can be written
            if len(changes) == 1:
                return [error]
        half = len(changes) // 2
        return [*await self._write(changes[:half]), *await self._write(changes[half:])]

    async def _tried(self, operation: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what *operation* returns, which a moment's trouble of a store does not end."""
        for failed in range(TRIES - 1):
            try:
                return await operation()
            except SessionUnavailable:
                await asyncio.sleep(PAUSE * 2**failed)
        return await operation()
