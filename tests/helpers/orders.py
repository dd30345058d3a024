"""Every order in which the store calls of requests at the same time can come."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from stores import Store, StoreUnavailable
from stores.contract import Change, Outcome, Record, Unreadable
from tests.helpers.steps import PATIENCE
from tests.helpers.stores_for_tests import SpyStore


class Order:
    """Lets store calls go one by one, in the order of *choices*; `taken` has (choice, of how many).

    Where *choices* end, the call that waits longest goes first.
    """

    def __init__(self, store: Store, choices: Sequence[int]) -> None:
        self.store = store
        self.taken: list[tuple[int, int]] = []
        self.ended: list[int] = []
        """The numbers of the requests, in the order in which they ended."""
        self._choices = choices
        self._waiting: list[asyncio.Event] = []
        self._working: asyncio.Event | None = None

    def view(self, store: Store | None = None) -> Store:
        """Return a store as one process sees it; its calls go when it is their turn."""
        return _View(self, self.store if store is None else store)

    async def run(self, *requests: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run *requests*, which make one store call at a time; return results or exceptions."""
        tasks = [asyncio.ensure_future(request) for request in requests]
        for number, task in enumerate(tasks):
            task.add_done_callback(functools.partial(self._note, number))
        async with asyncio.timeout(PATIENCE):
            while left := [task for task in tasks if not task.done()]:
                if len(self._waiting) < len(left):
                    await asyncio.sleep(0)
                    continue
                step, options = len(self.taken), len(self._waiting)
                choice = self._choices[step] % options if step < len(self._choices) else 0
                self.taken.append((choice, options))
                self._working = asyncio.Event()
                self._waiting.pop(choice).set()
                await self._working.wait()
                for _ in range(10):  # until the request has ended or calls again
                    await asyncio.sleep(0)
        return await asyncio.gather(*tasks, return_exceptions=True)

    def _note(self, number: int, request: asyncio.Task[Any]) -> None:
        self.ended.append(number)

    async def turn(self) -> Callable[[], None]:
        """Return when it is the caller's turn; it calls what is returned when it has worked."""
        go = asyncio.Event()
        self._waiting.append(go)
        await go.wait()
        assert self._working is not None
        return self._working.set


async def in_every_order(store: Store, scenario: Callable[[Order], Awaitable[None]]) -> int:
    """Run *scenario* once for every order of the calls within `Order.run`; return how many."""
    choices: list[int] = []
    runs = 0
    while True:
        order = Order(store, choices)
        try:
            await scenario(order)
        except AssertionError as error:
            error.add_note(f"in the order {order.taken}")
            raise
        runs += 1
        taken = order.taken
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return runs
        choices = [*(choice for choice, _ in taken[:-1]), taken[-1][0] + 1]


async def all_orders(
    store: Store, scenario: Callable[[Order], Awaitable[None]]
) -> list[Sequence[int]]:
    """Return every order of *scenario*; it is run on *store*, one order after another."""
    orders: list[Sequence[int]] = []

    async def note(order: Order) -> None:
        await scenario(order)
        orders.append([choice for choice, _ in order.taken])

    await in_every_order(store, note)
    return orders


def some_orders(count: int) -> list[Sequence[int]]:
    """Return so many orders by chance, for a scenario that has too many to run all."""
    chance = random.Random(0)
    return [[chance.randrange(60) for _ in range(60)] for _ in range(count)]


async def in_these_orders(
    store: Store,
    scenario: Callable[[Order], Awaitable[None]],
    orders: Sequence[Sequence[int]],
    at_once: int = 3,
) -> None:
    """Run *scenario* in each of *orders*, several at once; these must not meet in the store."""
    left = list(reversed(orders))

    async def work() -> None:
        while left:
            order = Order(store, left.pop())
            try:
                await scenario(order)
            except AssertionError as error:
                error.add_note(f"in the order {order.taken}")
                raise

    await asyncio.gather(*(work() for _ in range(at_once)))


class _View(SpyStore):
    timeout = PATIENCE

    def __init__(self, order: Order, store: Store) -> None:
        super().__init__(store)
        self._order = order

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        worked = await self._order.turn()
        try:
            return await super().load(ids)
        finally:
            worked()

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        worked = await self._order.turn()
        try:
            return await super().write(changes)
        finally:
            worked()
