"""Applying changes: one bulk write, and another look at the updates that the server refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import BulkWriteError

from stores.applying import apply_change
from stores.contract import Change, Create, Outcome, StoreUnavailable, Unreadable, Update
from stores.mongo.errors import explained
from stores.mongo.operations import (
    DUPLICATE_KEY,
    NOT_APPLIED,
    expecting_stored_times,
    measured_first,
    operation,
    operation_from,
)
from stores.mongo.reading import read

MAX_LOOKS = 100
"""Looks at a record that others keep changing; the deadline usually comes first."""


class Writing:
    """The changes of one call, until each has its answer."""

    def __init__(self, collection: Any, changes: Sequence[Change], limit: int | None) -> None:
        self._collection = collection
        self.limit = limit
        """The limit of the last update that had one."""
        self._changes = changes
        self.answers: list[Outcome | StoreUnavailable] = [Outcome.DONE] * len(changes)

    async def run(self) -> None:
        """Fill in the answers. Raises what the driver raises, when there is no answer to any."""
        ordinary: dict[int, Any] = {}
        pending: dict[int, Update] = {}
        for i, change in enumerate(self._changes):
            if isinstance(change, Update):
                if change.or_create is None:  # a user's record has another limit than sessions
                    self.limit = change.limit or self.limit
                if measured_first(change):
                    pending[i] = change
                    continue
            try:
                ordinary[i] = operation(change, self.limit)
            except StoreUnavailable as error:
                self.answers[i] = error
        pending |= await self._send(ordinary)
        if pending:
            await self._settle(pending)

    async def _settle(self, pending: dict[int, Update]) -> None:
        """Answer to updates that were not applied."""
        try:
            with explained(self._collection.database.client):
                for _ in range(MAX_LOOKS):
                    pending = await self._look(pending)
                    if not pending:
                        return
            raise StoreUnavailable("a record changed whenever MongoDB was to change it")
        except StoreUnavailable as error:
            for i in pending:
                if self.answers[i] is Outcome.DONE:
                    self.answers[i] = error

    async def _send(self, sent: Mapping[int, Any]) -> dict[int, Update]:
        """Send operations, by their changes' numbers; return the updates not applied."""
        if not sent:  # PyMongo refuses an empty bulk write
            return {}
        try:
            # Unordered, so that one that is refused does not stop the others.
            await self._collection.bulk_write(list(sent.values()), ordered=False)
        except BulkWriteError as error:
            if error.details["writeConcernErrors"]:
                raise StoreUnavailable("no majority of MongoDB's nodes confirmed a write") from None
            numbers = list(sent)
            not_applied = {}
            for failure in error.details["writeErrors"]:
                i, code = numbers[failure["index"]], failure["code"]
                change = self._changes[i]
                if isinstance(change, Update) and code in NOT_APPLIED:
                    not_applied[i] = change
                elif isinstance(change, Create) and code == DUPLICATE_KEY:
                    self.answers[i] = Outcome.EXISTS
                else:
                    self.answers[i] = StoreUnavailable(f"MongoDB refused a change (code {code})")
            return not_applied
        return {}

    async def _look(self, pending: Mapping[int, Update]) -> dict[int, Update]:
        """Read the records of *pending*; answer to these, or send them again, each for certain not
        applied yet. Return those that are still not."""
        found = await read(self._collection, list({update.id for update in pending.values()}))
        again: dict[int, Any] = {}
        later: dict[int, Update] = {}
        begun: set[bytes] = set()
        for i, update in pending.items():
            before = found.get(update.id)
            if isinstance(before, Unreadable):
                self.answers[i] = StoreUnavailable(f"a record cannot be changed: {before.reason}")
                continue
            outcome, after = apply_change(before, expecting_stored_times(update))
            self.answers[i] = outcome
            if outcome is not Outcome.DONE:
                continue
            assert after is not None
            if update.id not in begun:
                begun.add(update.id)
                again[i] = operation_from(update, before, after)
            elif measured_first(update):
                later[i] = update
            else:
                again[i] = operation(update, self.limit)
        return later | await self._send(again)
