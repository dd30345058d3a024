"""Records as rows of the table, and back."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from stores.collector import LARGE, collector_paused
from stores.contract import MAX_DATA, Record, Unreadable
from stores.json_text import decode, encode

Row: TypeAlias = tuple[Any, ...]

_MAYBE_FLOAT = {float, type(None)}


def row_of(record: Record, largest: int = MAX_DATA) -> Row:
    """Return the row; raise `ValueError` or `TypeError` for a record that no row can hold.

    *largest* is the most bytes that its data may take.
    """
    text = encode(record.data)
    if _size(text) > largest:
        raise ValueError("too large")
    user = record.user
    if user is not None:
        _size(user)
        user = user.replace("\\", r"\\").replace("\0", r"\0")  # PostgreSQL's text has no NUL
    return (*record[:4], text, user, *record[6:])


def record_of(row: Sequence[Any]) -> Record | Unreadable:
    """Return the record. Text may come as bytes, and each value may be of any type."""
    id, secret_hash, created, expires, data, user, persistent = row[:7]
    former_hash, rotated, authenticated, seen = row[7:]
    if data is None:
        return Unreadable(f"its data is NULL, or larger than {MAX_DATA} bytes")
    if not (_is_hash(secret_hash) and (former_hash is None or _is_hash(former_hash))):
        return Unreadable("one of its secrets is not 32 bytes")
    if not (
        type(created) is type(expires) is float
        and {type(rotated), type(authenticated), type(seen)} <= _MAYBE_FLOAT
        and math.isfinite(
            created + expires + (rotated or 0.0) + (authenticated or 0.0) + (seen or 0.0)
        )
    ):
        return Unreadable("one of its times is not a number")
    if persistent not in (0, 1):
        return Unreadable("persistent is neither true nor false")
    try:
        value = _decode(data) if len(data) < LARGE else _decode_large(data)
        if type(user) is bytes:
            user = user.decode()
    except UnicodeError:
        return Unreadable("its text is not UTF-8")
    except (ValueError, AttributeError, TypeError, RecursionError):
        return Unreadable("its data is not JSON")
    if type(value) is not dict:
        return Unreadable("its data is not a JSON object")
    if user is not None:
        if type(user) is not str:
            return Unreadable("its user is not text")
        if "\\" in user:
            user = re.sub(r"\\(.)", lambda match: "\0" if match[1] == "0" else match[1], user)
    return Record(
        *(id, secret_hash, created, expires, value, user),
        *(bool(persistent), former_hash, rotated, authenticated, seen),
    )


def _decode(data: Any) -> Any:
    return decode(data if type(data) is str else data.decode())


def _decode_large(data: Any) -> Any:
    with collector_paused():
        return _decode(data)


def _size(text: str) -> int:
    """Return the text's bytes in UTF-8; raise `ValueError` for half of a surrogate pair."""
    return len(text) if text.isascii() else len(text.encode())


def _is_hash(value: object) -> bool:
    return type(value) is bytes and len(value) == 32
