"""Telling of records that cannot be read, or do not open: each is one client's, and a fault."""

from __future__ import annotations

import logging

from app.sessions import token
from app.sessions.events import EventKind, Events
from stores.contract import Unopened

log = logging.getLogger(__name__)

MAX_TOLD = 10_000
"""Records that are told of, each once."""


class UnreadableRecords:
    """Those of one store that a manager has met."""

    def __init__(self, store: str, events: Events) -> None:
        self._store = store
        self._events = events
        self._told: set[bytes] = set()

    def tell(self, id: bytes, reason: str) -> None:
        """Tell that record *id* cannot be read, and why; once."""
        if self._is_new(id):
            log.error(
                "store %s: the session %s cannot be read and counts as unknown: %s",
                *(self._store, token.public_id(id), reason),
            )
            self._events.tell(EventKind.UNREADABLE, id)

    def tell_unopened(self, id: bytes, error: Unopened) -> None:
        """Tell that the values of record *id* do not open, and why; once."""
        if self._is_new(id):
            log.error(
                "store %s: the session %s does not open, and is answered 503: %s",
                *(self._store, token.public_id(id), error),
            )
            self._events.tell(EventKind.UNOPENED, id, error.record.user)

    def _is_new(self, id: bytes) -> bool:
        if id in self._told or len(self._told) >= MAX_TOLD:
            return False
        self._told.add(id)
        return True
