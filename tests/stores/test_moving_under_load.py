"""Sessions move from MongoDB to other databases under load and sign-outs."""

from __future__ import annotations

import os
from typing import Any

import pytest

from stores import MongoStore, RedisStore, SQLStore, Store
from tests.helpers.moving_house import NUMBER, MovingHouse

PATIENCE = 30.0
"""Seconds that a store may take: a busy machine is not what is tested."""

SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.gen_test(timeout=3600)
@pytest.mark.parametrize("kind", ["postgres", "valkey"])
async def test_no_session_is_lost_and_none_revived(
    request: pytest.FixtureRequest, mongod: Any, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, own = request.getfixturevalue(kind).url, f"test_{os.urandom(6).hex()}"

    def new() -> Store:
        if kind == "postgres":
            return SQLStore(url, table=own, timeout=PATIENCE)
        return RedisStore(url, prefix=f"{own}:", timeout=PATIENCE)

    def old() -> Store:
        return MongoStore(mongod.url, collection=own, timeout=PATIENCE)

    house = MovingHouse(new, old, NUMBER, SEED)
    await house.move_in()
    again = await house.move()
    assert (again.copied, again.refused) == (0, {})
    await house.check()
    assert house.done["end"] > 0
    assert house.done["503"] == 0
    with capsys.disabled():
        if NUMBER > 2000:
            print(kind, house.number, house.done, house.seconds)
