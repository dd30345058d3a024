"""What a commit writes: the keys that changed, nested changes found by themselves, no more."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import Session, SessionManager
from app.sessions import token
from app.sessions.values import same
from stores import MemoryStore
from stores.contract import JSON, Create, Update
from tests.helpers.records import load_record, make_record
from tests.helpers.stores_for_tests import SpyStore

DAY = 24 * 3600
DATA: dict[str, JSON] = {"a": 1, "b": [1, {"c": 2}], "d": {"e": {"f": None}}, "g": "text"}


class Saved:
    """A session that the store has, and what a commit makes of it."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.secret = token.new_secret()
        self.record = make_record(
            data=data,
            secret_hash=token.hash_secret("session", self.secret),
            expires=time.time() + DAY,
        )  # no touch is due
        self.store = SpyStore(MemoryStore())
        self.store.timeout = None  # type: ignore[assignment]  # as a store that never waits
        self.manager = SessionManager(self.store)

    async def load(self) -> Session:
        await self.store.inner.write([Create(self.record)])
        return await self.manager.load(f"session={token.encode(self.record.id, self.secret)}")

    async def stored(self) -> dict[str, JSON]:
        return dict((await load_record(self.store.inner, self.record.id)).data)

    def updates(self) -> list[Update]:
        """Return the writes there were; all are updates."""
        writes = [item for kind, items in self.store.calls if kind == "write" for item in items]
        updates = [item for item in writes if isinstance(item, Update)]
        assert len(updates) == len(writes)
        return updates


NESTED: dict[str, Callable[[Any], object]] = {
    "append": lambda s: s["b"].append(3),
    "change in a list in a dict": lambda s: s["b"][1].update(c=3),
    "deletion deep inside": lambda s: s["d"]["e"].pop("f"),
    "type only": lambda s: s["b"].__setitem__(0, 1.0),
    "through values()": lambda s: next(v for v in s.values() if type(v) is dict).clear(),
    "through get": lambda s: s.get("b").pop(),
    "through setdefault": lambda s: s.setdefault("b", []).insert(0, 0),
}


@pytest.mark.gen_test
@pytest.mark.parametrize("change", NESTED.values(), ids=NESTED)
async def test_a_nested_change_is_found_and_only_its_key_is_written(
    change: Callable[[Any], object],
) -> None:
    saved = Saved(copy.deepcopy(DATA))
    session = await saved.load()
    change(session)
    expected = copy.deepcopy(dict(session))
    await session.commit()
    assert same(await saved.stored(), expected)
    (update,) = saved.updates()
    assert (len(update.set), list(update.unset)) == (1, [])


NOTHING: dict[str, Callable[[Any], object]] = {
    "reading all": lambda s: copy.deepcopy(dict(s)),
    "assigning what is there": lambda s: s.update(copy.deepcopy(DATA)),
    "adding and removing": lambda s: (s.update(x=1), s.pop("x")),
    "removing and adding": lambda s: s.update(a=s.pop("a")),
    "appending and popping": lambda s: (s["b"].append(1), s["b"].pop()),
}


@pytest.mark.gen_test
@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
async def test_what_comes_to_nothing_writes_nothing(change: Callable[[Any], object]) -> None:
    saved = Saved(copy.deepcopy(DATA))
    session = await saved.load()
    change(session)
    await session.commit()
    assert saved.updates() == []
    assert same(await saved.stored(), DATA)


@pytest.mark.gen_test
async def test_the_handler_does_not_change_what_the_store_has() -> None:
    """What the store was given is not changed by the handler afterwards."""
    saved = Saved({})
    session = await saved.load()
    items: list[JSON] = [1]
    session["items"] = items
    await session.commit()
    items.append(2)
    assert await saved.stored() == {"items": [1]}
    await session.commit()
    assert await saved.stored() == {"items": [1, 2]}


@pytest.mark.gen_test
async def test_a_bad_value_put_inside_is_told_at_the_commit() -> None:
    """A bad value put inside is told at the commit, and nothing is written."""
    saved = Saved({"k": {"x": []}, "other": 1})
    session: Any = await saved.load()
    session["other"] = 2
    session["k"]["x"].append({3})
    with pytest.raises(
        TypeError, match=r"^session\['k'\]\['x'\]\[0\]: .* not set; assign list\(value\)$"
    ):
        await session.commit()
    assert saved.updates() == []


# Against a plain dict

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, "", "x"])
dicts = st.dictionaries
json_values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | dicts(st.sampled_from("xy"), v), max_leaves=5
)
keys = st.sampled_from("abcde")
operations = st.lists(
    st.tuples(st.sampled_from(["set", "pop", "setdefault", "nest", "read"]), keys, json_values)
    | st.tuples(st.sampled_from(["popitem", "clear", "commit"]), keys, st.none()),
    max_size=12,
)


def apply(operation: str, key: str, value: Any, target: Any) -> None:
    """Do the same to a session as to a dict."""
    value = copy.deepcopy(value)
    if operation == "set":
        target[key] = value
    elif operation == "pop":
        target.pop(key, None)
    elif operation == "setdefault":
        target.setdefault(key, value)
    elif operation == "nest":
        inside = target.get(key)
        if type(inside) is list:
            inside.append(value)
        elif type(inside) is dict:
            inside["x"] = value
    elif operation == "read":
        target.get(key)
    elif operation == "popitem" and target:
        del target[min(target)]
    elif operation == "clear":
        target.clear()


@settings(max_examples=300, deadline=None)
@given(dicts(keys, json_values), operations)
def test_changes_are_kept_as_by_a_dict_and_written_alone(
    before: dict[str, Any], todo: list[tuple[str, str, Any]]
) -> None:
    """Any changes are kept as a dict keeps them, and only they are written."""

    async def run() -> None:
        saved = Saved(copy.deepcopy(before))
        session = await saved.load()
        model = copy.deepcopy(before)
        acknowledged = copy.deepcopy(before)
        for operation, key, value in [*todo, ("commit", "", None)]:
            if operation != "commit":
                apply(operation, key, value, session)
                apply(operation, key, value, model)
                assert same(dict(session), model)
                assert len(session) == len(model)
                continue
            saved.store.calls.clear()
            await session.commit()
            differing = {
                k
                for k in acknowledged.keys() | model.keys()
                if k not in model or k not in acknowledged or not same(model[k], acknowledged[k])
            }
            written = [(set(u.set), set(u.unset)) for u in saved.updates()]
            gone = differing - model.keys()
            assert written == ([(differing - gone, gone)] if differing else [])
            assert same(await saved.stored(), model)
            acknowledged = copy.deepcopy(model)
        await saved.manager.close()

    loop = asyncio.new_event_loop()  # not asyncio.run(), which would end the other tests' loop
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
