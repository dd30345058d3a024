"""A store of sealed values for tests, its keys, and a look at what lies beneath it."""

from __future__ import annotations

import os
from typing import Any

from stores import EncryptedStore, MemoryStore, Store
from tests.helpers.records import load_record

OLD, NEW = os.urandom(32), os.urandom(32)
"""Two master keys."""


def sealed(inner: Store) -> EncryptedStore:
    """Return *inner*, sealed by the new key; what the old one has sealed opens, too."""
    return EncryptedStore(inner, {2: NEW, 1: OLD})


async def kept(inner: MemoryStore, id: bytes) -> dict[str, Any]:
    """Return the values of a record as the inner store has them."""
    return dict((await load_record(inner, id)).data)
