"""Values as compact JSON text, as strict as a session is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stores.contract import JSON

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(value: object) -> str:
    """Return a value as JSON text. Raises one of `NOT_JSON` for what is not JSON."""
    # For all but text, the encoder first makes another one, which takes longer than a number.
    return repr(value) if type(value) is int else _encode(value)


NOT_JSON = (ValueError, TypeError, RecursionError)
"""What encoding raises for data that is not JSON."""

MAX_DEPTH = 64
"""Nesting of a value that every store can keep (MongoDB allows 100 levels, some its own)."""


def decode(text: str) -> Any:
    """Return the value that a JSON text stands for: a session's data, or a list of its values.

    Raises `ValueError` for what is not JSON, NaN, infinity and a lone surrogate, `RecursionError`
    for values nested deeper than `MAX_DEPTH`.
    """
    # decode() would search for white space at both ends, which takes as long as a small record.
    text = text.strip(" \t\n\r")
    value, end = _decode(text)
    if end != len(text):
        raise json.JSONDecodeError("more than one value", text, end)
    # Only an escape can stand for a surrogate: the text itself was decoded from UTF-8.
    if "\\" in text and ("\\ud" in text or "\\uD" in text):
        encode(value).encode()
    if len(text) > 2 * MAX_DEPTH and text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _finite(text: str) -> float:
    """Return the number; JSON has `1e999`, which no float can hold, and Python reads `NaN`."""
    number = float(text)
    if number - number:  # infinity and NaN
        raise ValueError("a number is not finite")
    return number


_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_finite).raw_decode


def _check_depth(value: object) -> None:
    inside = [value]
    for _ in range(MAX_DEPTH + 1):
        inside = [
            item
            for outer in inside
            for item in (outer.values() if type(outer) is dict else outer)  # type: ignore[attr-defined]
            if type(item) is dict or type(item) is list
        ]
        if not inside:
            return
    raise RecursionError("a value is nested too deeply")


def surely_fits(data: Mapping[str, Any], max_bytes: int) -> bool:
    """Tell at little cost whether *data* encodes to at most *max_bytes*; `False` is "perhaps not".

    A character takes 6 bytes at most (an escaped control character), a number 25.
    """
    size = 2
    for key, value in data.items():
        size += 6 * len(key) + 30
        kind = type(value)
        if kind is str:
            size += 6 * len(value)
        elif kind is list or kind is dict:
            return False
    return size <= max_bytes


def size_of(data: Mapping[str, JSON]) -> int:
    """Return the bytes of a record's data as JSON text in UTF-8."""
    size = 2 if not data else 1
    for key, value in data.items():
        size += _size_of_text(key) + 2
        if type(value) is int:  # the encoder takes ten times as long
            size += len(repr(value))
        elif isinstance(value, str):
            size += _size_of_text(value)
        else:
            size += len(encode(value).encode())
    return size


def _size_of_text(text: str) -> int:
    """Text without anything to escape, which most is, is not encoded for it."""
    if text.isascii() and text.isprintable():
        return len(text) + 2 + text.count('"') + text.count("\\")
    return len(encode(text).encode())
