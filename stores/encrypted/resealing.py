"""Sealing with the newest key what an older one sealed, or none, while the service writes.

A value that a request writes meanwhile must stay. So each value is replaced on condition that the
store still has the very text that was read. A nonce is never the same twice: where the text is the
same, nobody has written. Where it is not, the writer sealed with the key of its time, and the
record is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stores.contract import (
    MAX_DATA,
    Outcome,
    Record,
    Resealed,
    StoreUnavailable,
    Unreadable,
    Update,
)
from stores.encrypted.sealing import CannotOpen

if TYPE_CHECKING:
    from stores.encrypted.store import EncryptedStore

MAX_LOOKS = 20
"""Looks at a record that requests keep changing; the next run finds what is left of it."""


async def reseal(store: EncryptedStore, after: str | None, limit: int) -> Resealed:
    """Do one step; raise `StoreUnavailable` when it is to be done again, which does no harm."""
    page = await store.inner.scan(after, limit)
    left: dict[bytes, str] = {}
    pending = _stale(store, page.found.items(), left)
    changed = 0
    for _ in range(MAX_LOOKS):
        if not pending:
            break
        outcomes = await store.inner.write(pending)
        again = []
        for update, outcome in zip(pending, outcomes, strict=True):
            if outcome is Outcome.DONE:
                changed += 1
            elif outcome is Outcome.CONFLICT:
                again.append(update.id)
            elif outcome is Outcome.TOO_LARGE:
                left[update.id] = f"sealed, its values would take more than {MAX_DATA} bytes"
            elif isinstance(outcome, StoreUnavailable):
                left[update.id] = str(outcome)
        found = await store.inner.load(again) if again else {}
        pending = _stale(store, found.items(), left)
    left.update((update.id, "requests keep changing it") for update in pending)
    key = store.keys.seals
    return Resealed(page.after, page.anew, key, len(page.found), changed, left)


def _stale(
    store: EncryptedStore,
    found: Iterable[tuple[bytes, Record | Unreadable | StoreUnavailable]],
    left: dict[bytes, str],
) -> list[Update]:
    """Return an update for each record that has values which the newest key did not seal."""
    updates = []
    for id, record in found:
        if isinstance(record, Unreadable):
            left[id] = record.reason
        elif isinstance(record, StoreUnavailable):
            left[id] = str(record)
        else:
            data = record.data
            stale = {key: data[key] for key in data if not store.sealer.is_current(data[key])}
            if not stale:
                continue
            try:
                values = store.sealer.seal(id, store.sealer.open(id, stale))
            except CannotOpen as error:
                left[id] = str(error)
            else:
                updates.append(Update(id, values, limit=MAX_DATA, expected=stale))
    return updates
