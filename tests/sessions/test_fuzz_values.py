"""Thousands of generated keys and values: kept as they are in every store, or refused by name."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app import SessionManager
from app.sessions import values
from app.sessions.saving import is_unsaved
from stores import MemoryStore, Store
from tests.helpers.cookies import header_of
from tests.helpers.hostile_cookies import seed
from tests.helpers.hostile_values import HostileValues

SESSIONS = 100
KEYS = 130
"""Keys of one session: more than 10,000 different ones in all, and as many values, twice."""
REFUSED = 10_000
MAX_BYTES = 2 * 1024 * 1024


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[SessionManager]:
    manager = SessionManager(store, max_bytes=MAX_BYTES)
    try:
        yield manager
    finally:
        await manager.close()


@pytest.mark.gen_test(timeout=120)
async def test_what_a_session_accepts_is_read_back_equal(any_store: Store) -> None:
    hostile = HostileValues(seed())
    tried = 0
    async with opened(any_store) as manager:

        async def create(data: dict[str, Any]) -> str:
            session = await manager.load(None)
            session.update(data)
            return header_of(await session.commit())

        async def change(cookie: str, data: dict[str, Any], unset: list[str]) -> None:
            session = await manager.load(cookie)
            for key in unset:
                del session[key]
            session.update(data)
            await session.commit()

        async def read(cookie: str) -> dict[str, Any]:
            return dict(await manager.load(cookie))

        kept = [generated(hostile) for _ in range(SESSIONS)]
        tried += sum(map(len, kept))
        cookies = await asyncio.gather(*map(create, kept))
        for before, after in zip(kept, await asyncio.gather(*map(read, cookies)), strict=True):
            assert_same(before, after)

        changes = []
        for data, cookie in zip(kept, cookies, strict=True):
            keys = list(data)
            unset, reset = keys[::7], keys[1::3]
            new = {**generated(hostile, KEYS // 4), **{key: hostile.value() for key in reset}}
            unset = [key for key in unset if key not in new]
            tried += len(new)
            changes.append(change(cookie, new, unset))
            data.update(new)
            for key in unset:
                del data[key]
        await asyncio.gather(*changes)
        for before, after in zip(kept, await asyncio.gather(*map(read, cookies)), strict=True):
            assert_same(before, after)
    assert tried > 10_000


def generated(hostile: HostileValues, keys: int = KEYS) -> dict[str, Any]:
    return {hostile.text(): hostile.value() for _ in range(keys)}


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert sorted(before) == sorted(after)
    for key, value in before.items():
        kept = after[key]
        assert values.same(value, kept), (key, value, kept)
        # By other means, too: JSON text tells 1, 1.0 and True apart, and 0.0 from -0.0.
        assert json.dumps(value, sort_keys=True) == json.dumps(kept, sort_keys=True), key


@pytest.mark.gen_test(timeout=120)
async def test_a_refusal_names_the_path_and_changes_nothing() -> None:
    hostile = HostileValues(seed() + 1)
    async with opened(MemoryStore()) as manager:
        session = await manager.load(None)
        session.update(kept := generated(hostile, 5))
        expected = copy.deepcopy(kept)
        keys = list(kept)
        for i in range(REFUSED):
            key = keys[i % len(keys)] if i % 2 else f"new {hostile.text()}"
            value, path, error = hostile.refused()
            with pytest.raises(error) as raised:
                session[key] = value
            assert type(raised.value) is error
            where, _, what = str(raised.value).rpartition(": ")
            assert where.startswith(f"session[{key!r}]{path}"), (where, path)
            assert what or where
            if i % 50 == 0:
                assert_same(expected, dict(session))
        assert_same(expected, dict(session))
        cookie = header_of(await session.commit())
        assert_same(expected, dict(await manager.load(cookie)))


@pytest.mark.gen_test(timeout=120)
async def test_a_key_that_a_session_refuses_changes_nothing() -> None:
    hostile = HostileValues(seed() + 2)
    async with opened(MemoryStore()) as manager:
        session = await manager.load(None)
        for _ in range(REFUSED):
            key, error = hostile.refused_key()
            for assign in (session.__setitem__, session.setdefault):
                with pytest.raises(error, match=r"^session: (a|the) key ") as raised:
                    assign(key, 1)
                assert type(raised.value) is error
        assert dict(session) == {}
        assert not is_unsaved(session)


@pytest.mark.gen_test(timeout=120)
async def test_the_commit_refuses_what_was_put_inside_a_value() -> None:
    """What is put inside a list or dict that is kept is refused by the commit."""
    hostile = HostileValues(seed() + 3)
    async with opened(MemoryStore()) as manager:
        session = await manager.load(None)
        session.update({"list": [0, []], "dict": {"a": {}}})
        cookie = header_of(await session.commit())
        for _ in range(REFUSED // 10):
            session = await manager.load(cookie)
            session["beside"] = True
            value, path, error = hostile.refused()
            inside: Any = session["list"]
            inside[1].append(value)
            with pytest.raises(error) as raised:
                await session.commit()
            assert str(raised.value).startswith(f"session['list'][1][0]{path}")
            inner: Any = (session := await manager.load(cookie))["dict"]
            inner["a"]["b"] = value
            with pytest.raises(error) as raised:
                await session.commit()
            assert str(raised.value).startswith(f"session['dict']['a']['b']{path}")
        found = await manager.load(cookie)
        assert dict(found) == {"list": [0, []], "dict": {"a": {}}}


@pytest.mark.gen_test
async def test_a_value_that_holds_itself_is_refused(any_store: Store) -> None:
    async with opened(any_store) as manager:
        session = await manager.load(None)
        loop: list[Any] = []
        loop.append(loop)
        tree: dict[str, Any] = {}
        tree["a"] = [tree]
        for value in (loop, tree):
            with pytest.raises(ValueError, match="nested deeper than 64 levels"):
                session["loop"] = value
        later: list[Any] = []
        session["list"] = later
        later.append(later)
        with pytest.raises(ValueError, match="nested deeper than 64 levels"):
            await session.commit()
