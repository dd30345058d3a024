"""Two applications over one store, as two processes would be, and requests that meet in it."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tornado.httpclient import HTTPResponse

from app import Group, Route, SessionManager
from stores import Store
from stores.contract import Create, Record
from tests.helpers.clock import FakeClock
from tests.helpers.records import load_records
from tests.helpers.site import Browser, Site
from tests.helpers.steps import PATIENCE, Held, Steps, do, steps, twin, until
from tests.helpers.stores_for_tests import FaultyStore

ROUNDS = int(os.environ.get("RACE_ROUNDS", "2"))
"""How often each race is run."""

ROUTES = Group("/", Route("steps", Steps), sessions=True)


class TwoProcesses:
    """Two served applications with managers of their own; `happened` counts what met."""

    def __init__(self, serve: Callable[..., Site], store: Store, clock: FakeClock) -> None:
        self.store = store
        self.views = [FaultyStore(store), FaultyStore(store)]
        for view in self.views:
            view.timeout = PATIENCE
        self.sites = [serve(ROUTES, SessionManager(view, clock=clock)) for view in self.views]
        self.happened: Counter[str] = Counter()

    def browser(self) -> Browser:
        """Return a client of the first process, without cookies."""
        return self.sites[0].browser()

    def elsewhere(self, browser: Browser) -> Browser:
        """Return a client of the other process, with the same cookies."""
        other = self.sites[1].browser()
        other.cookies = dict(browser.cookies)
        return other

    async def records(self) -> list[Record]:
        """Return what the store has of every session that was begun here."""
        begun = [
            item.id
            for view in self.views
            for kind, items in view.calls
            if kind == "write"
            for item in items
            if isinstance(item, Create)
        ]
        return list((await load_records(self.store, begun)).values()) if begun else []

    def saw(self, held: Held, what: str) -> None:
        """Count that *held* is still in its handler, now that the other request is answered."""
        assert held.waits
        self.happened[what] += 1

    async def in_one_batch(
        self, browser: Browser, first: tuple[str, ...], second: tuple[str, ...]
    ) -> tuple[HTTPResponse, HTTPResponse]:
        """Do both in one process, their writes sent to the store in one call."""
        view = self.views[0]
        held = [await Held.at(twin(browser), *words) for words in (first, second)]
        # What comes while a write is on its way goes together.
        view.gate["write"] = asyncio.Event()
        other = self.browser()
        ahead = asyncio.ensure_future(do(other, "set ahead 1"))
        await until(lambda: view.waiting == 1, "a write to be on its way")
        requests = [request.release() for request in held]
        await _turns(10)
        before = len(view.calls)
        view.gate.pop("write").set()
        answers = await asyncio.gather(*requests)
        writes = [items for kind, items in view.calls[before:] if kind == "write"]
        assert any(map(_of_two, writes)), writes
        self.happened["both in one batch"] += 1
        await ahead
        await do(other, "destroy")
        return answers[0], answers[1]

    async def at_once(
        self, browser: Browser, first: tuple[str, ...], second: tuple[str, ...]
    ) -> tuple[HTTPResponse, HTTPResponse]:
        """Do one in each process, both writes let go to the store in the same moment."""
        gate = asyncio.Event()
        for view in self.views:
            view.gate["write"] = gate
        clients = (twin(browser), self.elsewhere(browser))
        requests = [
            asyncio.ensure_future(client.get(steps(*words)))
            for client, words in zip(clients, (first, second), strict=True)
        ]
        await until(lambda: [v.waiting for v in self.views] == [1, 1], "both to write")
        gate.set()
        answers = await asyncio.gather(*requests)
        for view in self.views:
            view.mend()
        self.happened["both at the store"] += 1
        return answers[0], answers[1]

    async def one_by_one(
        self, browser: Browser, first: tuple[str, ...], second: tuple[str, ...]
    ) -> tuple[HTTPResponse, HTTPResponse]:
        """Do one in each process, both loaded before either writes; *first* writes first."""
        held = [
            await Held.at(twin(browser), *first),
            await Held.at(self.elsewhere(browser), *second),
        ]
        answer = await held[0].finish()
        self.saw(held[1], "both loaded, one after the other")
        return answer, await held[1].finish()


def _of_two(changes: Sequence[Any]) -> bool:
    """Tell whether *changes* are those of two requests of one client.

    They are about one record, or each begins its own. A sign-in alone changes two: its user's, too.
    """
    ids = [change.id for change in changes]
    return len(set(ids)) < len(ids) or sum(isinstance(each, Create) for each in changes) == 2


MEETINGS = {
    "in one batch": TwoProcesses.in_one_batch,
    "at once": TwoProcesses.at_once,
    "one by one": TwoProcesses.one_by_one,
}
"""The ways in which the writes of two requests can meet."""


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
