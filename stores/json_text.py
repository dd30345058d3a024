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
    """Return the bytes of a record's data as JSON text in UTF-8, or a little more.

    Text without anything to escape, which most is, is not encoded for it.
    """
    size = 2
    for key, value in data.items():
        size += len(key) + 4
        if isinstance(value, str) and value.isascii() and value.isprintable():
            size += len(value) + 2 + value.count('"') + value.count("\\")
        else:
            size += len(encode(value).encode())
    return size
