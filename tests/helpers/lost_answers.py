"""A store that loses rotations of tokens, or the answers to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stores import Store, StoreUnavailable
from stores.contract import Change, Outcome, Update
from tests.helpers.stores_for_tests import FaultyStore

DONE, LOST, UNANSWERED, LATE = "done", "lost", "unanswered", "late"
FATES = (DONE, LOST, UNANSWERED, LATE)


class LosingStore(FaultyStore):
    """Does with each rotation as *fate* says, undoing ones too; `late` ones are on their way."""

    def __init__(self, inner: Store, fate: Callable[[], str] = lambda: DONE) -> None:
        super().__init__(inner)
        self.fate = fate
        self.late: list[Change] = []

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        await self._before("write")
        self.calls.append(("write", list(changes)))
        return [await self._write(change) for change in changes]

    async def _write(self, change: Change) -> Outcome | StoreUnavailable:
        rotates = isinstance(change, Update) and change.rotation is not None
        fate = self.fate() if rotates else DONE
        if fate in (DONE, UNANSWERED):
            outcome = (await self.inner.write([change]))[0]
            if fate is DONE:
                return outcome
        elif fate is LATE:
            self.late.append(change)
        return StoreUnavailable("no answer")

    async def arrive(self) -> list[Outcome | StoreUnavailable]:
        """Let what is on its way arrive, one after the other."""
        late, self.late = self.late, []
        return [(await self.inner.write([change]))[0] for change in late]
