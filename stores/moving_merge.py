"""Two versions of one record, brought together in the new store."""

from __future__ import annotations

from stores.contract import Record, Update

NOBODY = bytes(32)
"""The `secret_hash` of a record that is a user's and no session: the list of his sessions."""


def what_it_lacks(there: Record, other: Record) -> Update | None:
    """Return what *there* lacks of a user's record, of which *other* is another version.

    Each key is a session's or a fence's, and none is ever changed. One that was removed from
    *there* may come back by this: it names a session that has ended, which readers notice.
    """
    lacking = {key: value for key, value in other.data.items() if key not in there.data}
    if not lacking and other.expires <= there.expires:
        return None
    return Update(there.id, lacking, expires=other.expires)
