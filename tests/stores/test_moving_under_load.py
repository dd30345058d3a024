"""Sessions move from MongoDB to other databases under load and sign-outs."""

from __future__ import annotations

import os
from typing import Any

import pytest

from stores import MongoStore, RedisStore, SQLStore, Store
from tests.helpers.moving_house import NUMBER, MovingHouse

SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.gen_test(timeout=3600)
@pytest.mark.parametrize("kind", ["postgres", "valkey"])
async def test_no_session_is_lost_and_none_revived(
    request: pytest.FixtureRequest, mongod: Any, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, own = request.getfixturevalue(kind).url, f"test_{os.urandom(6).hex()}"

    def new() -> Store:
        return SQLStore(url, table=own) if kind == "postgres" else RedisStore(url, prefix=f"{own}:")

    house = MovingHouse(new, lambda: MongoStore(mongod.url, collection=own), NUMBER, SEED)
    await house.move_in()
    again = await house.move()
    assert (again.copied, again.refused) == (0, {})
    await house.check()
    assert house.done["end"] > 0
    assert house.done["503"] < 0.01 * house.done.total() + 5
    with capsys.disabled():
        if NUMBER > 2000:
            print(kind, house.number, house.done, house.seconds)
