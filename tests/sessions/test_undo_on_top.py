"""Two sign-ins of one client at once, and neither stays: the former token goes on working."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app import SessionConflict, SessionManager, SessionUnavailable
from app.sessions import user_record
from stores import MemoryStore, Store, StoreUnavailable
from stores.contract import Change, Outcome, Update
from tests.helpers.cookies import header_of
from tests.helpers.devices import everywhere
from tests.helpers.simulated_time import simulate
from tests.helpers.steps import PATIENCE
from tests.helpers.stores_for_tests import SpyStore

USER = "ada"


class Waiting(SpyStore):
    """Lets a sign-in wait once it is written: for the answer, which is lost, or for its look."""

    timeout = PATIENCE

    def __init__(self, inner: Store, what: str) -> None:
        super().__init__(inner)
        self.go = asyncio.Event()
        self.written = 0
        self._what = what

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        outcomes = await super().write(changes)
        if any(map(_signs_in, changes)) and outcomes[0] is Outcome.DONE:
            self.written += 1
            if self._what == "answer":
                await self.go.wait()
                raise StoreUnavailable("the answer was lost")
        return outcomes

    async def load(self, ids: Sequence[bytes]) -> Any:
        if self._what == "look" and user_record.id_of(USER) in ids and self.written:
            await self.go.wait()
        return await super().load(ids)


def _signs_in(change: Change) -> bool:
    return (
        isinstance(change, Update) and change.rotation is not None and change.rotation.user == USER
    )


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def scenario(processes: int, what: str) -> None:
    store = MemoryStore()
    views = [Waiting(store, what) for _ in range(processes)]
    managers = [SessionManager(view) for view in views]
    plain = SessionManager(store)
    session = await plain.load(None)
    session["cart"] = 1
    former = header_of(await session.commit())

    requests = [await managers[n % processes].load(former) for n in range(2)]
    if what == "look":  # a fence that is younger than both
        await everywhere(plain, USER)
    answers = []
    for request in requests:
        request.sign_in(USER)
        answers.append(asyncio.ensure_future(request.commit()))
        await until(lambda: sum(view.written for view in views) == len(answers))
    for view, answer in zip(views, answers, strict=False):
        view.go.set()
        await asyncio.wait((answer,))
        await asyncio.sleep(1)  # until it has been tried to undo it
    await asyncio.wait(answers)
    await until(lambda: not any(manager.unsettled for manager in managers))

    errors = {type(answer.exception()) for answer in answers}
    assert errors == {SessionUnavailable if what == "answer" else SessionConflict}
    found = await plain.load(former)
    assert (found.user, dict(found)) == (None, {"cart": 1})
    assert await plain.devices(USER) == []
    for manager in managers:
        await manager.close()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("what", ["answer", "look"])
def test_a_sign_in_on_top_of_another_is_undone_with_it(
    monkeypatch: pytest.MonkeyPatch, processes: int, what: str
) -> None:
    """The one that goes on with the other's token gives that back, which no client has."""
    simulate(monkeypatch, 0, scenario(processes, what))
