"""Applying changes while sessions move: the changes of one call, until each has its answer.

A session is looked for in the new store, then in the old one. A change goes to the new store; what
only the old one has is created there by the same step. Afterwards the old store is looked at again:
a process of before the move may have changed the record in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stores.contract import (
    Change,
    Create,
    Delete,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
    Update,
)
from stores.moving_look import Answer, Aside
from stores.moving_mark import beginning_anew, ending, is_mark, mark_of
from stores.moving_merge import changed_meanwhile, same_version

MAX_LOOKS = 100
"""Looks at a record that others keep changing; the deadline usually comes first."""

SKEW = 60.0
"""Seconds by which a server's clock may be ahead, so that it removes a record early."""


class _Step(NamedTuple):
    """What is sent for a change, and what was seen before."""

    number: int
    change: Change
    to_old: bool
    new: Answer | None
    old: Answer | None

    @property
    def there(self) -> Answer | None:
        """What the session is: the new store's, if that has something."""
        return self.old if self.new is None else self.new

    @property
    def before(self) -> Record | None:
        """The record that the change was sent for."""
        there = self.there
        return there if isinstance(there, Record) and not is_mark(there) else None


class MovingChanges:
    """The changes of one call. *moves* says whether they bring their sessions to the new store."""

    def __init__(self, new: Store, old: Aside, changes: Sequence[Change], moves: bool) -> None:
        self._new = new
        self._old = old
        self._moves = moves
        self._changes = list(changes)
        self._answers: list[Outcome | StoreUnavailable] = [Outcome.DONE] * len(changes)
        self._applied_in_old: set[int] = set()

    async def run(self) -> Sequence[Outcome | StoreUnavailable]:
        """Return the answers. Raises what the new store raises, when there is no answer to any."""
        asked = range(len(self._changes))
        ends = [i for i in asked if isinstance(self._changes[i], Delete)]
        others = {change.id for change in self._changes if not isinstance(change, Delete)}
        # What is changed and ended in one call ends: the end has to find what the change creates.
        after = [i for i in ends if self._changes[i].id in others]
        await self._settle([i for i in asked if i not in set(after)])
        await self._settle(after)
        await self._settle([*range(len(asked), len(self._changes))])
        # Only now, for the mark has to be there before.
        ended = [i for i in ends if self._answers[i] is Outcome.DONE]
        told = await self._old.write([self._changes[i] for i in ended])
        for i, outcome in zip(ended, told, strict=True):
            self._answers[i] = outcome
        return self._answers[: len(asked)]

    async def _settle(self, pending: list[int]) -> None:
        for _ in range(MAX_LOOKS):
            if not pending:
                return
            pending = await self._round(pending)
        for i in pending:
            self._answers[i] = StoreUnavailable("a record changed whenever it was to be changed")

    async def _round(self, pending: list[int]) -> list[int]:
        """Look and send once; return those that have no answer yet."""
        steps: list[_Step] = []
        new, old = await self._look(pending)
        for i in pending:
            id = self._changes[i].id
            decided = self._decide(i, new.get(id), old.get(id))
            if isinstance(decided, _Step):
                steps.append(decided)
            else:
                self._answers[i] = decided
        again: list[int] = []
        to_new = [step for step in steps if not step.to_old]
        if to_new:
            told = await self._new.write([step.change for step in to_new])
            again += self._conclude(to_new, told)
        to_old = [step for step in steps if step.to_old]
        if to_old:
            again += self._conclude(to_old, await self._old.write([step.change for step in to_old]))
        await self._look_back([step for step in to_new if step.number not in again])
        return again

    async def _look(
        self, pending: Sequence[int]
    ) -> tuple[Mapping[bytes, Answer], Mapping[bytes, Answer]]:
        """Return the pending changes' records: the new store's, and the old one's of the rest."""
        changes = [self._changes[i] for i in pending]
        # The new store itself tells that an id is taken, of which it is asked when one is created.
        asked = {c.id for c in changes if not (self._moves and isinstance(c, Create))}
        new = await self._new.load(list(asked)) if asked else {}
        known = {self._changes[i].id for i in pending if i in self._applied_in_old}
        absent = {change.id for change in changes} - new.keys() - known
        return new, await self._old.load(list(absent))

    # What to send

    def _decide(
        self, i: int, new: Answer | None, old: Answer | None
    ) -> _Step | Outcome | StoreUnavailable:
        """Return what to send for a change, or its answer if that is known already."""
        change = self._changes[i]
        if isinstance(new, StoreUnavailable):
            return new
        if isinstance(change, Create):
            if new is not None or isinstance(old, Unreadable) or _is_there(old):
                return Outcome.EXISTS
            # An id is random: nobody's session has to wait for the old store's answer.
            return _Step(i, change, not self._moves, new, old)
        if new is None and isinstance(old, StoreUnavailable) and i not in self._applied_in_old:
            return old
        if isinstance(change, Delete):
            return self._decide_end(i, change, new, old)
        return self._decide_update(i, change, new, old)

    def _decide_update(
        self, i: int, change: Update, new: Answer | None, old: Answer | None
    ) -> _Step | Outcome | StoreUnavailable:
        if new is None and i in self._applied_in_old:
            return Outcome.DONE  # and nobody has moved it before that
        there = old if new is None else new
        to_old = new is None and not self._moves
        if is_mark(there) or there is None:
            if change.or_create is None:
                return Outcome.MISSING
            if isinstance(there, Record) and (to_old or new is not None):
                anew = beginning_anew(there, change)
                return anew if isinstance(anew, Outcome) else _Step(i, anew, to_old, new, old)
            return _Step(i, change, to_old, new, old)
        if new is None and isinstance(old, Unreadable):
            return StoreUnavailable(f"a record cannot be changed: {old.reason}")
        if new is None and isinstance(old, Record) and self._moves:
            return _Step(i, change._replace(or_create=old), False, new, old)
        rotation = change.rotation
        if (
            i in self._applied_in_old
            and rotation is not None
            and isinstance(new, Record)
            and new.secret_hash == rotation.secret_hash
        ):
            return Outcome.DONE  # it was moved with the change
        return _Step(i, change, to_old, new, old)

    def _decide_end(
        self, i: int, change: Delete, new: Answer | None, old: Answer | None
    ) -> _Step | Outcome:
        if isinstance(new, Record):
            return Outcome.DONE if is_mark(new) else _Step(i, ending(new), False, new, old)
        if isinstance(new, Unreadable):
            return _Step(i, change, False, new, old)
        if isinstance(old, Unreadable) or (isinstance(old, Record) and not is_mark(old)):
            return _Step(i, Create(mark_of(change.id, old)), False, new, old)
        return Outcome.DONE

    # What came of it

    def _conclude(
        self, steps: Sequence[_Step], told: Sequence[Outcome | StoreUnavailable]
    ) -> list[int]:
        """Note the answers; return the changes that are to be looked at again."""
        again = []
        for step, outcome in zip(steps, told, strict=True):
            self._answers[step.number] = outcome
            if isinstance(outcome, Outcome) and self._is_open(step, outcome):
                again.append(step.number)
        return again

    def _is_open(self, step: _Step, outcome: Outcome) -> bool:
        """Tell whether *outcome* is not the answer yet, for others have changed what was seen."""
        change = self._changes[step.number]
        if isinstance(change, Delete):
            return outcome is not Outcome.DONE or isinstance(step.change, Delete)
        if isinstance(change, Create):
            return False
        if step.to_old and outcome is Outcome.DONE:
            self._applied_in_old.add(step.number)
            return True
        if is_mark(step.there):
            return outcome in (Outcome.CONFLICT, Outcome.MISSING)
        before = step.before or change.or_create
        rotation = change.rotation
        return (
            outcome is Outcome.CONFLICT
            and before is not None
            and rotation is not None
            and rotation.expects(before)
        )

    async def _look_back(self, steps: Sequence[_Step]) -> None:
        """Bring along what the old store was told after it was read, by those who do not move."""
        moved: dict[bytes, list[_Step]] = {}
        for step in steps:
            is_done = self._answers[step.number] is Outcome.DONE
            if is_done and isinstance(step.change, Update) and step.new is None:
                moved.setdefault(step.change.id, []).append(step)
        found = await self._old.load(list(moved))
        differ: dict[bytes, tuple[Record | None, Record]] = {}
        for id, steps_of_it in moved.items():
            now, before = found.get(id), steps_of_it[0].before
            if isinstance(now, StoreUnavailable):
                self._answer(steps_of_it, now)
            elif isinstance(now, Record) and not is_mark(now):
                if before is None or not same_version(before, now):
                    differ[id] = before, now
            elif before is not None and time.time() + SKEW < before.expires:
                # Nothing but an end removes it before its time; so it ends in the new store, too.
                self._changes.append(Delete(id))
                self._answers.append(Outcome.DONE)
                self._answer(steps_of_it, Outcome.MISSING)
        if differ:
            await self._bring_along(differ, moved)

    async def _bring_along(
        self,
        differ: Mapping[bytes, tuple[Record | None, Record]],
        moved: Mapping[bytes, Sequence[_Step]],
    ) -> None:
        found = await self._new.load(list(differ))
        updates: list[Update] = []
        for id, (before, now) in differ.items():
            there = found.get(id)
            if isinstance(there, Record) and not is_mark(there):
                updates += changed_meanwhile(before, now, there)
        if updates:
            for update, outcome in zip(updates, await self._new.write(updates), strict=True):
                if isinstance(outcome, StoreUnavailable):
                    self._answer(moved[update.id], outcome)

    def _answer(self, steps: Iterable[_Step], answer: Outcome | StoreUnavailable) -> None:
        for step in steps:
            self._answers[step.number] = answer


def _is_there(answer: Answer | None) -> bool:
    return isinstance(answer, Record) and not is_mark(answer)
