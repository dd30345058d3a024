"""Values as compact JSON text, without NaN and infinity."""

from __future__ import annotations

import json
from collections.abc import Mapping

from stores.contract import JSON

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Return a value as JSON text."""

decode = json.JSONDecoder().decode
"""Return the value that a JSON text stands for."""


def size_of(data: Mapping[str, JSON]) -> int:
    """Return the bytes of a record's data as JSON text in UTF-8."""
    size = 2 if not data else 1
    for key, value in data.items():
        size += _size_of_text(key) + 2
        size += _size_of_text(value) if isinstance(value, str) else len(encode(value).encode())
    return size


def _size_of_text(text: str) -> int:
    """Text without anything to escape, which most is, is not encoded for it."""
    if text.isascii() and text.isprintable():
        return len(text) + 2 + text.count('"') + text.count("\\")
    return len(encode(text).encode())
