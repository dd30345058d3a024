"""A manager that is closed: what was in flight opens nothing, what begins later does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import Session, SessionManager, SessionUnavailable
from tests.helpers.cookies import header_of
from tests.helpers.stores_for_tests import FaultyStore


class CountingStore(FaultyStore):
    """Knows whether it is open."""

    is_open = False

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def manager(store: CountingStore) -> SessionManager:
    return SessionManager(store)


async def begun(manager: SessionManager) -> Session:
    session = await manager.load(None)
    session["a"] = 1
    return await manager.load(header_of(await session.commit()))


def change(session: Session) -> None:
    session["a"] = 2


def begin_anew(session: Session) -> None:
    session.destroy()
    session["a"] = 2


ACTS: dict[str, Callable[[Session], None]] = {
    "changes": change,
    "signs in": lambda session: session.sign_in("ada"),
    "ends": lambda session: session.destroy(),
    "begins anew": begin_anew,
}


@pytest.mark.gen_test
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_request_in_flight_opens_no_closed_store(
    manager: SessionManager, store: CountingStore, act: Callable[[Session], None]
) -> None:
    session = await begun(manager)
    act(session)
    await manager.close()
    with pytest.raises(SessionUnavailable, match="Service Unavailable") as raised:
        await session.commit()
    assert "it was closed" in raised.value.what
    assert not store.is_open


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["used", "opened"])
async def test_a_closed_manager_can_be_used_again(
    manager: SessionManager, store: CountingStore, how: str
) -> None:
    """By whoever begins then, or by opening it; what was in flight may go on with that."""
    session = await begun(manager)
    session["a"] = 2
    await manager.close()
    if how == "opened":
        await manager.open()
    else:
        fresh = await manager.load(None)
        fresh["b"] = 1
        await fresh.commit()
    assert store.is_open
    await session.commit()
    await manager.close()
