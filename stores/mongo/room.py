"""How the server refuses to let a record grow past its limit, in the update itself.

A document's `room` is one number in an array, and every update that is limited adds to it the bytes
that it sets. It begins so near to the largest number there is that the addition fails when more is
set than was left: the server refuses the whole update, as it does where `room` is missing. Then the
store measures the record, and either refuses the update for good or sends it once more, with room
measured anew. What an update replaces or removes is counted when the record is measured.

A condition in the filter would say the same at twice the cost for the server, which finds a
document by `_id` alone much faster than by anything more.
"""

from __future__ import annotations

from collections.abc import Mapping

from bson import Int64

from stores.contract import JSON
from stores.json_text import size_of

_FULL = 2**63 - 1

GRANT = 8 * 1024
"""Bytes that a new record may reach before it is measured; a lower limit is always measured."""

PATH = "room.$[]"
"""For `$inc`, which fails where there is no array."""


def room(left: int) -> list[int]:
    """Return a document's `room` with so many bytes *left*."""
    return [Int64(_FULL - max(left, 0))]


def room_of_new(data: Mapping[str, JSON]) -> list[int]:
    """Return the `room` of a new record, whose limit nobody has named yet."""
    return room(GRANT - size_of(data))
