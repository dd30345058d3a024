"""Ending the sessions whose tokens a request presents."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from hmac import compare_digest

from app.sessions import user_record
from app.sessions.endings import Endings
from app.sessions.errors import SessionUnavailable
from app.sessions.events import EventKind, Events
from app.sessions.gateway import Gateway
from app.sessions.recognition import CURRENT, REPLACED, UNKNOWN, Standing
from app.sessions.rotation import Undoer
from app.sessions.timeouts import Timeouts
from stores.contract import Change, Delete, Record


class Closer:
    """Ends sessions of one manager. Its methods raise `SessionUnavailable`."""

    def __init__(
        self,
        gateway: Gateway,
        undoer: Undoer,
        timeouts: Timeouts,
        endings: Endings,
        events: Events,
        clock: Callable[[], float],
    ) -> None:
        self._gateway = gateway
        self._undoer = undoer
        self._timeouts = timeouts
        self._endings = endings
        self._events = events
        self._clock = clock

    async def standings(
        self, records: Sequence[Record], late: bool, since: float | None = None
    ) -> list[Standing]:
        """Return what the tokens of *records*, found current before, are if it is *late* now."""
        if not records or not late:
            return [CURRENT] * len(records)
        ids, hashes = [r.id for r in records], [r.secret_hash for r in records]
        found = await self._undoer.load_each(ids, hashes, since)
        now = self._clock()
        return [
            UNKNOWN
            if there is None or not self._timeouts.is_alive(there, now)
            else CURRENT
            if compare_digest(there.secret_hash, record.secret_hash)
            else REPLACED
            for record, there in zip(records, found, strict=True)
        ]

    async def end(
        self, records: Sequence[Record], standings: Sequence[Standing], since: float
    ) -> None:
        """Delete those of *records* whose token is current.

        They leave their users' lists afterwards: whatever fails, none lives that is not listed.
        """
        ending = [r for r, s in zip(records, standings, strict=True) if s is CURRENT]
        await self._gateway.write_all([Delete(record.id) for record in ending], since)
        leaves: list[Change] = []
        for record in ending:
            self._endings.tell(record.id)
            self._events.tell(EventKind.SIGNED_OUT, record.id, record.user)
            if record.user is not None:
                leaves.append(user_record.leave(record.user, (record.id,)))
        with contextlib.suppress(SessionUnavailable):  # a list may have what ended
            await self._gateway.write_all(leaves, since)
