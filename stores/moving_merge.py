"""Two versions of one record, brought together in the new store."""

from __future__ import annotations

from collections.abc import Mapping

from stores.contract import JSON, Record, Rotation, Update
from stores.json_text import encode

NOBODY = bytes(32)
"""The `secret_hash` of a record that is a user's and no session: the list of his sessions."""


def same_version(a: Record, b: Record) -> bool:
    """Tell whether two answers of one store are the same version of a record."""
    return a._replace(data={}) == b._replace(data={}) and _same_data(a.data, b.data)


def what_it_lacks(there: Record, other: Record) -> Update | None:
    """Return what *there* lacks of a user's record, of which *other* is another version.

    Each key is a session's or a fence's, and none is ever changed. One that was removed from
    *there* may come back by this: it names a session that has ended, which readers notice.
    """
    lacking = {key: value for key, value in other.data.items() if key not in there.data}
    if not lacking and other.expires <= there.expires:
        return None
    return Update(there.id, lacking, expires=other.expires)


def changed_meanwhile(before: Record | None, now: Record, there: Record) -> list[Update]:
    """Return what brings to *there* what the old store's record has become since *before*.

    What somebody has changed *there* as well stays as it is.
    """
    was: Mapping[str, JSON] = {} if before is None else before.data
    untouched = {
        key
        for key in {*was, *now.data}
        if not _same_value(was, now.data, key) and _same_value(was, there.data, key)
    }
    updates = [
        Update(
            there.id,
            {key: now.data[key] for key in untouched if key in now.data},
            [key for key in untouched if key not in now.data],
            now.expires,
            seen=now.seen,
        )
    ]
    if before is not None and now.secret_hash != before.secret_hash and now.rotated is not None:
        rotation = Rotation(
            before.secret_hash,
            now.secret_hash,
            now.rotated,
            now.user,
            now.persistent,
            authenticated=now.authenticated,
        )
        updates.append(Update(there.id, rotation=rotation))
    return updates


def _same_data(a: Mapping[str, JSON], b: Mapping[str, JSON]) -> bool:
    return a.keys() == b.keys() and all(_same_value(a, b, key) for key in a)


def _same_value(a: Mapping[str, JSON], b: Mapping[str, JSON], key: str) -> bool:
    # As text: 1, 1.0 and True are three values, and equal.
    if key not in a or key not in b:
        return key not in a and key not in b
    return encode(a[key]) == encode(b[key])
