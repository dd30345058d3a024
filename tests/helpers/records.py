"""Records for tests of stores."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from app.sessions import values
from stores.contract import Record, Rotation, Store
from stores.memory import USERS, MemoryStore


def make_record(**fields: Any) -> Record:
    """Return a record of its own that lives for ten minutes, with these *fields*."""
    now = time.time()
    values = {"id": os.urandom(16), "secret_hash": os.urandom(32), "data": {}}
    return Record(**{**values, "created": now, "expires": now + 600, **fields})


def make_rotation(record: Record, **fields: Any) -> Rotation:
    """Return a rotation from the record's secret to a new one."""
    values = {"secret_hash": os.urandom(32), "rotated": time.time(), "user": None}
    return Rotation(**{"expected_hash": record.secret_hash, "persistent": True, **values, **fields})


async def load_records(store: Store, ids: Sequence[bytes]) -> dict[bytes, Record]:
    """Return the records there are of these ids, when the store has no error in their place."""
    records = {}
    for id, answer in (await store.load(ids)).items():
        assert isinstance(answer, Record), answer
        records[id] = answer
    return records


async def load_record(store: Store, id: bytes) -> Record:
    """Return the record of this id, which is there."""
    return (await load_records(store, [id]))[id]


def same_record(expected: Record, found: Record) -> bool:
    """Tell whether all is equal, 1 not being 1.0 or True; times to a millisecond."""
    times: dict[str, Any] = {"created": 0.0, "expires": 0.0}
    maybe = ("rotated", "authenticated", "seen")
    times |= dict.fromkeys(maybe)
    return (
        values.same(dict(expected.data), dict(found.data))
        and expected._replace(data={}, **times) == found._replace(data={}, **times)
        and abs(expected.created - found.created) <= 0.001
        and abs(expected.expires - found.expires) <= 0.001
        and all(_same_time(getattr(expected, name), getattr(found, name)) for name in maybe)
    )


def _same_time(expected: float | None, found: float | None) -> bool:
    return (expected is None) == (found is None) and abs((expected or 0) - (found or 0)) <= 0.001


def sessions_in(store: Store) -> int:
    """Return how many sessions a memory store has, be it wrapped; users' records are none."""
    inner = getattr(store, "inner", store)
    assert isinstance(inner, MemoryStore)
    return sum(len(group) for group in inner._groups[:USERS])
