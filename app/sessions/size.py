"""Whether what a session holds is within its manager's bound."""

from __future__ import annotations

from app.sessions import values
from app.sessions.errors import SessionTooLarge
from stores.contract import Record


def check_size(record: Record, max_bytes: int) -> None:
    """Raise `SessionTooLarge` if the data of *record* takes more than *max_bytes*."""
    if values.surely_fits(record.data, max_bytes):
        return
    size = len(values.encode(record.data).encode())
    if size > max_bytes:
        raise SessionTooLarge(size, max_bytes, values.largest(record.data))
