"""Two versions of one record, brought together in the new store."""

from __future__ import annotations

from stores.contract import Record, Update


def what_it_lacks(there: Record, other: Record) -> Update | None:
    """Return what brings to *there* all that another version of a user's record has.

    Each key is a session's or a fence's. One that was removed from *there* may come back by this:
    it names a session that has ended, which readers notice.
    """
    lacking = {key: value for key, value in other.data.items() if key not in there.data}
    if not lacking and other.expires <= there.expires:
        return None
    return Update(there.id, lacking, expires=other.expires)
