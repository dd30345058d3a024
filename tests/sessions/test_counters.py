"""What is counted of sessions: each load, each commit, each call of the store, once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from app import Cookie, EventKind, Group, Route, SessionManager, SessionUnavailable
from app.sessions import token
from app.sessions.counters import ITEMS, Histogram
from app.sessions.gateway import Gateway
from stores import MemoryStore, Store, StoreUnavailable
from stores.contract import Change, Count, Outcome, Record, Unreadable
from tests.helpers.clock import FakeClock
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, do, steps, twin
from tests.helpers.stores_for_tests import FaultyStore, SpyStore

ROUTES = Group("/", Route("steps", Steps), sessions=True)

UNKNOWN = token.encode(token.new_id(), token.new_secret())

Counted = Callable[..., dict[Any, int]]


@pytest.fixture
def manager(clock: FakeClock) -> SessionManager:
    return SessionManager(FaultyStore(), clock=clock, max_bytes=1000)


@pytest.fixture
def browser(serve: Callable[..., Site], manager: SessionManager) -> Browser:
    return serve(ROUTES, manager).browser()


@pytest.fixture
def loads(manager: SessionManager) -> Counted:
    """Return the loads by outcome that were counted since the last look."""
    return since_last_look(manager.counters.loads)


@pytest.fixture
def commits(manager: SessionManager) -> Counted:
    """Return the commits by kind and outcome that were counted since the last look."""
    return since_last_look(manager.counters.commits)


def since_last_look(counts: Mapping[Any, int]) -> Counted:
    before = dict(counts)

    def look() -> dict[Any, int]:
        new = {key: count - before[key] for key, count in counts.items() if count != before[key]}
        before.update(counts)
        return new

    return look


def store_of(manager: SessionManager) -> FaultyStore:
    assert isinstance(manager.store, FaultyStore)
    return manager.store


async def ask(browser: Browser, *words: str, cookie: str | None = None) -> int:
    """Have the steps done, whatever the answer; return its status."""
    headers = {} if cookie is None else {"Cookie": cookie}
    return (await browser.get(steps(*words), headers=headers)).code


# Loads


@pytest.mark.gen_test
async def test_a_load_is_counted_by_what_was_presented(browser: Browser, loads: Counted) -> None:
    await do(browser)
    assert loads() == {"none": 1}
    await do(browser, "set a")
    assert loads() == {"none": 1}
    await do(browser)
    assert loads() == {"hit": 1}
    for cookie, outcome in {
        "other=1": "none",
        "session=": "malformed",
        "session=x": "malformed",
        f"session={UNKNOWN}": "unknown",
        f"session={UNKNOWN}; session={UNKNOWN[::-1]}": "unknown",
        f"session=x; session={browser.cookies['session']}": "hit",
    }.items():
        await ask(browser.site.browser(), cookie=cookie)
        assert loads() == {outcome: 1}, cookie


@pytest.mark.gen_test
async def test_a_wrong_secret_is_an_unknown_token(browser: Browser, loads: Counted) -> None:
    await do(browser, "set a")
    id, _ = token.decode(browser.cookies["session"])
    loads()
    await ask(browser.site.browser(), cookie=f"session={token.encode(id, token.new_secret())}")
    assert loads() == {"unknown": 1}


@pytest.mark.gen_test
async def test_an_expired_session_that_is_still_there_is_expired(
    browser: Browser, loads: Counted, clock: FakeClock
) -> None:
    await do(browser, "set a")
    clock.advance(timedelta(days=2).total_seconds())
    loads()
    await do(browser)
    assert loads() == {"expired": 1}


@pytest.mark.gen_test
async def test_a_token_that_was_just_replaced_is_replaced(
    browser: Browser, loads: Counted, manager: SessionManager, clock: FakeClock
) -> None:
    await do(browser, "set a")
    late = twin(browser)
    await do(browser, "regenerate")
    loads()
    await do(late)
    assert loads() == {"replaced": 1}
    assert manager.events.counts[EventKind.REPLACED_TOKEN_USED] == 1
    clock.advance(11)
    await do(late)
    assert loads() == {"unknown": 1}
    assert manager.events.counts[EventKind.REPLACED_TOKEN_USED] == 1


@pytest.mark.gen_test
async def test_several_tokens_are_several(browser: Browser, loads: Counted) -> None:
    other = browser.site.browser()
    await do(browser, "set a")
    await do(other, "set a")
    loads()
    both = f"session={browser.cookies['session']}; session={other.cookies['session']}"
    await ask(browser.site.browser(), cookie=both)
    assert loads() == {"several": 1}
    many = "; ".join(
        f"session={token.encode(token.new_id(), token.new_secret())}" for _ in range(17)
    )
    await ask(browser.site.browser(), cookie=many)
    assert loads() == {"several": 1}


@pytest.mark.gen_test
async def test_a_record_that_cannot_be_read_is_unreadable(
    browser: Browser, loads: Counted, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load(ids: Sequence[bytes]) -> Mapping[bytes, Unreadable]:
        return dict.fromkeys(ids, Unreadable("it is broken"))

    await do(browser, "set a")
    loads()
    monkeypatch.setattr(store_of(manager), "load", load)
    await do(browser)
    await do(browser)
    assert loads() == {"unreadable": 2}


@pytest.mark.gen_test
async def test_a_load_that_fails_has_no_outcome(
    browser: Browser, loads: Counted, manager: SessionManager
) -> None:
    await do(browser, "set a")
    loads()
    store_of(manager).break_down()
    assert await ask(browser) == 503
    assert loads() == {}
    assert manager.counters.calls["load"].failures["unavailable"] == 1


# Commits


@pytest.mark.gen_test
async def test_a_commit_is_counted_by_what_it_does(
    browser: Browser, commits: Counted, clock: FakeClock
) -> None:
    for words, counted in [
        ([], {}),
        (["set a"], {("create", "done"): 1}),
        ([], {}),
        (["set b"], {("update", "done"): 1}),
        (["delete b"], {("update", "done"): 1}),
        (["set b", "commit", "set c"], {("update", "done"): 2}),
        (["regenerate"], {("rotate", "done"): 1}),
        (["sign-in ada"], {("rotate", "done"): 1}),
        (["sign-in bob"], {("create", "done"): 1, ("destroy", "done"): 1}),
        (["set d", "status 500"], {}),
        (["destroy"], {("destroy", "done"): 1}),
        (["destroy"], {}),
        (["sign-in ada"], {("create", "done"): 1}),
    ]:
        await ask(browser, *words)
        assert commits() == counted, words
    clock.advance(timedelta(hours=5).total_seconds())
    await do(browser)
    assert commits() == {("touch", "done"): 1}


@pytest.mark.gen_test
async def test_what_comes_too_late_is_missing(browser: Browser, commits: Counted) -> None:
    await do(browser, "set a")
    held = await Held.at(twin(browser), "set b")
    await do(browser, "destroy")
    commits()
    await held.finish()
    assert commits() == {("update", "missing"): 1}


@pytest.mark.gen_test
async def test_a_second_rotation_is_a_conflict(browser: Browser, commits: Counted) -> None:
    await do(browser, "set a")
    held = await Held.at(twin(browser), "regenerate")
    await do(browser, "regenerate")
    commits()
    assert (await held.finish()).code == 409
    assert commits() == {("rotate", "conflict"): 1}


@pytest.mark.gen_test
async def test_what_is_too_large_or_not_acknowledged_is_said(
    browser: Browser, commits: Counted, manager: SessionManager
) -> None:
    assert await ask(browser, f'set a "{"x" * 1000}"') == 413
    assert commits() == {("create", "too_large"): 1}
    store_of(manager).break_down("write")
    assert await ask(browser, "set a") == 503
    assert commits() == {("create", "unavailable"): 1}


@pytest.mark.gen_test
async def test_a_session_that_may_not_begin_is_no_commit(
    manager: SessionManager, commits: Counted
) -> None:
    """The browser keeps the visitor's cookie back: nothing is begun, and nothing is missing."""
    session = await manager.load(None, withheld=True)
    session["a"] = 1
    assert await session.commit() is None
    assert commits() == {}


@pytest.mark.gen_test
async def test_ends_are_counted_by_reason(browser: Browser, manager: SessionManager) -> None:
    await do(browser, "sign-in ada")
    await do(browser, "sign-out")
    assert manager.events.counts[EventKind.SIGNED_OUT] == 1


@pytest.mark.gen_test
async def test_what_a_sweep_removes_is_counted(clock: FakeClock) -> None:
    store = MemoryStore()
    manager = SessionManager(store, clock=clock)
    for _ in range(3):
        session = await manager.load(None)
        session["a"] = 1
        await session.commit()
    clock.advance(timedelta(days=2).total_seconds())
    await manager._gateway._sweeper.sweep()
    assert manager.counters.swept == 3
    assert sum(manager.counters.calls["sweep"].seconds.counts) == 1
    await manager.close()


# Calls of the store


def batches(gateway: Gateway, operation: str) -> dict[float, int]:
    """Return how many calls there were by their size, rounded up to a bound."""
    items = gateway.counters.calls[operation].items
    return {b: n for b, n in zip(items.bounds, items.counts, strict=False) if n}


@pytest.mark.gen_test
async def test_a_batch_is_one_call_of_its_size() -> None:
    store = FaultyStore()
    gateway = Gateway(store)
    await gateway.open()
    store.gate["load"] = asyncio.Event()
    first = asyncio.ensure_future(gateway.load(os.urandom(16)))
    await asyncio.sleep(0)
    rest = [asyncio.ensure_future(gateway.load(os.urandom(16))) for _ in range(20)]
    await asyncio.sleep(0)
    store.gate.pop("load").set()
    await asyncio.gather(first, *rest)
    assert batches(gateway, "load") == {1: 1, 32: 1}
    assert sum(gateway.counters.calls["load"].seconds.counts) == 2
    assert gateway.counters.calls["load"].items.sum == 21
    await gateway.close()


@pytest.mark.gen_test
async def test_a_store_that_never_waits_is_counted_too() -> None:
    gateway = Gateway(MemoryStore())
    await gateway.load(bytes(16))
    await gateway.load_each([bytes(16), os.urandom(16)])
    assert batches(gateway, "load") == {1: 1, 2: 1}
    assert sum(gateway.counters.calls["open"].seconds.counts) == 1


class BadStore(SpyStore):
    """Answers what is no answer."""

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        return []

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
        return dict.fromkeys(ids, "nonsense")  # type: ignore[arg-type]

    async def count(self, *, exact: bool = False) -> Count:
        return 7  # type: ignore[return-value]


def failures(gateway: Gateway) -> dict[tuple[str, str], int]:
    return {
        (operation, reason): number
        for operation, calls in gateway.counters.calls.items()
        for reason, number in calls.failures.items()
        if number
    }


@pytest.mark.gen_test
@pytest.mark.parametrize("waits", [True, False])
async def test_a_failure_is_counted_by_reason(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FaultyStore()
    if not waits:
        monkeypatch.setattr(FaultyStore, "timeout", None)
    gateway = Gateway(store)
    await gateway.open()
    store.break_down("load", "ping")
    store.fail["write"] = ZeroDivisionError()
    for operation in (
        lambda: gateway.load(bytes(16)),
        lambda: gateway.write(Any),  # type: ignore[arg-type]
        gateway.ping,
    ):
        with pytest.raises(SessionUnavailable):
            await operation()
    assert failures(gateway) == {
        ("load", "unavailable"): 1,
        ("write", "error"): 1,
        ("ping", "unavailable"): 1,
    }


@pytest.mark.gen_test
async def test_an_answer_that_is_none_is_counted() -> None:
    gateway = Gateway(BadStore())
    for operation in (
        lambda: gateway.load(bytes(16)),
        lambda: gateway.write(Any),  # type: ignore[arg-type]
        gateway.count,
    ):
        with pytest.raises(SessionUnavailable):
            await operation()
    assert failures(gateway) == {
        ("load", "answer"): 1,
        ("write", "answer"): 1,
        ("count", "answer"): 1,
    }


@pytest.mark.gen_test
async def test_a_store_that_hangs_and_who_waits_for_it_are_counted() -> None:
    store = FaultyStore()
    store.timeout = 0.05
    gateway = Gateway(store)
    await gateway.open()
    store.gate["load"] = asyncio.Event()
    first = asyncio.ensure_future(gateway.load(os.urandom(16)))
    await asyncio.sleep(0)
    with pytest.raises(SessionUnavailable):
        await first
    assert failures(gateway) == {("load", "timeout"): 1}
    with pytest.raises(SessionUnavailable):
        await gateway.load(bytes(16), since=asyncio.get_running_loop().time() - 1)
    assert failures(gateway) == {("load", "timeout"): 1, ("load", "busy"): 1}
    await gateway.close()


@pytest.mark.gen_test
async def test_the_store_is_asked_for_an_estimate_only_where_cheap() -> None:
    class Scanned(SpyStore):
        """It has no count of its own, so that a count would go through all records."""

        count = Store.count

    assert await Gateway(MemoryStore()).count() == 0
    assert await Gateway(Scanned()).count() is None


def test_a_value_is_counted_in_the_first_bucket_that_it_fits() -> None:
    histogram = Histogram(ITEMS)
    for value in (1, 2, 3, 500, 501):
        histogram.observe(value)
    assert histogram.counts == [1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    assert histogram.sum == 1007


@pytest.mark.gen_test
async def test_two_managers_count_apart(serve: Callable[..., Site]) -> None:
    store: Store = MemoryStore()
    shop, admin = SessionManager(store), SessionManager(store, cookie=Cookie("admin"))
    routes = Group(
        "/",
        Route("steps", Steps),
        Group("admin", Route("steps", Steps), sessions=admin),
        sessions=True,
    )
    await do(serve(routes, shop).browser(), "set a")
    assert shop.counters.commits["create", "done"] == 1
    assert sum(admin.counters.commits.values()) == 0
    assert sum(admin.counters.loads.values()) == 0
