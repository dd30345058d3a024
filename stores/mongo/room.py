"""How the server refuses to let a record grow past its limit, in the update itself.

A document's `room` is one number in an array, under the name of the limit that it was measured
with: `{l131072: [NumberLong]}`. Every update that is limited adds to it the bytes that it sets. It
begins so near to the largest number there is that the addition fails when more is set than was
left: the server refuses the whole update, as it does where there is no room under its limit. Then
the store measures the record, and either refuses the update for good or sends it once more, with
room measured anew. What an update replaces or removes is counted when the record is measured.

A condition in the filter would say the same at twice the cost for the server, which finds a
document by `_id` alone much faster than by anything more.
"""

from __future__ import annotations

from bson import Int64

_FULL = 2**63 - 1

GRANT = 8 * 1024
"""Bytes that a new record may reach before it is measured; a lower limit is always measured."""


def path(limit: int) -> str:
    """Return the path for `$inc`, which fails where there is no array."""
    return f"room.l{limit}.$[]"


def room(limit: int, left: int) -> dict[str, list[int]]:
    """Return a document's `room` with so many bytes *left* under *limit*."""
    return {f"l{limit}": [Int64(_FULL - max(left, 0))]}
