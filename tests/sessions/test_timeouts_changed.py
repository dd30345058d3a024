"""Time-outs that a deployment changes reach the sessions that are there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app import Session, SessionManager
from app.sessions import token
from app.sessions.timeouts import Timeouts
from stores import MemoryStore, Store
from stores.contract import Create, Delete, Record
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of
from tests.helpers.opened import while_open
from tests.helpers.stores_for_tests import SpyStore

MINUTE, HOUR, DAY = 60.0, 3600.0, 24 * 3600.0


class Deployment:
    """A service that is restarted with other time-outs, and one client's session in it."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock = SpyStore(store), clock
        self.cookie = ""

    async def begin(self, idle: float, lifetime: float = 14 * DAY) -> None:
        session = await self.run(idle, lifetime).load(None)
        session["a"] = 1
        self.cookie = header_of(await session.commit())

    def run(self, idle: float, lifetime: float = 14 * DAY) -> SessionManager:
        return SessionManager(
            self.store,
            idle_timeout=timedelta(seconds=idle),
            lifetime=timedelta(seconds=lifetime),
            clock=self.clock,
        )

    async def request(self, idle: float, lifetime: float = 14 * DAY) -> Session:
        session = await self.run(idle, lifetime).load(self.cookie)
        await session.commit()
        return session

    async def lives(self, idle: float, lifetime: float = 14 * DAY) -> bool:
        """Tell whether the session is there, in a request that counts as a use of it."""
        return (await self.request(idle, lifetime)).live

    async def touches(self, idle: float, lifetime: float, every: float, times: int) -> int:
        """Return how often the store is written to by *times* requests, the session being there."""
        self.store.calls.clear()
        for _ in range(times):
            self.clock.advance(every)
            assert await self.lives(idle, lifetime)
        return self.store.kinds.count("Update")


@pytest.mark.gen_test
async def test_a_lowered_idle_time_ends_what_is_idle(any_store: Store, clock: FakeClock) -> None:
    async with while_open(any_store) as store:
        for wait, alive in ((15 * MINUTE - 1, True), (15 * MINUTE, False)):
            deployment = Deployment(store, clock)
            await deployment.begin(idle=DAY)
            clock.advance(wait)
            assert await deployment.lives(idle=15 * MINUTE) is alive


@pytest.mark.gen_test
async def test_a_lowered_idle_time_counts_from_each_use(any_store: Store, clock: FakeClock) -> None:
    async with while_open(any_store) as store:
        deployment = Deployment(store, clock)
        await deployment.begin(idle=DAY)
        for _ in range(5):
            clock.advance(10 * MINUTE)
            assert await deployment.lives(idle=15 * MINUTE)
        clock.advance(15 * MINUTE)
        assert not await deployment.lives(idle=15 * MINUTE)


@pytest.mark.gen_test
async def test_a_raised_idle_time_reaches_who_is_there(any_store: Store, clock: FakeClock) -> None:
    """Whoever comes before the former end lives on by the new idle time."""
    async with while_open(any_store) as store:
        deployment = Deployment(store, clock)
        await deployment.begin(idle=HOUR)
        clock.advance(HOUR / 2)
        assert await deployment.lives(idle=DAY)
        clock.advance(DAY - MINUTE)
        assert await deployment.lives(idle=DAY)
        clock.advance(DAY)
        assert not await deployment.lives(idle=DAY)


@pytest.mark.gen_test
async def test_a_raised_idle_time_revives_nothing(any_store: Store, clock: FakeClock) -> None:
    async with while_open(any_store) as store:
        deployment = Deployment(store, clock)
        await deployment.begin(idle=HOUR)
        clock.advance(HOUR)
        assert not await deployment.lives(idle=DAY)


@pytest.mark.gen_test
@pytest.mark.parametrize("act", [None, "write", "rotate"])
async def test_who_writes_outlives_a_lowered_idle_time(
    any_store: Store, clock: FakeClock, act: str | None
) -> None:
    """A write tells when the session was in use, as a touch does; a touch was not due."""
    async with while_open(any_store) as store:
        deployment = Deployment(store, clock)
        await deployment.begin(idle=14 * DAY, lifetime=60 * DAY)
        clock.advance(DAY)
        deployment.store.calls.clear()
        session = await deployment.run(14 * DAY, 60 * DAY).load(deployment.cookie)
        if act == "write":
            session["a"] = 2
        elif act == "rotate":
            session.regenerate()
        cookie = await session.commit()
        deployment.cookie = deployment.cookie if cookie is None else header_of(cookie)
        assert deployment.store.kinds == ["load", *(["Update"] if act else [])]
        clock.advance(MINUTE)
        assert await deployment.lives(idle=HOUR, lifetime=60 * DAY) == (act is not None)


@pytest.mark.gen_test
async def test_a_write_marks_an_older_record_as_seen(clock: FakeClock) -> None:
    deployment = Deployment(MemoryStore(), clock)
    await deployment.begin(idle=DAY)
    id = token.decode(deployment.cookie.partition("=")[2])[0]
    record = (await deployment.store.load([id]))[id]
    assert isinstance(record, Record)
    await deployment.store.write([Delete(id), Create(record._replace(seen=None))])
    session = await deployment.run(15 * MINUTE).load(deployment.cookie)
    session["a"] = 2
    await session.commit()
    clock.advance(20 * MINUTE)
    assert not await deployment.lives(idle=15 * MINUTE)


@pytest.mark.gen_test
async def test_a_lowered_lifetime_ends_what_is_older(any_store: Store, clock: FakeClock) -> None:
    async with while_open(any_store) as store:
        deployment = Deployment(store, clock)
        await deployment.begin(idle=DAY)
        for _ in range(4):
            clock.advance(DAY / 2)
            assert await deployment.lives(idle=DAY)
        assert not await deployment.lives(idle=DAY, lifetime=2 * DAY)
        clock.advance(HOUR)
        assert await deployment.lives(idle=DAY, lifetime=3 * DAY)
        clock.advance(DAY - HOUR)
        assert not await deployment.lives(idle=DAY, lifetime=3 * DAY)


@pytest.mark.gen_test
async def test_the_cookies_age_is_by_the_present_lifetime(clock: FakeClock) -> None:
    for lifetime in (2 * DAY, 30 * DAY):
        deployment = Deployment(MemoryStore(), clock)
        await deployment.begin(idle=2 * DAY)
        clock.advance(DAY)
        session = await deployment.run(2 * DAY, lifetime).load(deployment.cookie)
        session.regenerate()
        assert f"Max-Age={int(lifetime - DAY)};" in str(await session.commit())


@pytest.mark.gen_test
@pytest.mark.parametrize("before", [HOUR, DAY, 10 * DAY])
async def test_touches_stay_one_in_a_tenth_after_a_change(before: float, clock: FakeClock) -> None:
    deployment = Deployment(MemoryStore(), clock)
    await deployment.begin(idle=before)
    assert await deployment.touches(DAY, 14 * DAY, every=DAY / 100, times=100) in (10, 11)


@pytest.mark.gen_test
async def test_no_touch_gains_nothing_after_a_change(clock: FakeClock) -> None:
    """Where the lifetime ends first, the store is told nothing any more."""
    deployment = Deployment(MemoryStore(), clock)
    await deployment.begin(idle=2 * DAY)
    assert await deployment.touches(2 * DAY, DAY, every=HOUR, times=23) == 0
    deployment = Deployment(MemoryStore(), clock)
    await deployment.begin(idle=10 * DAY)
    clock.advance(0.5 * DAY)
    assert await deployment.touches(DAY, 1.5 * DAY, every=HOUR, times=1) == 1
    assert await deployment.touches(DAY, 1.5 * DAY, every=HOUR, times=22) == 0


@pytest.mark.gen_test
async def test_a_record_that_was_never_marked_seen_goes_on(clock: FakeClock) -> None:
    """A store of one's own may not keep `seen`; such a record lives by its `expires` alone."""
    secret = token.new_secret()
    record = Record(
        id=token.new_id(),
        secret_hash=token.hash_secret("session", secret),
        created=clock.now,
        expires=clock.now + DAY,
        data={"a": 1},
    )
    deployment = Deployment(MemoryStore(), clock)
    await deployment.store.write([Create(record)])
    deployment.cookie = f"session={token.encode(record.id, secret)}"
    assert await deployment.touches(DAY, 14 * DAY, every=DAY / 100, times=9) == 0
    assert await deployment.touches(DAY, 14 * DAY, every=DAY / 100, times=1) == 1
    clock.advance(DAY - 1)
    assert await deployment.lives(idle=DAY)


def test_a_clock_that_goes_back_touches_nothing(clock: FakeClock) -> None:
    times = Timeouts(timedelta(days=1), timedelta(days=14))
    record = Record(bytes(16), bytes(32), clock.now, clock.now + DAY, {}, seen=clock.now)
    assert times.is_alive(record, clock.now - HOUR)
    assert times.extension(record, clock.now - HOUR) is None
