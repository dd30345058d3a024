"""What a change makes of a record, for stores that look at records one by one."""

from __future__ import annotations

from stores.contract import Change, Create, Delete, Outcome, Record
from stores.json_text import size_of, surely_fits


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
    after = change.applied_to(before)
    if change.set and change.limit is not None and not _fits(after, change.limit):
        return Outcome.TOO_LARGE, record
    return Outcome.DONE, after


def _fits(record: Record, limit: int) -> bool:
    return surely_fits(record.data, limit) or size_of(record.data) <= limit
