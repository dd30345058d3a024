"""The mark that an ended session leaves in the new store, so that nothing brings it back.

It stands in the place of the record, under the same id. Who copies a record there finds the id
taken, and who knows nothing of marks finds a record that no token opens.
"""

from __future__ import annotations

import time
from hashlib import sha256

from stores.applying import apply_change
from stores.contract import ENDED, Outcome, Record, Rotation, Unreadable, Update

MARGIN = 3600.0
"""Seconds by which a mark outlives the record, for those whose clocks are behind."""

OF_UNREADABLE = 400 * 86400.0
"""Seconds for which the mark of a record is kept that cannot be read, nor its expiry."""


def is_mark(answer: object) -> bool:
    """Tell whether what a store returned is the mark of an ended session."""
    return isinstance(answer, Record) and answer.secret_hash == ENDED


def mark_of(id: bytes, record: Record | Unreadable) -> Record:
    """Return the mark to create for a session that only the old store has."""
    now = time.time()
    if isinstance(record, Unreadable):
        return Record(id, ENDED, now, now + OF_UNREADABLE, {}, None, False)
    return Record(id, ENDED, record.created, record.expires + MARGIN, {}, None, False)


def ending(record: Record) -> Update:
    """Return what makes a mark of *record* in one step, if its token is still the same."""
    return Update(
        record.id,
        unset=list(record.data),
        expires=record.expires + MARGIN,
        rotation=Rotation(record.secret_hash, ENDED, time.time(), None, False),
    )


def beginning_anew(mark: Record, update: Update) -> Update | Outcome:
    """Return what makes of *mark* the record that *update* creates, or why it creates none.

    A user's record may be removed and begun again under its id, which is no session's. Its times of
    creation and expiry are the mark's then, if these are later.
    """
    outcome, record = apply_change(None, update)
    if record is None:
        return outcome
    return Update(
        record.id,
        record.data,
        [key for key in mark.data if key not in record.data],
        record.expires,
        Rotation(
            ENDED,
            record.secret_hash,
            time.time() if record.rotated is None else record.rotated,
            record.user,
            record.persistent,
            authenticated=record.authenticated,
        ),
        record.seen,
        update.limit,
        uncounted=update.uncounted,
    )


# A call is a mark, too, under an id of its own. It is there while a session is moved.

CALLED_FOR = 3600.0
"""Seconds after which the call of a process that died is gone."""


def id_of_call(id: bytes) -> bytes:
    """Return the id of the call for the record of *id*."""
    return sha256(b"moving\0" + id).digest()[:16]


def call_for(id: bytes) -> Update:
    """Return what calls for the record of *id*, be it called for already."""
    now = time.time()
    call = Record(id_of_call(id), ENDED, now, now + CALLED_FOR, {}, None, False)
    return Update(call.id, expires=call.expires, or_create=call)
