"""A request waits for the store once as long as the store may take, however often it asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from app import Session, SessionManager, SessionUnavailable
from app.sessions.working_copy import move_to_socket
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of
from tests.helpers.stores_for_tests import FaultyStore

TIMEOUT = 0.6
MOST = 0.8 * TIMEOUT
LATEST = 1.6 * TIMEOUT
"""Where one of the steps had a deadline of its own, it would be later."""

FOREVER = 60.0


class DelayedStore(FaultyStore):
    """Takes as long as `delays[operation]` says, call by call, then no time."""

    timeout = TIMEOUT

    def __init__(self) -> None:
        super().__init__()
        self.delays: dict[str, list[float]] = {}

    async def _before(self, operation: str) -> None:
        await super()._before(operation)
        delays = self.delays.get(operation)
        if delays:
            await asyncio.sleep(delays.pop(0))


@pytest.fixture
def store() -> DelayedStore:
    return DelayedStore()


@pytest.fixture
def manager(store: DelayedStore, clock: FakeClock, io_loop: Any) -> Iterable[SessionManager]:
    manager = SessionManager(store, clock=clock)
    yield manager
    io_loop.run_sync(manager.close)


async def begun(manager: SessionManager) -> str:
    session = await manager.load(None)
    session["a"] = 1
    return header_of(await session.commit())


async def request(manager: SessionManager, header: str, act: Callable[[Session], None]) -> float:
    """Load, act, commit; return how long the request waited until it was refused."""
    began = time.monotonic()
    with pytest.raises(SessionUnavailable) as raised:
        session = await manager.load(header)
        act(session)
        await session.commit()
    assert "no answer within" in raised.value.what
    return time.monotonic() - began


def change(session: Session) -> None:
    session["a"] = 2


def rotate(session: Session) -> None:
    session.regenerate()


def end(session: Session) -> None:
    session.destroy()


def begin_anew(session: Session) -> None:
    session.destroy()
    session["a"] = 2


DELAYS: dict[str, tuple[Callable[[Session], None], dict[str, list[float]]]] = {
    "a load, then a write": (change, {"load": [MOST], "write": [FOREVER]}),
    "a load, then a rotation": (rotate, {"load": [MOST], "write": [FOREVER]}),
    "a load, then an end": (end, {"load": [MOST], "write": [FOREVER]}),
    "a beginning and an end": (begin_anew, {"load": [MOST / 2], "write": [MOST / 2, FOREVER]}),
}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize("name", DELAYS)
async def test_a_request_waits_no_longer_than_the_deadline(
    manager: SessionManager, store: DelayedStore, name: str, together: int
) -> None:
    """In all, by itself or in a batch with others."""
    act, delays = DELAYS[name]
    headers = [await begun(manager) for _ in range(together)]
    store.delays = {operation: each * together for operation, each in delays.items()}
    if together > 1:
        store.delays = {k: [d for d in v for _ in range(together)] for k, v in delays.items()}
    waited = await asyncio.gather(*(request(manager, header, act) for header in headers))
    store.delays = {}
    assert min(waited) > 0.9 * TIMEOUT
    assert max(waited) < LATEST


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("tokens", [1, 2])
async def test_opening_the_store_counts(store: DelayedStore, clock: FakeClock, tokens: int) -> None:
    other = SessionManager(store, clock=clock)
    headers = [await begun(other) for _ in range(tokens)]
    manager = SessionManager(store, clock=clock)
    store.delays = {"open": [MOST], "load": [FOREVER]}
    waited = await request(manager, "; ".join(headers), change)
    assert 0.9 * TIMEOUT < waited < LATEST
    await manager.close()
    await other.close()


@pytest.mark.gen_test(timeout=30)
async def test_the_steps_of_a_sign_in_count(manager: SessionManager, store: DelayedStore) -> None:
    """A conflict, the look after it and the next try have one deadline."""
    header = await begun(manager)
    slow = await manager.load(header)
    other = await manager.load(header)
    other.sign_in("ada")
    await other.commit()
    slow.sign_in("ada")
    third = TIMEOUT / 3
    store.delays = {"load": [third], "write": [third, FOREVER]}
    began = time.monotonic()
    with pytest.raises(SessionUnavailable):
        await slow.commit()
    assert 0.9 * TIMEOUT < time.monotonic() - began < LATEST
    store.delays = {}


@pytest.mark.gen_test(timeout=30)
async def test_undoing_before_a_sign_in_counts(
    manager: SessionManager, store: DelayedStore
) -> None:
    session = await manager.load(await begun(manager))
    session.sign_in("ada")
    store.break_down("write")
    with pytest.raises(SessionUnavailable):
        await session.commit()
    store.mend()
    store.delays = {"load": [FOREVER] * 9}
    began = time.monotonic()
    with pytest.raises(SessionUnavailable):
        await session.commit()
    assert time.monotonic() - began < LATEST
    store.delays = {}


@pytest.mark.gen_test(timeout=30)
async def test_who_has_little_time_left_takes_none_of_others(
    manager: SessionManager, store: DelayedStore
) -> None:
    """Of two changes in one batch, each has its own deadline."""
    headers = [await begun(manager) for _ in range(3)]
    store.delays = {"load": [MOST]}
    first = await manager.load(headers[0])
    others = [await manager.load(header) for header in headers[1:]]
    for session in (first, *others):
        session["a"] = 2
    store.delays = {"write": [0.5 * TIMEOUT] * 3}
    commits = [asyncio.ensure_future(s.commit()) for s in (others[0], first, others[1])]
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), SessionUnavailable, type(None)]


@pytest.mark.gen_test(timeout=30)
async def test_with_no_time_left_nothing_is_sent(
    manager: SessionManager, store: DelayedStore
) -> None:
    """What is refused is not begun."""
    session = await manager.load(await begun(manager))
    session["a"] = 2
    store.delays = {"write": [FOREVER]}
    with pytest.raises(SessionUnavailable):
        await session.commit()
    store.calls.clear()
    with pytest.raises(SessionUnavailable):
        await session.commit()
    assert store.kinds == []


@pytest.mark.gen_test(timeout=30)
async def test_a_late_commit_has_a_budget_of_its_own(
    manager: SessionManager, store: DelayedStore, clock: FakeClock
) -> None:
    """One that asks first if the token still counts, with the write after it."""
    store.delays = {"load": [MOST, MOST / 3, MOST]}
    session = await manager.load(await begun(manager))
    session["a"] = 2
    clock.advance(11)
    store.delays["write"] = [MOST / 2]
    await session.commit()
    session["a"] = 3
    store.delays["write"] = [MOST]
    began = time.monotonic()
    with pytest.raises(SessionUnavailable):
        await session.commit()
    assert time.monotonic() - began < LATEST


@pytest.mark.gen_test(timeout=30)
async def test_looking_again_counts(manager: SessionManager, store: DelayedStore) -> None:
    """However often: the looks and the commit have the load's deadline."""
    header = await begun(manager)
    store.delays = {"load": [TIMEOUT / 4] * 9}
    began = time.monotonic()
    session = await manager.load(header)
    with pytest.raises(SessionUnavailable):
        for _ in range(8):
            await session.refresh()
    assert 0.9 * TIMEOUT < time.monotonic() - began < LATEST
    store.delays = {}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("lasts", ["on a socket", "longer than the grace"])
async def test_each_look_of_what_lasts_has_its_own_time(
    manager: SessionManager, store: DelayedStore, clock: FakeClock, lasts: str
) -> None:
    session = await manager.load(await begun(manager))
    if lasts == "on a socket":
        move_to_socket(session)
    else:
        clock.advance(11)
    for _ in range(3):
        store.delays = {"load": [MOST]}
        assert await session.refresh()


@pytest.mark.gen_test(timeout=30)
async def test_each_commit_on_a_socket_has_its_own(
    manager: SessionManager, store: DelayedStore
) -> None:
    session = await manager.load(await begun(manager))
    move_to_socket(session)
    for number in range(3):
        session["a"] = number + 2
        store.delays = {"write": [MOST]}
        await session.commit()
