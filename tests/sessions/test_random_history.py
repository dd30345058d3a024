"""Many clients over few sessions, at random, over every store; the history is checked afterwards.

HISTORY_OPERATIONS is the number of requests of one run (600), HISTORY_RUNS of runs a store (2),
HISTORY_SEED the first run's seed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from tornado.httpclient import HTTPResponse

from app import Group, Route, SessionManager
from app.sessions import token
from app.sessions.recognition import GRACE
from stores import Store, StoreUnavailable
from stores.contract import Update
from tests.helpers.clock import FakeClock
from tests.helpers.history import Operation, report, violations
from tests.helpers.lost_answers import DONE, FATES, LosingStore
from tests.helpers.site import Browser, Site
from tests.helpers.steps import PATIENCE, Steps, cookies_set, steps, until

OPERATIONS = int(os.environ.get("HISTORY_OPERATIONS", "600"))
RUNS = int(os.environ.get("HISTORY_RUNS", "2"))
SEED = int(os.environ.get("HISTORY_SEED", "1"))

SESSIONS, JARS, TABS = 3, 2, 3
"""Sessions begun at first, browsers that share the cookie of each, requests of each at a time."""

KINDS = {
    "read": 30,
    "set": 30,
    "delete": 10,
    "fail": 4,
    "regenerate": 8,
    "sign-in": 6,
    "sign-out": 4,
}
KEYS = "abc"
USERS = ("ada", "eve")
LISTS = "c"
"""Of these keys the value is kept in a list, of which each request that reads it gets a copy."""

DAY = 24 * 3600


class FlakyStore(LosingStore):
    """Fails now and then, before it does anything; loses rotations, or the answers to them."""

    def __init__(self, inner: Store, choice: random.Random) -> None:
        super().__init__(inner, lambda: choice.choices(FATES, (20, 1, 1, 1))[0])
        self.timeout = PATIENCE
        self._choice = choice

    async def _before(self, operation: str) -> None:
        await super()._before(operation)
        if operation in ("load", "write") and self._choice.random() < 0.02:
            raise StoreUnavailable("out of order for a moment")


class Client:
    """A browser whose requests go to one of several processes."""

    def __init__(self, sites: list[Site], cookies: dict[str, str] | None = None) -> None:
        self.browsers = [Browser(site) for site in sites]
        self.cookies = {} if cookies is None else dict(cookies)
        for browser in self.browsers:
            browser.cookies = self.cookies


class Run:
    """Sends requests and notes what became of them in `history`."""

    def __init__(
        self, sites: list[Site], views: list[FlakyStore], clock: FakeClock, seed: int
    ) -> None:
        self.sites = sites
        self.views = views
        self.clock = clock
        self.choice = random.Random(seed)
        self.history: list[Operation] = []
        self._time = itertools.count()
        self._jumps = 6  # all together less than the idle time

    async def go(self) -> None:
        """Do everything, and read every session once more when all is quiet."""
        clients = []
        for _ in range(SESSIONS):
            first = Client(self.sites)
            while "session" not in first.cookies:
                await self.request(first, "set")
            clients += [first, *(Client(self.sites, first.cookies) for _ in range(JARS - 1))]
        left = itertools.count(1)

        async def tab(client: Client) -> None:
            while next(left) <= OPERATIONS:
                (kind,) = self.choice.choices(list(KINDS), list(KINDS.values()))
                await self.request(client, kind)

        await asyncio.gather(*(tab(client) for client in clients for _ in range(TABS)))
        for view in self.views:
            view.fate = lambda: DONE
        # One that another sign-in covers waits for as long as that may be undone itself.
        await until(
            lambda: not any(s.application.unsettled for s in self.sites),
            "the undos",
            GRACE + PATIENCE,
        )
        self._note_settled()
        for view in self.views:
            await view.arrive()
        for client in clients:
            await self.request(client, "read")

    async def request(self, client: Client, kind: str) -> None:
        self._pass_time()
        number = len(self.history)
        key = self.choice.choice(KEYS) if kind in ("set", "delete", "fail") else ""
        operation = Operation(number, kind, key, client.cookies.get("session"), next(self._time))
        if kind == "sign-in":
            operation.user = self.choice.choice(USERS)
        self.history.append(operation)
        browser = self.choice.choice(client.browsers)
        began = self.clock()
        response = await browser.get(steps(*self._steps(operation)))
        operation.end = next(self._time)
        operation.late = self.clock() - began > GRACE
        _note(operation, response)
        self._note_settled()
        if self.choice.random() < 0.1:
            for view in self.views:
                await view.arrive()

    def _note_settled(self) -> None:
        if not any(site.application.unsettled for site in self.sites):
            for operation in self.history:
                if operation.status == 503 and operation.settled == float("inf"):
                    operation.settled = next(self._time)

    def _steps(self, o: Operation) -> list[str]:
        value = json.dumps([o.number] if o.key in LISTS else o.number)
        change = {
            "set": f"set {o.key} {value}",
            "fail": f"set {o.key} {value}",
            "delete": f"delete {o.key}",
            "sign-in": f"sign-in {o.user}",
        }
        words = [f"turns {self.choice.randrange(4)}"]
        if o.kind != "read":
            words.append(change.get(o.kind, o.kind))
        words.append(f"turns {self.choice.randrange(4)}")
        return [*words, "status 500"] if o.kind == "fail" else words

    def _pass_time(self) -> None:
        """Move the clock: past the grace time of a former token, now and then until touches."""
        self.clock.advance(self.choice.random() * 0.3)
        if self._jumps and self.choice.random() < 0.02:
            self._jumps -= 1
            self.clock.advance(4 * DAY)


def _note(o: Operation, response: HTTPResponse) -> None:
    o.status = response.code
    for cookie in cookies_set(response):
        value = cookie.partition(";")[0].partition("=")[2]
        if value:
            o.token_set = value
            o.id_set = token.public_id(token.decode(value)[0])
        else:
            o.removed = True
    if o.status == 200:
        was = json.loads(response.body)["was"]
        o.session = was["id"]
        o.seen = {k: v[0] if k in LISTS else v for k, v in was["data"].items()}
        if was["user"] is not None:
            o.seen["@user"] = was["user"]


async def _left_over(store: Store, history: list[Operation]) -> list[str]:
    """Tell which session has a record though its end was acknowledged."""
    ended = {o.session for o in history if o.done and o.ends and o.session and not o.late}
    found = await store.load([urlsafe_b64decode(id + "==") for id in ended])
    return [f"there is a record of {token.public_id(id)}, which was ended" for id in found]


@pytest.mark.gen_test(timeout=60 + OPERATIONS / 10)
@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
async def test_a_random_history_keeps_every_promise(
    serve: Callable[..., Site], any_store: Store, clock: FakeClock, seed: int
) -> None:
    views = [FlakyStore(any_store, random.Random(seed + n)) for n in range(2)]
    routes = Group("/", Route("steps", Steps), sessions=True)
    sites = [
        serve(
            routes,
            SessionManager(
                view,
                clock=clock,
                idle_timeout=timedelta(days=30),
                lifetime=timedelta(days=365),
            ),
        )
        for view in views
    ]
    run = Run(sites, views, clock, seed)
    await run.go()
    found = [*violations(run.history), *(await _left_over(any_store, run.history))]
    assert not found, report(seed, run.history, found)

    counts = Counter(f"{o.kind} {o.status}" for o in run.history)
    updates = [i for v in views for k, items in v.calls if k == "write" for i in items]
    counts["touches"] = sum(isinstance(u, Update) and u.expires is not None for u in updates)
    counts["ends"] = sum(o.done and o.ends and o.session is not None for o in run.history)
    print(f"seed {seed}: {len(run.history)} requests, {dict(sorted(counts.items()))}")
    statuses = {o.status for o in run.history}
    assert {200, 500} <= statuses <= {200, 409, 500, 503}
    assert counts["ends"]
