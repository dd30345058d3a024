"""A commit that is cancelled at any point: the client's token works, and other commits do."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from app import Group, Route, Session, SessionManager
from stores import MemoryStore, Store, StoreUnavailable
from stores.contract import Change, Outcome, Record, Unreadable
from tests.helpers.cookies import header_of
from tests.helpers.pages import Page
from tests.helpers.records import sessions_in
from tests.helpers.site import Site
from tests.helpers.steps import until
from tests.helpers.stores_for_tests import FaultyStore


class SlowStore(FaultyStore):
    """Takes some turns of the loop before it works, and some after."""

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        await turns(3)
        found = await super().load(ids)
        await turns(3)
        return found

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        await turns(3)
        outcomes = await super().write(changes)
        await turns(3)
        return outcomes


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.fixture
def manager(any_store: Store, io_loop: Any) -> Any:
    manager = SessionManager(SlowStore(any_store))
    yield manager
    io_loop.run_sync(manager.close)


async def begun(manager: SessionManager) -> str:
    session = await manager.load(None)
    session.update({"a": 1, "c": 1})
    return header_of(await session.commit())


def sign_in(session: Session) -> None:
    session.sign_in("ada")
    session["a"] = 2
    session["b"] = 2
    del session["c"]


MAX_TURNS = 60
"""Turns after which a test of cancelling stops: a server's answer takes any number of them."""


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("company", ["alone", "in a batch", "after a conflict"])
async def test_a_cancelled_sign_in_leaves_the_token_as_it_was(
    manager: SessionManager, company: str
) -> None:
    """Or it is done: cancelled in each turn of the loop, by itself or with others."""
    ends = set()
    for number in range(MAX_TURNS):
        header = await begun(manager)
        session = await manager.load(header)
        sign_in(session)
        others: list[asyncio.Task[Any]] = []
        if company == "after a conflict":
            other = await manager.load(header)
            other.sign_in("ada")
            header = header_of(await other.commit())
        elif company == "in a batch":
            others = [asyncio.ensure_future(begun(manager)) for _ in range(2)]
            await turns(2)
        commit = asyncio.ensure_future(session.commit())
        await turns(number)
        commit.cancel()
        await asyncio.wait([commit])
        await asyncio.gather(*others)
        await until(lambda: not manager.unsettled, "the rotation to be undone")
        ends.add(commit.cancelled())
        if commit.cancelled():
            found = await manager.load(header)
            user = "ada" if company == "after a conflict" else None
            assert (found.user, dict(found)) == (user, {"a": 1, "c": 1}), number
            again = await session.commit()  # as at the end of the handler
            found = await manager.load(header_of(again))
        else:
            found = await manager.load(header_of(commit.result()))
        assert (found.user, dict(found)) == ("ada", {"a": 2, "b": 2}), number
        if not commit.cancelled():
            break
    assert True in ends


@pytest.mark.gen_test(timeout=30)
async def test_a_handler_that_gives_up_a_commit_can_go_on(serve: Callable[..., Site]) -> None:
    """The response saves what the handler did not wait for."""
    store = FaultyStore()

    class SignsIn(Page):
        async def get(self) -> None:
            if self.session.user is None:
                self.session.sign_in("ada")
                store.gate["write"] = asyncio.Event()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.session.commit(), 0.02)
                store.mend()
            self.session["seen"] = 1
            self.write(str(self.session.user))

    class Begins(Page):
        def get(self) -> None:
            self.session["cart"] = 1

    routes = Group("/", Route("in", SignsIn), Route("begin", Begins), sessions=True)
    browser = serve(routes, SessionManager(store)).browser()
    await browser.get("/begin")
    assert await browser.text("/in") == "ada"
    assert await browser.text("/in") == "ada"
    assert sessions_in(store) == 1


# Several tasks that commit one session


def plain(session: Session) -> None:
    session["a"] = 2


def rotate(session: Session) -> None:
    session["a"] = 2
    session.regenerate()


def begin(session: Session) -> None:
    session.destroy()
    session["a"] = 2


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("victim", range(4))
@pytest.mark.parametrize("change", [plain, rotate, sign_in, begin])
async def test_of_tasks_that_commit_one_session_any_can_give_up(
    victim: int, change: Callable[[Session], None]
) -> None:
    """The others are answered as if it had not been there."""
    manager = SessionManager(SlowStore(MemoryStore()))
    for number in itertools.count():
        session = await manager.load(await begun(manager))
        change(session)
        commits = [asyncio.ensure_future(session.commit()) for _ in range(4)]
        await turns(number)
        finished = commits[victim].done()
        commits[victim].cancel()
        results = await asyncio.gather(*commits, return_exceptions=True)
        del results[victim]
        assert not [r for r in results if isinstance(r, BaseException)], (number, results)
        if change is not plain:
            found = await manager.load(header_of(results[-1]))  # type: ignore[arg-type]
            assert found["a"] == 2
        assert session["a"] == 2
        if finished:
            break
    assert number > 6
    await manager.close()


@pytest.mark.gen_test(timeout=30)
async def test_of_two_tasks_one_failed_the_other_saves() -> None:
    store = FaultyStore()
    manager = SessionManager(store)
    session = await manager.load(await begun(manager))
    session["a"] = 2
    store.gate["write"] = asyncio.Event()
    commits = [asyncio.ensure_future(session.commit()) for _ in range(3)]
    await until(lambda: store.waiting, "the first to write")
    fails = iter([StoreUnavailable("out of order")])

    def once() -> Exception:
        del store.fail["write"]
        return next(fails)

    store.fail["write"] = once
    store.gate.pop("write").set()
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert ["503" in str(result) for result in results] == [True, False, False]
    assert results[1:] == [None, None]
    await manager.close()


@pytest.mark.gen_test(timeout=30)
async def test_a_change_given_up_before_it_was_sent_is_not_sent() -> None:
    """What a request was refused does not happen later."""
    store = FaultyStore()
    manager = SessionManager(store)
    sessions = [await manager.load(await begun(manager)) for _ in range(4)]
    for session in sessions:
        session["a"] = 2
    store.gate["write"] = asyncio.Event()
    commits: list[asyncio.Task[Any]] = []
    for session in sessions:
        commits.append(asyncio.ensure_future(session.commit()))
        await turns(5)
    assert store.waiting == 2  # so the last two wait for those before
    commits[2].cancel()
    await turns(2)
    store.calls.clear()
    store.gate.pop("write").set()
    await asyncio.gather(*commits, return_exceptions=True)
    assert store.kinds == ["Update"] * 3
    await manager.close()


@pytest.mark.gen_test(timeout=30)
async def test_who_waits_for_a_store_that_is_closed_is_refused() -> None:
    """By 503: nobody gets a `CancelledError` that was not cancelled."""
    store = FaultyStore()
    manager = SessionManager(store)
    store.gate["open"] = asyncio.Event()
    loads: list[Coroutine[Any, Any, Any]] = [manager.load(f"session={'A' * 54}") for _ in range(3)]
    tasks = [asyncio.ensure_future(load) for load in loads]
    await until(lambda: store.waiting, "the store to be opened")
    await manager.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert ["503" in str(result) for result in results] == [True] * 3
