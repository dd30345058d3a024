"""What happens at the same time while sessions move, in every order of the store calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest

from stores import MemoryStore, MovingStore, Store
from stores.contract import Create, Delete, Outcome, Record, Update
from stores.moving_mark import is_mark
from tests.helpers.orders import Order, in_every_order
from tests.helpers.records import load_records, make_record, make_rotation

DONE = Outcome.DONE


class House:
    """Two stores, one session that the old one has, and a user's record that is in none."""

    def __init__(self, order: Order, *, moves: tuple[bool, ...] = ()) -> None:
        self.new, self.old = MemoryStore(), MemoryStore()
        self.order = order
        self.record = make_record(data={"kept": 1}, user="ada")
        self.user = make_record(secret_hash=bytes(32))
        self.ended = False
        self.written: set[str] = set()
        self.tokens = {self.record.secret_hash}
        """What the token may be: each that is acknowledged takes the place of those before."""
        self.looks = True
        """Whether each process looks at what it has done."""
        self._moves = itertools.chain(moves, itertools.repeat(True))

    def process(self) -> Store:
        """Return the stores as the next process has them."""
        view = self.order.view
        return MovingStore(view(self.new), view(self.old), moves=next(self._moves))

    def process_of_before(self) -> Store:
        return self.order.view(self.old)

    async def look(self) -> Record | None:
        id = self.record.id
        return (await load_records(MovingStore(self.new, self.old), [id])).get(id)

    # What a process does

    async def update(self, store: Store) -> None:
        key = f"key {id(store)}"
        (outcome,) = await store.write([Update(self.record.id, {key: 1})])
        assert outcome in (DONE, Outcome.MISSING)
        if outcome is DONE:
            self.written.add(key)
        if self.looks:
            found = (await load_records(store, [self.record.id])).get(self.record.id)
            assert found is not None or self.ended
            assert found is None or (outcome is DONE and key in found.data)

    async def rotate(self, store: Store) -> None:
        rotation = make_rotation(self.record, user="ada")
        (outcome,) = await store.write([Update(self.record.id, {"r": 1}, rotation=rotation)])
        if outcome is DONE:
            assert self.tokens == {self.record.secret_hash}, "two rotations of one token"
            self.tokens = {rotation.secret_hash}
            self.written.add("r")

    async def end(self, store: Store) -> None:
        self.ended = True
        assert await store.write([Delete(self.record.id)]) == [DONE]
        if self.looks:
            assert await store.load([self.record.id]) == {}

    async def join(self, store: Store, key: str) -> None:
        """Sign in, by the user's record."""
        update = Update(self.user.id, {key: 1}, or_create=self.user)
        assert await store.write([update]) == [DONE]
        found = await load_records(store, [self.user.id])
        assert key in found[self.user.id].data
        self.written.add(key)

    async def copy(self) -> None:
        """Copy what there is, and know nothing of marks."""
        old, new = self.order.view(self.old), self.order.view(self.new)
        for record in (await load_records(old, [self.record.id])).values():
            await new.write([Create(record)])


Actor: TypeAlias = Callable[[House, Store], Coroutine[Any, Any, None]]

ACTORS: dict[str, Actor] = {"update": House.update, "rotate": House.rotate, "end": House.end}


TOGETHER, FIRST, SECOND, BEFORE = (True, True), (True, False), (False, True), (False, False)
"""Which of two processes moves sessions."""

QUICK = {
    (TOGETHER, pair) for pair in ("update update", "update end", "rotate rotate", "end rotate")
}
QUICK |= {(SECOND, pair) for pair in ("update end", "rotate rotate", "rotate end", "end end")}


def meetings() -> list[Any]:
    """Return who meets whom, and which of them moves sessions; most takes seconds."""
    met = []
    for pair in itertools.product(("update", "rotate", "end"), repeat=2):
        for moves in (TOGETHER, FIRST, SECOND, BEFORE):
            marks = [] if (moves, " ".join(pair)) in QUICK else [pytest.mark.faults]
            met.append(pytest.param(*pair, moves, marks=marks))
    return met


async def settled(house: House) -> None:
    """Check what is there when all is quiet."""
    found = await house.look()
    if house.ended:
        assert found is None
        late = Update(house.record.id, {"late": 1})
        assert await MovingStore(house.new, house.old).write([late]) == [Outcome.MISSING]
        assert await house.old.load([house.record.id]) == {}
        for answer in (await house.new.load([house.record.id])).values():
            assert is_mark(answer)
    else:
        assert found is not None
        assert {"kept", *house.written} <= {*found.data}
        assert {found.secret_hash} == house.tokens
        assert found.user == "ada"


@pytest.mark.gen_test(timeout=300)
@pytest.mark.parametrize(("first", "second", "moves"), meetings())
async def test_two_processes_lose_and_revive_nothing(
    first: str, second: str, moves: tuple[bool, bool]
) -> None:
    async def scenario(order: Order) -> None:
        house = House(order, moves=moves)
        await house.old.write([Create(house.record)])
        actors = (ACTORS[first], ACTORS[second])
        results = await order.run(*(actor(house, house.process()) for actor in actors))
        assert results == [None, None]
        await settled(house)

    assert await in_every_order(MemoryStore(), scenario) > 10


@pytest.mark.gen_test(timeout=300)
@pytest.mark.parametrize("actor", ["update", "rotate", "end"])
async def test_a_copier_loses_and_revives_nothing(actor: str) -> None:
    async def scenario(order: Order) -> None:
        house = House(order)
        await house.old.write([Create(house.record)])
        results = await order.run(ACTORS[actor](house, house.process()), house.copy())
        assert results == [None, None]
        await settled(house)

    assert await in_every_order(MemoryStore(), scenario) > 10


@pytest.mark.gen_test(timeout=600)
@pytest.mark.parametrize("other", ["update", "rotate"])
@pytest.mark.faults
async def test_an_end_a_change_and_a_copier_revive_nothing(other: str) -> None:
    async def scenario(order: Order) -> None:
        house = House(order)
        house.looks = False
        await house.old.write([Create(house.record)])
        actors = (ACTORS["end"], ACTORS[other])
        works = [actor(house, house.process()) for actor in actors]
        assert await order.run(*works, house.copy()) == [None, None, None]
        await settled(house)

    assert await in_every_order(MemoryStore(), scenario) > 100


@pytest.mark.gen_test(timeout=300)
@pytest.mark.parametrize("actor", ["update", "rotate", "end"])
@pytest.mark.parametrize("before", ["update", "rotate", "end"])
async def test_before_the_move_the_old_store_alone_is_right(actor: str, before: str) -> None:
    """The first step of a deployment: beside processes that know the old store only."""

    async def scenario(order: Order) -> None:
        house = House(order, moves=(False,))
        await house.old.write([Create(house.record)])
        works = (
            ACTORS[actor](house, house.process()),
            ACTORS[before](house, house.process_of_before()),
        )
        assert await order.run(*works) == [None, None]
        found = await house.look()
        alone = (await load_records(house.old, [house.record.id])).get(house.record.id)
        assert found == alone
        assert (found is None) == house.ended

    assert await in_every_order(MemoryStore(), scenario) > 3


@pytest.mark.gen_test(timeout=300)
@pytest.mark.parametrize(
    "moves", [TOGETHER, pytest.param(SECOND, marks=pytest.mark.faults)], ids=str
)
@pytest.mark.parametrize("there", [True, False])
async def test_two_sign_ins_keep_both_entries(moves: tuple[bool, bool], there: bool) -> None:
    """The user's record may be in the old store, or in none yet."""

    async def scenario(order: Order) -> None:
        house = House(order, moves=moves)
        if there:
            await house.old.write([Create(house.user._replace(data={"!fence": 1}))])
        works = [house.join(house.process(), key) for key in "ab"]
        assert await order.run(*works) == [None, None]
        id = house.user.id
        found = (await load_records(MovingStore(house.new, house.old), [id]))[id]
        assert {*found.data} == {"a", "b"} | ({"!fence"} if there else set())

    assert await in_every_order(MemoryStore(), scenario) > 10
