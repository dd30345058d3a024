"""What a change makes of a record, for stores that look at records one by one."""

from __future__ import annotations

from collections.abc import Mapping

from stores.contract import JSON, MAX_DATA, Change, Create, Delete, Outcome, Record, Update
from stores.json_text import encode, size_of, surely_fits


def apply_change(record: Record | None, change: Change) -> tuple[Outcome, Record | None]:
    """Return the outcome of *change* and the record after it; `None` is one that does not exist.

    Where the outcome is not `DONE`, the record is the one given.
    """
    if isinstance(change, Create):
        return (Outcome.DONE, change.record) if record is None else (Outcome.EXISTS, record)
    if isinstance(change, Delete):
        return Outcome.DONE, None
    before = change.or_create if record is None else record
    if before is None:
        return Outcome.MISSING, None
    if change.rotation is not None and not change.rotation.expects(before):
        return Outcome.CONFLICT, record
    if change.expected and not has_values(before, change.expected):
        return Outcome.CONFLICT, record
    after = change.applied_to(before)
    if change.set and change.limit is not None and not _fits(after, change, change.limit):
        return Outcome.TOO_LARGE, record
    return Outcome.DONE, after


def has_values(record: Record, expected: Mapping[str, JSON]) -> bool:
    """Tell whether *record* has these keys, with these very values."""
    data = record.data
    return all(
        key in data and encode(data[key]) == encode(value) for key, value in expected.items()
    )


def _fits(after: Record, change: Update, limit: int) -> bool:
    if surely_fits(after.data, min(limit, MAX_DATA)):
        return True
    size = size_of(after.data)
    return size <= MAX_DATA and size - change.uncounted * len(after.data) <= limit
