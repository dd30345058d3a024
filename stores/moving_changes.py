"""Applying changes while sessions move: the changes of one call, until each has its answer.

A session is looked for in the new store, then in the old one. A change goes to the new store; what
only the old one has is created there by the same step. Before it is read for that, a call goes out:
a process that still changes it in the old store looks for one afterwards, and changes it anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from stores.applying import has_values
from stores.contract import (
    Change,
    Create,
    Delete,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Unopened,
    Unreadable,
    Update,
)
from stores.moving_look import Answer, Aside
from stores.moving_mark import beginning_anew, call_for, ending, id_of_call, is_mark, mark_of

MAX_LOOKS = 100
"""Looks at a record that others keep changing; the deadline usually comes first."""


class _Step(NamedTuple):
    """What is sent for a change, and what was seen before."""

    number: int
    change: Change
    to_old: bool
    new: Answer | None
    old: Answer | None
    is_last: bool = True
    """Whether the change is applied by this, when it is done."""

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
        self._changes = changes
        self._answers: list[Outcome | StoreUnavailable] = [Outcome.DONE] * len(changes)
        self._applied_in_old: set[int] = set()
        self._must_move: set[bytes] = set()
        self._called: set[bytes] = set()
        self._not_called: dict[bytes, StoreUnavailable] = {}

    async def run(self) -> Sequence[Outcome | StoreUnavailable]:
        """Return the answers. Raises what the new store raises, when there is no answer to any."""
        every = range(len(self._changes))
        ends = [i for i in every if isinstance(self._changes[i], Delete)]
        others = {change.id for change in self._changes if not isinstance(change, Delete)}
        # What is changed and ended in one call ends: the end has to find what the change creates.
        after = {i for i in ends if self._changes[i].id in others}
        await self._settle([i for i in every if i not in after])
        await self._settle(sorted(after))
        # Only now, for the mark has to be there before.
        ended = [i for i in ends if self._answers[i] is Outcome.DONE]
        told = await self._old.write([self._changes[i] for i in ended])
        for i, outcome in zip(ended, told, strict=True):
            self._answers[i] = outcome
        return self._answers

    async def _settle(self, pending: Sequence[int]) -> None:
        for _ in range(MAX_LOOKS):
            if not pending:
                return
            pending = await self._round(pending)
        for i in pending:
            self._answers[i] = StoreUnavailable("a record changed whenever it was to be changed")

    async def _round(self, pending: Sequence[int]) -> list[int]:
        """Look and send once; return those that have no answer yet."""
        new, old = await self._look(pending)
        steps: list[_Step] = []
        for i in pending:
            id = self._changes[i].id
            decided = self._decide(i, new.get(id), old.get(id))
            if isinstance(decided, _Step):
                steps.append(decided)
            else:
                self._answers[i] = decided
        again: list[int] = []
        if to_new := [step for step in steps if not step.to_old]:
            again += self._conclude(to_new, await self._new.write([s.change for s in to_new]))
        if to_old := [step for step in steps if step.to_old]:
            again += self._conclude(to_old, await self._old.write([s.change for s in to_old]))
        await self._call_off([step for step in to_new if step.number not in again])
        return again

    async def _look(
        self, pending: Sequence[int]
    ) -> tuple[Mapping[bytes, Answer], Mapping[bytes, Answer]]:
        """Return the pending changes' records: the new store's, and the old one's of the rest."""
        changes = [self._changes[i] for i in pending]
        applied = {self._changes[i].id for i in pending if i in self._applied_in_old}
        if applied:
            # The calls first: one that was called off by now has left the record there.
            calls = await self._new.load([id_of_call(id) for id in applied])
            self._must_move |= {id for id in applied if id_of_call(id) in calls}
        # The new store itself tells that an id is taken, of which it is asked when one is created.
        asked = {c.id for c in changes if not (self._moves and isinstance(c, Create))}
        new = await self._new.load(list(asked)) if asked else {}
        absent = {change.id for change in changes} - new.keys()
        updated = {c.id for c in changes if isinstance(c, Update)} & absent
        await self._call(updated if self._moves else updated & self._must_move)
        # What was applied in the old store, and is not called for, is answered.
        unsure = {self._changes[i].id for i in pending if i not in self._applied_in_old}
        return new, await self._old.load(list(absent & (unsure | self._must_move)))

    async def _call(self, ids: Set[bytes]) -> None:
        wanted = list(ids - self._called)
        if not wanted:
            return
        told = await self._new.write([call_for(id) for id in wanted])
        for id, outcome in zip(wanted, told, strict=True):
            if isinstance(outcome, StoreUnavailable):
                self._not_called[id] = outcome
            else:
                self._called.add(id)

    # What to send

    def _decide(
        self, i: int, new: Answer | None, old: Answer | None
    ) -> _Step | Outcome | StoreUnavailable:
        """Return what to send for a change, or its answer if that is known already."""
        change = self._changes[i]
        if isinstance(change, Delete):  # it names the record, whose values need not open
            new = new.record if isinstance(new, Unopened) else new
            old = old.record if isinstance(old, Unopened) else old
        if isinstance(new, StoreUnavailable):
            return new
        if isinstance(change, Create):
            if new is not None or isinstance(old, Unreadable | Unopened) or _is_there(old):
                return Outcome.EXISTS
            # An id is random: nobody's session has to wait for the old store's answer.
            return _Step(i, change, not self._moves, new, old)
        if isinstance(old, StoreUnavailable):
            return old
        if isinstance(change, Delete):
            return self._decide_end(i, change, new, old)
        if new is None:
            return self._decide_in_old(i, change, old)
        return self._decide_in_new(i, change, new)

    def _decide_in_new(self, i: int, change: Update, new: Answer) -> _Step | Outcome:
        if isinstance(new, Record) and is_mark(new):
            if change.or_create is None:
                return Outcome.MISSING
            anew = beginning_anew(new, change)
            return anew if isinstance(anew, Outcome) else _Step(i, anew, False, new, None)
        if i in self._applied_in_old and _is_made(change, new):
            return Outcome.DONE  # it was moved with the change
        return _Step(i, change, False, new, None)

    def _decide_in_old(
        self, i: int, change: Update, old: Answer | None
    ) -> _Step | Outcome | StoreUnavailable:
        moves = self._moves
        if i in self._applied_in_old:
            if change.id not in self._must_move:
                return Outcome.DONE
            moves = True
        if isinstance(old, Unreadable):
            return StoreUnavailable(f"a record cannot be changed: {old.reason}")
        begin = old if isinstance(old, Record) and not is_mark(old) else change.or_create
        if begin is None:
            return Outcome.MISSING
        if moves and change.id in self._not_called:
            return self._not_called[change.id]
        if moves and i in self._applied_in_old and _is_made(change, begin):
            return _Step(i, Update(change.id, or_create=begin), False, None, old, is_last=False)
        if moves:
            return _Step(i, change._replace(or_create=begin), False, None, old)
        if isinstance(old, Record) and is_mark(old):
            anew = beginning_anew(old, change)
            return anew if isinstance(anew, Outcome) else _Step(i, anew, True, None, old, False)
        return _Step(i, change, True, None, old, is_last=False)

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
        if outcome is Outcome.DONE:
            if step.to_old:
                self._applied_in_old.add(step.number)
            return not step.is_last
        if is_mark(step.there):
            return outcome in (Outcome.CONFLICT, Outcome.MISSING)
        before = step.before or change.or_create
        return outcome is Outcome.CONFLICT and before is not None and _expects(change, before)

    async def _call_off(self, steps: Sequence[_Step]) -> None:
        """Remove the calls for what is in the new store now. Others may be needed by others yet."""
        there = {
            step.change.id
            for step in steps
            if step.change.id in self._called and self._answers[step.number] is Outcome.DONE
        }
        if not there:
            return
        self._called -= there
        # If this fails, they expire.
        with contextlib.suppress(StoreUnavailable):
            await self._new.write([Delete(id_of_call(id)) for id in there])


def _is_there(answer: Answer | None) -> bool:
    return isinstance(answer, Record) and not is_mark(answer)


def _expects(change: Update, record: Record) -> bool:
    """Tell whether *change* is to be applied to *record*."""
    return (change.rotation is None or change.rotation.expects(record)) and has_values(
        record, change.expected
    )


def _is_made(change: Update, there: Answer) -> bool:
    """Tell whether *there* is the record after a change that could not be applied to it again."""
    if not isinstance(there, Record):
        return False
    if change.rotation is not None:
        return there.secret_hash == change.rotation.secret_hash
    return bool(change.expected) and has_values(there, change.set)
