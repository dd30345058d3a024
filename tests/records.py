"""Records for tests of stores."""

from __future__ import annotations

import os
import time
from typing import Any

from stores.contract import Record, Rotation


def make_record(**fields: Any) -> Record:
    """Return a record of its own that lives for ten minutes, with these *fields*."""
    now = time.time()
    values = {"id": os.urandom(16), "secret_hash": os.urandom(32), "data": {}}
    return Record(**{**values, "created": now, "expires": now + 600, **fields})


def make_rotation(record: Record, **fields: Any) -> Rotation:
    """Return a rotation from the record's secret to a new one."""
    values = {"secret_hash": os.urandom(32), "rotated": time.time(), "user": None}
    return Rotation(**{"expected_hash": record.secret_hash, "persistent": True, **values, **fields})
