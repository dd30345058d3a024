"""Records as MongoDB documents, and changes as its operations.

One document a session, in native BSON types::

    {_id: BinData, secret: BinData, created: Date, expires: Date, user: "ada", persistent: true,
     former: BinData, rotated: Date, data: {name: "ada", cart: [{sku: "x", price: 9.5}]}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from pymongo import DeleteOne, InsertOne, UpdateOne

from stores.contract import JSON, Change, Create, Delete, Record, Update

FIELDS = frozenset({"secret", "created", "expires", "persistent", "data"})
"""The fields of every session's document, beside its `_id`."""

_EPOCH = datetime(1970, 1, 1)  # PyMongo returns dates in UTC without a zone


def operations(changes: Sequence[Change]) -> list[Any]:
    """Return PyMongo's bulk-write operations for *changes*."""
    return [_operation(change) for change in changes]


def _operation(change: Change) -> Any:
    if isinstance(change, Update):
        where: dict[str, Any] = {"_id": change.id}
        fields: dict[str, Any] = {
            f"data.{_escape(key)}": _to_bson(value) for key, value in change.set.items()
        }
        operators: dict[str, Any] = {}
        if change.rotation is not None:
            rotation = change.rotation
            where["secret"] = rotation.expected_hash
            fields["secret"] = rotation.secret_hash
            fields["former"] = rotation.expected_hash
            fields["rotated"] = _date(rotation.rotated)
            fields["user"] = rotation.user
            fields["persistent"] = rotation.persistent
        if fields:
            operators["$set"] = fields
        if change.unset:
            operators["$unset"] = {f"data.{_escape(key)}": "" for key in change.unset}
        if change.expires is not None:
            operators["$max"] = {"expires": _date(change.expires)}
        return UpdateOne(where, operators)
    if isinstance(change, Create):
        return InsertOne(_document(change.record))
    assert isinstance(change, Delete)
    return DeleteOne({"_id": change.id})


def _document(record: Record) -> dict[str, Any]:
    return {
        "_id": record.id,
        "secret": record.secret_hash,
        "former": record.former_hash,
        "rotated": None if record.rotated is None else _date(record.rotated),
        "created": _date(record.created),
        "expires": _date(record.expires),
        "user": record.user,
        "persistent": record.persistent,
        "data": _to_bson(dict(record.data)),
    }


def record(document: Mapping[str, Any]) -> Record:
    """Return *document* as a record."""
    rotated = document.get("rotated")
    return Record(
        document["_id"],
        document["secret"],
        _time(document["created"]),
        _time(document["expires"]),
        {_unescape(key): _from_bson(value) for key, value in document["data"].items()},
        document.get("user"),
        document["persistent"],
        document.get("former"),
        None if rotated is None else _time(rotated),
    )


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _time(date: datetime) -> float:
    return (date - _EPOCH).total_seconds()


# Keys. In an update, MongoDB reads a dot as a path, and a leading dollar sign as an operator or a
# reference. BSON ends a key at NUL. So these, the empty key and the percent sign are
# percent-encoded; any other key is kept as it is.
_SPECIAL = re.compile(r"[%.$\x00]")
_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_EMPTY = "%"


def _escape(key: str) -> str:
    if not key:
        return _EMPTY
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", key)


def _unescape(key: str) -> str:
    if "%" not in key:
        return key
    if key == _EMPTY:
        return ""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), key)


def _to_bson(value: Any) -> Any:
    if isinstance(value, dict):
        return {_escape(key): _to_bson(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_bson(item) for item in value]
    return value


def _from_bson(value: Any) -> JSON:
    kind = type(value)
    if kind is str or kind is int:
        return cast(JSON, value)
    if kind is dict:
        return {_unescape(key): _from_bson(item) for key, item in value.items()}
    if kind is list:
        return [_from_bson(item) for item in value]
    if isinstance(value, int) and kind is not bool:
        return int(value)  # bson.Int64 is a subclass, and a session holds exact types
    return cast(JSON, value)
