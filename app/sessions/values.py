"""The values a session can hold: JSON, checked, copied and compared strictly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from stores.json_text import MAX_DEPTH as MAX_DEPTH
from stores.json_text import encode as encode
from stores.json_text import surely_fits as surely_fits

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def largest(data: Mapping[str, Any]) -> str:
    """Return the key whose value takes most of *data*, or ""."""
    return max(data, key=lambda key: len(key) + len(encode(data[key])), default="")


class _Invalid(Exception):
    """Carries the path to the culprit, which is put together only when there is one."""

    def __init__(self, kind: type[Exception], what: str) -> None:
        self.kind = kind
        self.what = what
        self.path: list[str] = []


def check(value: object, path: str) -> None:
    """Raise `TypeError` or `ValueError`, naming *path*, unless every store can keep *value*.

    Exact types only: a subclass (an `IntEnum`, a named tuple) would come back as another type.
    """
    try:
        _check(value, 0)
    except _Invalid as error:
        inside = "".join(reversed(error.path))
        raise error.kind(f"{path}{inside}: {error.what}") from None


def check_item(key: object, value: object) -> None:
    """Raise `TypeError` or `ValueError`, naming the path, unless a session can hold the item."""
    if type(key) is str and type(value) is str and key.isascii() and value.isascii():
        return  # most items
    try:
        _check_key(key)
    except _Invalid as error:
        raise error.kind(f"session: {error.what}") from None
    try:
        _check(value, 0)
    except _Invalid as error:
        inside = "".join(reversed(error.path))
        raise error.kind(f"session[{key!r}]{inside}: {error.what}") from None


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str:
        if not _is_unicode(value):
            raise _Invalid(ValueError, "a lone surrogate is not Unicode text")
    elif kind is bool or value is None:
        pass
    elif kind is int:
        if not _INT64_MIN <= value <= _INT64_MAX:
            raise _Invalid(ValueError, "the integer does not fit in 64 bits")
    elif kind is float:
        if not math.isfinite(value):
            raise _Invalid(ValueError, f"{value} is not a finite number")
    elif kind is list:
        _check_depth(depth)
        index = 0
        try:
            for index, item in enumerate(value):  # noqa: B007 - read in the except clause
                _check(item, depth + 1)
        except _Invalid as error:
            error.path.append(f"[{index}]")
            raise
    elif kind is dict:
        _check_depth(depth)
        for key, item in value.items():
            _check_key(key)
            try:
                _check(item, depth + 1)
            except _Invalid as error:
                error.path.append(f"[{key!r}]")
                raise
    else:
        raise _Invalid(
            TypeError,
            "a session holds None, bool, int, float, str, list and dict, "
            f"not {kind.__name__}{_mend(value)}",
        )


def _mend(value: object) -> str:
    """Return what to write in the place of *value*, which a session cannot hold, or ""."""
    if isinstance(value, Enum):
        return "; assign its .value"
    for kind in (str, int, float):
        if isinstance(value, kind):
            return f"; assign {kind.__name__}(value)"
    if hasattr(value, "isoformat"):
        return "; assign value.isoformat()"
    if isinstance(value, bytes | bytearray | memoryview):
        return "; assign text: base64, or what .decode() returns"
    if isinstance(value, Mapping):
        return "; assign dict(value)"
    if isinstance(value, Iterable):
        return "; assign list(value)"
    if isinstance(value, Decimal | UUID):
        return "; assign str(value)"
    return ""


def _check_key(key: object) -> None:
    if type(key) is not str:
        raise _Invalid(TypeError, f"a key must be str, not {type(key).__name__}")
    if not _is_unicode(key):
        raise _Invalid(ValueError, f"the key {key!a} has a lone surrogate, which is not Unicode")


def _check_depth(depth: int) -> None:
    if depth == MAX_DEPTH:
        raise _Invalid(ValueError, f"nested deeper than {MAX_DEPTH} levels")


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def copy(value: Any) -> Any:
    """Return a copy of a JSON value that shares no list or dict with it."""
    kind = type(value)
    if kind is dict:
        return {key: copy(item) for key, item in value.items()}
    if kind is list:
        return [copy(item) for item in value]
    return value


def same(a: Any, b: Any) -> bool:
    """Tell whether two JSON values are equal and of equal types: 1, 1.0 and True are three."""
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is dict:
        return len(a) == len(b) and all(k in b and same(v, b[k]) for k, v in a.items())
    if kind is list:
        return len(a) == len(b) and all(map(same, a, b))
    if kind is float:
        return repr(a) == repr(b)  # tells 0.0 from -0.0
    return bool(a == b)
