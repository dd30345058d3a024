"""A batch of changes, applied to the rows that it has locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from stores.applying import apply_change
from stores.contract import Change, Delete, Outcome, Record, StoreUnavailable, Unreadable, Update
from stores.json_text import NOT_JSON
from stores.sql.rows import Row, row_of
from stores.sql.statements import Statements


class Batch:
    """What a batch makes of the records, and what is to be written for it."""

    def __init__(
        self,
        changes: Sequence[Change],
        before: Mapping[bytes, Record | Unreadable],
        largest: int,
    ) -> None:
        self._largest = largest
        self.outcomes: list[Outcome | StoreUnavailable] = []
        self._after: dict[bytes, Record | Unreadable | None] = dict(before)
        self._inserted: list[Row] = []
        self._updated: list[Row] = []
        self._rewritten: list[Row] = []
        self._touched: list[Record] = []
        self._deleted: list[bytes] = []
        for change in changes:
            self.outcomes.append(self._apply(change))
        for id in sorted({change.id for change in changes}):
            old, new = before.get(id), self._after.get(id)
            if old is new:
                continue
            try:
                self._note(id, old, new)
            except NOT_JSON:
                self._refuse(changes, id)

    def write(self, statements: Statements, connection: Connection) -> None:
        if self._inserted:
            statements.insert(connection, self._inserted)
        if self._updated:
            statements.update(connection, self._updated)
        if self._rewritten:
            statements.rewrite(connection, self._rewritten)
        if self._touched:
            statements.touch(connection, self._touched)
        if self._deleted:
            statements.delete(connection, self._deleted)

    def _apply(self, change: Change) -> Outcome | StoreUnavailable:
        record = self._after.get(change.id)
        if isinstance(record, Unreadable):
            if isinstance(change, Update):
                return StoreUnavailable(f"the record cannot be read: {record.reason}")
            if isinstance(change, Delete):
                self._after[change.id] = None
                return Outcome.DONE
            return Outcome.EXISTS
        try:
            outcome, self._after[change.id] = apply_change(record, change)
        except NOT_JSON:
            return self._refusal()
        return outcome

    def _note(self, id: bytes, old: object, new: Record | Unreadable | None) -> None:
        """Note what is to be written; raise an error for a record that no row can hold."""
        if not isinstance(new, Record):
            if old is not None:
                self._deleted.append(id)
        elif not isinstance(old, Record):
            # An unreadable record may have been deleted, and another one created, in one batch.
            (self._inserted if old is None else self._updated).append(row_of(new, self._largest))
        elif new[1:3] != old[1:3] or new[5:10] != old[5:10]:
            self._updated.append(row_of(new, self._largest))
        elif new.data is old.data:
            self._touched.append(new)
        else:  # besides its data, nothing but the times of which a touch tells
            self._rewritten.append(row_of(new, self._largest))

    def _refuse(self, changes: Sequence[Change], id: bytes) -> None:
        error = self._refusal()
        for n, change in enumerate(changes):
            if change.id == id and self.outcomes[n] is Outcome.DONE:
                self.outcomes[n] = error

    def _refusal(self) -> StoreUnavailable:
        return StoreUnavailable(f"its data is not JSON, or takes more than {self._largest} bytes")
