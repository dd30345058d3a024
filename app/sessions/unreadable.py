"""Telling of records that cannot be read, or do not open: each is one client's, and a fault."""

from __future__ import annotations

import logging

from app.sessions import token
from app.sessions.counters import Calls
from app.sessions.events import SESSION, EventKind, Events
from app.sessions.failures import wrong
from app.sessions.soundness import flaw_of, is_sound
from stores.contract import NO_SECRET, Record, Store, Unopened, Unreadable

log = logging.getLogger(__name__)

MAX_TOLD = 10_000
"""Records that are told of, each once."""

LIST = "list of a user's sessions"


class UnreadableRecords:
    """Those of one store that a manager has met."""

    def __init__(self, store: Store, events: Events, calls: Calls) -> None:
        self._store = store
        self._events = events
        self._calls = calls
        self._told: dict[bytes, EventKind] = {}

    def __contains__(self, id: bytes) -> bool:
        """Tell whether record *id* was told of as one that cannot be read."""
        return self._told.get(id) is EventKind.UNREADABLE

    def resolve(self, id: bytes, answer: object) -> Record | None:
        """Return what was found; tell of a record that cannot be read, once.

        Raises what a part of the store failed with.
        """
        if answer is None:
            return answer
        if isinstance(answer, Record):
            if is_sound(id, answer):
                return answer
            self._tell(id, flaw_of(answer), _noun(answer))
            return None
        if isinstance(answer, Unopened):
            self._tell_unopened(id, answer)
        if not isinstance(answer, Unreadable):
            raise wrong(self._store, "load()", answer, "a Record", self._calls)
        self._tell(id, answer.reason)
        return None

    def _tell(self, id: bytes, reason: str, noun: str = SESSION) -> None:
        """Tell that record *id* cannot be read, and why; once."""
        if self._is_new(id, EventKind.UNREADABLE):
            log.error(
                "store %s: the %s %s cannot be read and counts as unknown: %s",
                *(self._store.name, noun, token.public_id(id), reason),
            )
            self._events.tell(EventKind.UNREADABLE, id, noun=noun)

    def _tell_unopened(self, id: bytes, error: Unopened) -> None:
        """Tell that the values of record *id* do not open, and why; once."""
        if self._is_new(id, EventKind.UNOPENED):
            noun = _noun(error.record)
            log.error(
                "store %s: the %s %s does not open, and is answered 503: %s",
                *(self._store.name, noun, token.public_id(id), error),
            )
            self._events.tell(EventKind.UNOPENED, id, error.record.user, noun=noun)

    def _is_new(self, id: bytes, kind: EventKind) -> bool:
        if id in self._told or len(self._told) >= MAX_TOLD:
            return False
        self._told[id] = kind
        return True


def _noun(record: Record) -> str:
    """Return what the log calls *record*."""
    return LIST if record.secret_hash == NO_SECRET else SESSION
