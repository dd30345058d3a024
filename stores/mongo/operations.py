"""Changes as MongoDB's write operations.

An update that finds no document, or not the state that it expects, is refused with an error of its
own: it is sent as an upsert that the server cannot insert. MongoDB would only tell how many of a
batch it has applied, and what is read afterwards may have changed since.
"""

from __future__ import annotations

from typing import Any

import bson
from pymongo import DeleteOne, InsertOne, UpdateOne

from stores.contract import NEVER_ROTATED, Change, Create, Record, StoreUnavailable, Update
from stores.json_text import size_of
from stores.mongo import room
from stores.mongo.documents import as_stored, date, document, path, to_bson
from stores.mongo.room import GRANT

_NEVER_INSERT = {"_id": None}
"""Another `_id` than the filter's, which the server refuses to insert and ignores in an update."""

DUPLICATE_KEY = 11000

NOT_APPLIED = frozenset({66, 2, 14, 28, DUPLICATE_KEY})
"""The server's codes for an update whose conditions do not hold: ImmutableField, by the upsert that
cannot insert; BadValue, TypeMismatch and PathNotViable, by `room`; and what another process has
begun meanwhile."""

_SURELY_FITS = 2**20
"""Bytes of JSON text that surely fit in a document: as BSON, they take less than ten times that."""

_MAX_DOCUMENT = 16 * 2**20 - 2**16
"""Bytes of BSON that MongoDB takes, less a margin for the fields beside the data."""


def operation(change: Change, limit: int | None) -> Any:
    """Return the ordinary operation for *change*, unless its record is `measured_first`.

    *limit* is the one that updates of a new record will probably have.

    Raises `StoreUnavailable` for what the driver would refuse together with a whole batch.
    """
    if isinstance(change, Update):
        where, operators = _parts(change)
        if change.set:
            size = size_of(change.set)
            _check_size(change.set, size)
            if change.limit is None:
                operators.setdefault("$unset", {})["room"] = ""  # it is measured the next time
            else:
                counted = max(0, size - change.uncounted * len(change.set))
                operators["$inc"] = {room.path(change.limit): counted}
        return UpdateOne(where, operators, upsert=True)
    if isinstance(change, Create):
        size = size_of(change.record.data)
        _check_size(change.record.data, size)
        granted = None if limit is None else room.room(limit, GRANT - size)
        return InsertOne(document(change.record, granted))
    return DeleteOne({"_id": change.id})


def measured_first(change: Update) -> bool:
    """Tell whether the record has to be known before *change* may be sent."""
    return bool(change.expected) or (
        bool(change.set) and change.limit is not None and change.limit < GRANT
    )


def operation_from(change: Update, before: Record | None, after: Record) -> Any:
    """Return the operation that makes *after* of a record that still is as *before*."""
    measured = None
    if change.limit is not None:
        counted = size_of(after.data) - change.uncounted * len(after.data)
        measured = room.room(change.limit, change.limit - counted)
    if before is None:
        return InsertOne(document(after, measured))
    where, operators = _parts(change)
    if change.expected or (change.set and measured is not None):
        where["data"] = {"$eq": to_bson(dict(before.data))}
    if change.set and measured is not None:
        operators["$set"]["room"] = measured
    elif change.set:
        operators.setdefault("$unset", {})["room"] = ""
    return UpdateOne(where, operators, upsert=True)


def expecting_stored_times(change: Update) -> Update:
    """Return *change* with the time that its rotation expects as it is read from a document."""
    rotation = change.rotation
    if rotation is None or not rotation.expected_rotated:
        return change
    expected = as_stored(rotation.expected_rotated)
    return change._replace(rotation=rotation._replace(expected_rotated=expected))


def _parts(change: Update) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the filter and the operators, all but `room`."""
    where: dict[str, Any] = {"_id": change.id}
    fields: dict[str, Any] = {path(key): to_bson(value) for key, value in change.set.items()}
    operators: dict[str, Any] = {"$setOnInsert": _NEVER_INSERT}
    latest: dict[str, Any] = {}
    rotation = change.rotation
    if rotation is not None:
        where["secret"] = rotation.expected_hash
        expected = rotation.expected_rotated
        if expected is not None:
            # Null stands for a field that is missing, too.
            where["rotated"] = None if expected == NEVER_ROTATED else date(expected)
        fields["secret"] = rotation.secret_hash
        fields["former"] = rotation.expected_hash
        fields["rotated"] = date(rotation.rotated)
        fields["user"] = rotation.user
        fields["persistent"] = rotation.persistent
        if rotation.authenticated is not None:
            fields["authenticated"] = date(rotation.authenticated)
    if fields:
        operators["$set"] = fields
    if change.unset:
        operators["$unset"] = {path(key): "" for key in change.unset}
    if change.expires is not None:
        latest["expires"] = date(change.expires)
    if change.seen is not None:
        latest["seen"] = date(change.seen)
    if latest:
        operators["$max"] = latest
    return where, operators


def _check_size(data: Any, size: int) -> None:
    """Raise `StoreUnavailable` for what the driver would fail a whole batch for."""
    if size > _SURELY_FITS and len(bson.encode(to_bson(dict(data)))) > _MAX_DOCUMENT:
        raise StoreUnavailable("a session's data take more than the 16 MB of a MongoDB document")
