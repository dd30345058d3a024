"""A user's sessions in every order of the store calls of what happens to them at the same time.

In memory all orders are run, on each real store a few: USER_ORDERS says how many (4), 0 means all.
`pytest -rP` shows how they end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from app import SessionConflict
from app.sessions import user_record
from stores import MemoryStore, Store
from tests.helpers.cookies import header_of
from tests.helpers.devices import record_id
from tests.helpers.opened import while_open
from tests.helpers.orders import Order, all_orders, in_these_orders, some_orders
from tests.helpers.steps import PATIENCE
from tests.helpers.user_worlds import Ticking, World

ORDERS = int(os.environ.get("USER_ORDERS", "4"))

_found: dict[str, tuple[list[Sequence[int]], Counter[str]]] = {}
"""Of each scenario: its orders, and how they end in memory."""


Scenario = Callable[[World], Awaitable[str]]
InOrders = Callable[..., Awaitable[Counter[str]]]


@pytest.fixture
def store(any_store: Store) -> Store:
    """One store after another, which nobody here gives up."""
    any_store.timeout = any_store.timeout and PATIENCE
    return any_store


@pytest.fixture
def in_orders(store: Store, clock: Any, request: pytest.FixtureRequest) -> InOrders:
    """Run a scenario in every order of its calls; count, in memory, what it says of each."""
    where = {k: v for k, v in request.node.callspec.params.items() if k != "any_store"}
    name = f"{request.node.originalname} {where or ''}"

    async def run(scenario: Scenario, **options: Any) -> Counter[str]:
        counts: Counter[str] = Counter()

        async def once(order: Order) -> None:
            counts[await scenario(World(order, Ticking(clock()), **options))] += 1

        if name not in _found:
            _found[name] = (await all_orders(MemoryStore(), once), counts.copy())
            print(f"{counts.total()} orders of {name}: {dict(counts)}")
        orders, in_memory = _found[name]
        if store.timeout is not None:
            step = max(1, len(orders) // ORDERS) if ORDERS else 1
            async with while_open(store):
                await in_these_orders(store, once, orders[::step])
        return in_memory

    return run


@pytest.fixture(params=["this process", "another process"])
def fences_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whose fences a sign-in meets: compared by the monotonic clock, or by Unix time."""
    original = user_record.raise_fence

    def foreign(*arguments: Any) -> Any:
        key, update = original(*arguments)
        fence = update.set[key]
        assert isinstance(fence, dict)
        return key, update._replace(set={key: {**fence, "by": "another", "n": 0.0}})

    if request.param == "another process":
        monkeypatch.setattr(user_record, "raise_fence", foreign)
    return str(request.param)


# Signing in beside "everywhere"


@pytest.mark.gen_test(timeout=120)
@pytest.mark.parametrize("comes_with", ["nothing", "a cart", "a session of his own"])
async def test_no_old_sign_in_survives_everywhere(
    in_orders: InOrders, fences_of: str, comes_with: str
) -> None:
    """One that began before is refused or ended, and the client's own session is not harmed."""

    async def scenario(world: World) -> str:
        cookie = None
        if comes_with != "nothing":
            user = world.user if comes_with == "a session of his own" else None
            cookie, _ = await world.begin(user)
        signed, ended = await world.order.run(world.sign_in(cookie), world.everywhere())
        assert isinstance(ended, int), ended
        assert not await world.live()
        assert not await world.opens(signed)
        refused = isinstance(signed, SessionConflict)
        assert refused or signed is None or isinstance(signed, str), signed
        if refused and comes_with == "a cart" and not ended:
            session = await world.plain.load(header_of(cookie))
            assert dict(session) == {"cart": 1}, "the anonymous session is lost"
        assert not await world.plain.devices(world.user)
        return "refused" if refused else "ended"

    counts = await in_orders(scenario)
    assert counts["refused"] >= 3, counts


@pytest.mark.gen_test(timeout=120)
async def test_a_sign_in_that_begins_after_everywhere_may_stay(
    in_orders: InOrders, fences_of: str
) -> None:
    """It is never refused; it stays unless everywhere still saw it, and then it is ended."""

    async def scenario(world: World) -> str:
        other, _ = await world.begin(world.user)
        _, signed = await world.order.run(world.everywhere(), world.sign_in())
        assert signed is None or isinstance(signed, str), signed
        assert not await world.opens(other)
        live = await world.live()
        stays = await world.opens(signed)
        assert len(live) == stays
        return "stays" if stays else "ended"

    counts = await in_orders(scenario)
    assert counts["stays"] >= 5, counts


@pytest.mark.gen_test(timeout=120)
async def test_everywhere_spares_the_one_it_keeps(in_orders: InOrders, fences_of: str) -> None:
    """Whoever signs in again under the kept session at the same time harms it not."""

    async def scenario(world: World) -> str:
        cookie, keep = await world.begin(world.user)
        signed, ended = await world.order.run(world.sign_in(cookie), world.everywhere(keep))
        assert ended == 0
        assert len(await world.live()) == 1
        refused = isinstance(signed, SessionConflict)
        assert await world.opens(cookie if refused else signed)
        return "refused" if refused else "done before"

    counts = await in_orders(scenario)
    assert counts["refused"] >= 10, counts


@pytest.mark.gen_test(timeout=120)
async def test_two_who_say_everywhere_end_all(in_orders: InOrders) -> None:
    async def scenario(world: World) -> str:
        cookies = [(await world.begin(world.user))[0] for _ in range(2)]
        counts = await world.order.run(world.everywhere(), world.everywhere())
        assert not await world.live()
        assert not any([await world.opens(cookie) for cookie in cookies])
        return str(sum(counts))

    counts = await in_orders(scenario)
    assert counts.total() >= 50


# Signing in twice


@pytest.mark.gen_test(timeout=120)
@pytest.mark.parametrize("before", [0, 1])
async def test_of_two_sign_ins_at_a_limit_of_one_one_stays(
    in_orders: InOrders, before: int
) -> None:
    """Both are answered; never both end, and never both stay."""

    async def scenario(world: World) -> str:
        old = [(await world.begin(world.user))[0] for _ in range(before)]
        one, two = await world.order.run(world.sign_in(), world.sign_in())
        for signed in (one, two):
            assert signed is None or isinstance(signed, str), signed
        open_now = [await world.opens(cookie) for cookie in (one, two)]
        assert sum(open_now) == 1, (one, two, open_now)
        assert not any([await world.opens(cookie) for cookie in old])
        assert len(await world.live()) == 1
        return "the first stays" if open_now[0] else "the second stays"

    counts = await in_orders(scenario, max_per_user=1)
    assert counts.total() >= 6


@pytest.mark.gen_test(timeout=120)
@pytest.mark.parametrize("limit", [1, 2])
async def test_a_sign_in_anew_beside_another_at_the_limit(in_orders: InOrders, limit: int) -> None:
    """One under a session that is listed, which is the newest by that, and one more: never both
    end."""

    async def scenario(world: World) -> str:
        cookie, _ = await world.begin(world.user)
        old = [await world.begin(world.user) for _ in range(limit - 1)]
        again, other = await world.order.run(world.sign_in(cookie), world.sign_in())
        for signed in (again, other):
            assert signed is None or isinstance(signed, str), signed
        live = await world.live()
        assert 1 <= len(live) <= limit
        stay = [await world.opens(each) for each in (again, other)]
        assert any(stay)
        assert len(live) == sum(stay) + sum([await world.opens(c) for c, _ in old])
        return str(stay)

    counts = await in_orders(scenario, max_per_user=limit)
    assert counts.total() >= 6


@pytest.mark.gen_test(timeout=120)
async def test_two_sign_ins_below_the_limit_both_stay(in_orders: InOrders) -> None:
    async def scenario(world: World) -> str:
        signed = await world.order.run(world.sign_in(), world.sign_in())
        assert [await world.opens(cookie) for cookie in signed] == [True, True]
        assert len(await world.live()) == 2
        assert len(await world.plain.devices(world.user)) == 2
        return "both"

    assert (await in_orders(scenario)).total() == 6


# Ending one device


@pytest.mark.gen_test(timeout=120)
async def test_a_device_that_is_signed_out_stays_out(in_orders: InOrders) -> None:
    """Also when its client signs in again: that ends, or begins a session anew."""

    async def scenario(world: World) -> str:
        cookie, session = await world.begin(world.user)
        id = session.id
        assert id is not None
        signed, ended = await world.order.run(
            world.sign_in(cookie), world.process().sign_out(world.user, id)
        )
        assert ended is True
        assert signed is None or isinstance(signed, str), signed
        stays = await world.opens(signed)
        live = await world.live()
        assert record_id(session) not in live
        assert len(live) == stays
        return "anew" if stays else "ended"

    counts = await in_orders(scenario)
    assert counts.total() >= 15


@pytest.mark.gen_test(timeout=120)
async def test_a_sign_out_and_a_sign_in_leave_no_stray(in_orders: InOrders) -> None:
    """A session that its own client signs out while it signs in is listed if it lives."""

    async def scenario(world: World) -> str:
        cookie, before = await world.begin(world.user)

        async def sign_out() -> bool:
            session = await world.process().load(header_of(cookie))
            live = session.live
            session.sign_out()
            await session.commit()
            return live

        signed, out = await world.order.run(world.sign_in(cookie), sign_out())
        assert signed is None or isinstance(signed, str), signed
        live = await world.live()
        assert len(live) == await world.opens(signed)
        if out is True:
            assert record_id(before) not in live
            return "signed out"
        assert out is False or isinstance(out, SessionConflict), out
        return "came under the former token"

    counts = await in_orders(scenario)
    assert counts["signed out"], counts


@pytest.mark.gen_test(timeout=120)
async def test_signing_out_the_others_beside_a_sign_in(in_orders: InOrders) -> None:
    """The thief who has the cookie and the old password has nothing afterwards."""

    async def scenario(world: World) -> str:
        cookie, _ = await world.begin(world.user)

        async def sign_out_others() -> str | None:
            own = await world.process().load(header_of(cookie))
            if own.live:
                await own.sign_out_others()
            return own._cookie

        async def steal() -> str | None:
            return await world.sign_in(cookie)

        stolen, mine = await world.order.run(steal(), sign_out_others())
        await world.live()
        if isinstance(mine, str):
            assert not await world.opens(stolen)
            return "his own stays" if await world.opens(mine) else "signed out"
        return "the thief was first"

    counts = await in_orders(scenario)
    assert counts["his own stays"], counts


# More of them: orders by chance, for there are too many


@pytest.mark.gen_test(timeout=120)
async def test_two_sign_ins_beside_everywhere(store: Store, clock: Any) -> None:
    async def scenario(order: Order) -> None:
        world = World(order, Ticking(clock()), max_per_user=1)
        one, two, _ = await order.run(world.sign_in(), world.sign_in(), world.everywhere())
        assert not await world.live()
        assert not await world.opens(one)
        assert not await world.opens(two)

    async with while_open(store):
        await in_these_orders(
            store, scenario, some_orders(100 if store.timeout is None else ORDERS or 100)
        )


@pytest.mark.gen_test(timeout=120)
async def test_four_sign_ins_at_a_limit_of_two(store: Store, clock: Any) -> None:
    async def scenario(order: Order) -> None:
        world = World(order, Ticking(clock()), max_per_user=2)
        signed = await order.run(*(world.sign_in() for _ in range(4)))
        assert sum([await world.opens(cookie) for cookie in signed]) == 2
        assert len(await world.live()) == 2

    async with while_open(store):
        await in_these_orders(
            store, scenario, some_orders(100 if store.timeout is None else ORDERS or 100)
        )
