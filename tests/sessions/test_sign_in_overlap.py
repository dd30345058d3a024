"""Signing in while another request signs in or out: in every order of their store calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import Group, Route, Session, SessionConflict, SessionManager
from app.sessions import token
from stores import Store
from stores.contract import Delete, Record
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of, token_of
from tests.helpers.opened import while_open
from tests.helpers.orders import Order, in_every_order
from tests.helpers.records import load_records
from tests.helpers.site import Browser, Site
from tests.helpers.steps import PATIENCE, Held, Steps, cookies_set, do, steps, twin
from tests.helpers.stores_for_tests import FaultyStore

Act = Callable[[Session], None]


def sign_in(user: str, key: str = "") -> Act:
    def act(session: Session) -> None:
        session.sign_in(user)
        if key:
            session[key] = user

    return act


class Client:
    """A client with a cart, whose requests go to processes of their own."""

    def __init__(self, order: Order, clock: FakeClock) -> None:
        self.order, self.clock = order, clock
        self.header = ""
        self.plain = SessionManager(order.store, clock=clock)

    async def begin(self, **data: Any) -> Client:
        session = await self.plain.load(None)
        session.update({"cart": 1, **data})
        self.header = header_of(await session.commit())
        self.id = session._saved.id  # type: ignore[union-attr]
        return self

    async def send(self, act: Act) -> tuple[str | None, Session]:
        """Load, act and commit; return the cookie."""
        manager = SessionManager(self.order.view(), clock=self.clock)
        session = await manager.load(self.header)
        act(session)
        return await session.commit(), session

    async def open(self, cookie: str | None) -> Session:
        return await self.plain.load(header_of(cookie))

    async def record(self) -> Record | None:
        return (await load_records(self.order.store, [self.id])).get(self.id)


@pytest.fixture
def in_orders(any_store: Store, clock: FakeClock, io_loop: Any) -> Any:
    """Run a scenario with a client in every order of its requests' calls."""

    async def run(scenario: Callable[[Client], Awaitable[None]]) -> int:
        async def with_client(order: Order) -> None:
            await scenario(await Client(order, clock).begin())

        async with while_open(any_store):
            return await in_every_order(any_store, with_client)

    return run


InOrders = Callable[[Callable[[Client], Awaitable[None]]], Awaitable[int]]


@pytest.mark.gen_test(timeout=60)
async def test_a_double_click_on_sign_in_ends_well(in_orders: InOrders) -> None:
    """Both are answered, the record is one, all data is kept, and the last token opens it."""

    async def scenario(client: Client) -> None:
        (one, a), (two, b) = await client.order.run(
            client.send(sign_in("ada", "one")), client.send(sign_in("ada", "two"))
        )
        assert a.id == b.id
        # Who was overtaken by the other's token is sent none.
        last, former = one or two, two if one else None
        if one and two:
            last = (one, two)[client.order.ended[-1]]
            former = (one, two)[client.order.ended[0]]
        found = await client.open(last)
        assert (found.user, dict(found)) == ("ada", {"cart": 1, "one": "ada", "two": "ada"})
        if former is not None:
            replaced = await client.open(former)
            assert (replaced.user, dict(replaced)) == (None, {})

    assert await in_orders(scenario) >= 6


@pytest.mark.gen_test(timeout=60)
async def test_two_users_who_sign_in_share_nothing(in_orders: InOrders) -> None:
    """One goes on with the anonymous data, the other begins a session of his own."""

    async def scenario(client: Client) -> None:
        (one, _), (two, _) = await client.order.run(
            client.send(sign_in("ada", "one")), client.send(sign_in("bob", "two"))
        )
        ada, bob = await client.open(one), await client.open(two)
        assert (ada.user, bob.user) == ("ada", "bob")
        assert ada.id != bob.id
        carts = ["cart" in ada, "cart" in bob]
        assert sorted(carts) == [False, True]
        assert "two" not in ada
        assert "one" not in bob

    assert await in_orders(scenario) >= 6


@pytest.mark.gen_test(timeout=60)
async def test_a_sign_out_ends_what_a_sign_in_goes_on_with(in_orders: InOrders) -> None:
    """A sign-out that presented the session ends it, under whatever token, in every order."""
    ends: Counter[str] = Counter()

    async def scenario(client: Client) -> None:
        presented = []

        def sign_out(session: Session) -> None:
            if session.live:
                presented.append(session.id)
                session.sign_out()

        (cookie, session), _ = await client.order.run(
            client.send(sign_in("ada", "one")), client.send(sign_out)
        )
        record = await client.record()
        if presented:
            assert record is None
            ends["ended before" if cookie is None else "ended after"] += 1
            assert session.live == (cookie is not None)
        else:  # it came under the former token, which ends nothing
            assert (await client.open(cookie)).user == "ada"
            ends["kept"] += 1

    await in_orders(scenario)
    assert set(ends) == {"ended before", "ended after", "kept"}


@pytest.mark.gen_test(timeout=60)
async def test_a_change_and_a_sign_in_both_win(in_orders: InOrders) -> None:
    async def scenario(client: Client) -> None:
        def change(session: Session) -> None:
            session["other"] = 1

        (cookie, _), other = await client.order.run(
            client.send(sign_in("ada", "one")), client.send(change)
        )
        found = await client.open(cookie)
        expected = {"cart": 1, "one": "ada"}
        if not isinstance(other, SessionConflict):  # it presented what had been replaced
            expected["other"] = 1
        assert (found.user, dict(found)) == ("ada", expected)

    assert await in_orders(scenario) >= 3


@pytest.mark.gen_test(timeout=60)
async def test_a_regenerate_beside_a_sign_in_never_refuses_it(in_orders: InOrders) -> None:
    async def scenario(client: Client) -> None:
        signed, other = await client.order.run(
            client.send(sign_in("ada", "one")), client.send(lambda s: s.regenerate())
        )
        assert not isinstance(signed, BaseException)
        found = await client.open(signed[0])
        assert found.user == "ada"
        assert isinstance(other, SessionConflict) or "cart" not in found
        if isinstance(other, SessionConflict):
            assert other.retry_after == 10

    assert await in_orders(scenario) >= 3


@pytest.mark.gen_test(timeout=60)
async def test_many_clicks_on_sign_in_are_all_answered(any_store: Store, clock: FakeClock) -> None:
    """Each time that one replaces the token, all others try again."""
    async with while_open(any_store):
        client = await Client(Order(any_store, []), clock).begin()
        answers = await client.order.run(
            *(client.send(sign_in("ada", f"k{number}")) for number in range(10))
        )
        assert [type(answer) for answer in answers] == [tuple] * 10
        cookies = [answers[number][0] for number in client.order.ended]
        found = await client.open([cookie for cookie in cookies if cookie is not None][-1])
        expected = {"cart": 1, **{f"k{number}": "ada" for number in range(10)}}
        assert (found.user, dict(found)) == ("ada", expected)


# Answers that are lost, and sessions of others

ROUTES = Group("/", Route("steps", Steps), sessions=True)

DAY = 24 * 3600
"""Seconds of the idle time."""


@pytest.fixture
def store(any_store: Store) -> FaultyStore:
    return FaultyStore(any_store)


@pytest.fixture
def browser(serve: Callable[..., Site], store: FaultyStore, clock: FakeClock) -> Browser:
    return serve(ROUTES, SessionManager(store, clock=clock)).browser()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("leaves", ["after the answer", "in the middle"])
async def test_signing_in_again_after_a_lost_answer_keeps_all(
    browser: Browser, store: FaultyStore, clock: FakeClock, leaves: str
) -> None:
    """The client that has the former token goes on with its own session."""
    await do(browser, "set cart 1")
    before = (await do(browser))["was"]
    if leaves == "in the middle":  # the browser closes the connection
        store.gate["write"] = asyncio.Event()
        with pytest.raises(Exception, match="imeout"):
            await twin(browser).get(steps("sign-in ada", "set a 1"), request_timeout=0.1)
        store.gate.pop("write").set()
        async with asyncio.timeout(PATIENCE):
            while (await do(browser))["was"]["id"] is not None:  # until the sign-in is done
                await asyncio.sleep(0.001)
    else:
        await do(twin(browser), "sign-in ada", "set a 1")
    clock.advance(9.0)
    assert (await browser.get(steps("set b 1"))).code == 409
    again = twin(browser)
    found = await do(again, "sign-in ada", "set c 1")
    assert found["was"]["data"] == {}
    assert found["now"]["data"] == {"cart": 1, "a": 1, "c": 1}
    after = (await do(again))["was"]
    assert (after["id"], after["data"]) == (before["id"], {"cart": 1, "a": 1, "c": 1})
    assert (await do(twin(browser)))["was"]["id"] is None


@pytest.mark.gen_test(timeout=30)
async def test_another_user_under_a_replaced_token_gets_nothing(browser: Browser) -> None:
    """His session is one of his own; the other's goes on."""
    await do(browser, "set cart 1")
    planted = twin(browser)
    await do(browser, "sign-in ada", "set a 1")
    found = await do(planted, "sign-in eve", "set e 1")
    assert found["now"] == {**found["now"], "user": "eve", "data": {"e": 1}}
    eve, ada = (await do(planted))["was"], (await do(browser))["was"]
    assert (eve["user"], eve["data"]) == ("eve", {"e": 1})
    assert (ada["user"], ada["data"]) == ("ada", {"cart": 1, "a": 1})
    assert eve["id"] != ada["id"]


@pytest.mark.gen_test(timeout=30)
async def test_a_discarded_sign_in_under_a_replaced_token_is_none(browser: Browser) -> None:
    await do(browser, "set cart 1")
    former = twin(browser)
    await do(browser, "sign-in ada")
    response = await former.get(steps("sign-in ada", "set a 1", "status 500"))
    assert (response.code, cookies_set(response)) == (500, [])
    assert (await do(browser))["was"]["data"] == {"cart": 1}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("user", [None, "ada"])
async def test_a_sign_in_outlives_the_session_that_expires(
    browser: Browser, store: FaultyStore, clock: FakeClock, user: str | None
) -> None:
    """It expires between the load and the commit, and the store removes it."""
    await do(browser, "set cart 1" if user is None else f"sign-in {user}")
    before = (await do(browser))["was"]
    id = token.decode(browser.cookies["session"])[0]
    clock.advance(DAY - 1)
    slow = await Held.at(browser, "sign-in ada", "set a 1")
    clock.advance(2)
    await store.inner.write([Delete(id)])
    (cookie,) = cookies_set(await slow.finish())
    found = (await do(twin(browser, of=token_of(cookie))))["was"]
    assert (found["user"], found["data"]) == ("ada", {"a": 1})
    assert found["id"] != before["id"]
