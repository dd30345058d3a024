"""Updates that expect values: the inner store knows these by their sealed text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stores.applying import has_values
from stores.contract import Outcome, Record, StoreUnavailable, Unreadable, Update
from stores.json_text import NOT_JSON

if TYPE_CHECKING:
    from stores.encrypted.store import EncryptedStore

MAX_LOOKS = 100
"""Looks at a record that others keep changing; the deadline usually comes first."""


async def write_expecting(store: EncryptedStore, change: Update) -> Outcome | StoreUnavailable:
    """Apply *change* to the inner store, which is to find the sealed text that was just read.

    Two texts of one value differ, so the text says that nobody has written meanwhile.
    """
    before = None
    for _ in range(MAX_LOOKS):
        kept = (await store.inner.load([change.id])).get(change.id)
        if kept is None and change.or_create is None:
            return Outcome.MISSING
        found = change.or_create if kept is None else store.opened(change.id, kept)
        if isinstance(found, StoreUnavailable):
            return found
        if isinstance(found, Unreadable):
            return StoreUnavailable(f"the record cannot be read: {found.reason}")
        try:
            if found is None or not has_values(found, change.expected):
                return Outcome.CONFLICT
            sealed = store.sealed(change)
        except NOT_JSON:
            return StoreUnavailable("its data is not JSON")
        if not isinstance(sealed, Update):
            return Outcome.TOO_LARGE
        texts = sealed.or_create if kept is None else kept
        assert isinstance(texts, Record)
        expected = {key: texts.data[key] for key in change.expected}
        if expected == before:  # so it is the rotation that expects something else
            return Outcome.CONFLICT
        (outcome,) = await store.inner.write([sealed._replace(expected=expected)])
        if outcome is not Outcome.CONFLICT:
            return outcome
        before = expected
    return StoreUnavailable("a record changed whenever it was to be changed")
