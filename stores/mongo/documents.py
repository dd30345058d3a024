"""Records as MongoDB documents.

One document a session, in native BSON types::

    {_id: BinData, secret: BinData, former: BinData, rotated: Date, created: Date, expires: Date,
     user: "ada", persistent: true, authenticated: Date, seen: Date,
     room: {l131072: [NumberLong]},
     data: {name: "ada", cart: [{sku: "x", price: 9.5}]}}

A field that is missing stands for none. `stores.mongo.room` says what `room` is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stores.contract import JSON, MAX_DATA, Record, Unreadable

FIELDS = ("secret", "created", "expires", "persistent", "data")
"""The fields of every session's document, beside its `_id`."""

_EPOCH = datetime(1970, 1, 1)  # PyMongo returns dates in UTC without a zone


class _Misfit(Exception):
    """A value that no session has; the text names no value."""


def document(record: Record, room: Mapping[str, list[int]] | None) -> dict[str, Any]:
    """Return *record* as a document; without `room`, its first update measures it."""
    fields = {
        "_id": record.id,
        "secret": record.secret_hash,
        "former": record.former_hash,
        "rotated": None if record.rotated is None else date(record.rotated),
        "created": date(record.created),
        "expires": date(record.expires),
        "user": record.user,
        "persistent": record.persistent,
        "data": to_bson(dict(record.data)),
    }
    if room is not None:
        fields["room"] = room
    if record.authenticated is not None:
        fields["authenticated"] = date(record.authenticated)
    if record.seen is not None:
        fields["seen"] = date(record.seen)
    return fields


def record(document: Mapping[str, Any]) -> Record | Unreadable:
    """Return *document* as a record, or what is wrong with it."""
    get = document.get
    secret, former, user = get("secret"), get("former"), get("user")
    persistent, data = get("persistent"), get("data")
    if type(secret) is not bytes or len(secret) != 32:
        return _unreadable("secret")
    if former is not None and (type(former) is not bytes or len(former) != 32):
        return _unreadable("former")
    if user is not None and type(user) is not str:
        return _unreadable("user")
    if type(persistent) is not bool:
        return _unreadable("persistent")
    if type(data) is not dict:
        return _unreadable("data")
    rotated, authenticated, seen = get("rotated"), get("authenticated"), get("seen")
    try:
        created, expires = _time(document["created"]), _time(document["expires"])
        rotated = None if rotated is None else _time(rotated)
        authenticated = None if authenticated is None else _time(authenticated)
        seen = None if seen is None else _time(seen)
    except (KeyError, TypeError):
        return Unreadable("one of its dates is missing or of another type")
    try:
        values = _values(data, [MAX_DATA])
    except _Misfit as error:
        return Unreadable(str(error))
    return Record(
        document["_id"],
        secret,
        created,
        expires,
        values,
        user,
        persistent,
        former,
        rotated,
        authenticated,
        seen,
    )


def _unreadable(field: str) -> Unreadable:
    return Unreadable(f"its field `{field}` is missing or of another type")


def date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def as_stored(seconds: float) -> float:
    """Return a time as it is read again: MongoDB keeps whole milliseconds."""
    at = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return _time(at.replace(microsecond=at.microsecond // 1000 * 1000))


def _time(at: datetime) -> float:
    return (at - _EPOCH).total_seconds()


# Keys. In an update, MongoDB reads a dot as a path, and a leading dollar sign as an operator or a
# reference. BSON ends a key at NUL. So these, the empty key and the percent sign are
# percent-encoded; any other key is kept as it is.
_SPECIAL = re.compile(r"[%.$\x00]")
_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_EMPTY = "%"


def path(key: str) -> str:
    """Return where a document keeps the value of *key*."""
    return f"data.{_escape(key)}"


def _escape(key: str) -> str:
    if key.isidentifier():  # so most are
        return key
    if not key:
        return _EMPTY
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", key)


def _unescape(key: str) -> str:
    if key == _EMPTY:
        return ""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), key)


def to_bson(value: Any) -> Any:
    """Return a JSON value as a document keeps it."""
    if isinstance(value, dict):
        return {_escape(key): to_bson(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_bson(item) for item in value]
    return value


def _from_bson(value: Any, left: list[int]) -> JSON:
    """Return what is not `_PLAIN` as a JSON value; *left* is as for `_values`."""
    kind = type(value)
    if kind is dict:
        return _values(value, left)
    if kind is list:
        _count(1 + LEAST_ITEM * len(value), left)
        return [item if type(item) in _PLAIN else _from_bson(item, left) for item in value]
    if kind is float:
        if math.isfinite(value):
            return float(value)
        raise _Misfit("its data hold NaN or infinity, which JSON does not have")
    if isinstance(value, int):
        return int(value)  # bson.Int64 is a subclass, and a session holds exact types
    raise _Misfit("its data hold a value of a type that JSON does not have")


def _values(document: Mapping[str, Any], left: list[int]) -> dict[str, JSON]:
    """Return a document's values; *left* is what its record may still take as JSON text."""
    _count(1 + LEAST_ENTRY * len(document), left)
    return {
        key if "%" not in key else _unescape(key): (
            value if type(value) in _PLAIN else _from_bson(value, left)
        )
        for key, value in document.items()
    }


def _count(least: int, left: list[int]) -> None:
    left[0] -= least
    if left[0] < 0:
        raise _Misfit(f"its data take more than {MAX_DATA} bytes as JSON text")


LEAST_ITEM, LEAST_ENTRY = 2, 5
"""Bytes that each value of an array (`1,`) or a document (`"":1,`) takes at least as JSON text."""

_PLAIN = frozenset({str, int, bool, type(None)})
"""Types whose values are all the same in BSON."""
