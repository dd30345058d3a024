"""Telling of records that cannot be read: each is one client's unknown token, and a fault."""

from __future__ import annotations

import logging

from app.sessions import token
from app.sessions.events import EventKind, Events

log = logging.getLogger(__name__)

MAX_TOLD = 10_000
"""Unreadable records that are told of, each once."""


class UnreadableRecords:
    """Those of one store that a manager has met."""

    def __init__(self, store: str, events: Events) -> None:
        self._store = store
        self._events = events
        self._told: set[bytes] = set()

    def tell(self, id: bytes, reason: str) -> None:
        """Tell that record *id* cannot be read, and why; once."""
        if id in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add(id)
        log.error(
            "store %s: the session %s cannot be read and counts as unknown: %s",
            *(self._store, token.public_id(id), reason),
        )
        self._events.tell(EventKind.UNREADABLE, id)
