"""The session as a mapping: every operation, and each refused where it cannot be kept."""

from __future__ import annotations

import collections
import copy
import datetime as dt
import decimal
import enum
import json
import math
import time
import types
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from app import Session, SessionCommitted, SessionConflict, SessionManager, SessionReadOnly
from app.sessions.pending import Presented
from app.sessions.stage import Stage
from app.sessions.values import MAX_DEPTH
from app.sessions.working_copy import freeze
from stores import MemoryStore
from stores.contract import JSON
from tests.helpers.records import make_record

DATA: dict[str, JSON] = {"a": 1, "b": [1, {"c": 2}], "d": {"e": {"f": None}}, "g": "text"}


def new_session(data: dict[str, Any] | None = None, stage: Stage = Stage.OPEN) -> Session:
    record = None if data is None else make_record(data=data)
    return Session(SessionManager(MemoryStore()), record, Presented(at=0.0), stage)


@pytest.mark.parametrize("saved", [True, False])
def test_it_reads_as_a_dict_does(saved: bool) -> None:
    session = new_session(DATA) if saved else new_session()
    if not saved:
        session.update(DATA)
    assert isinstance(session, MutableMapping)
    assert len(session) == 4
    assert list(session) == list(session.keys()) == ["a", "b", "d", "g"]
    assert list(session.items()) == list(DATA.items())
    assert list(session.values()) == list(DATA.values())
    assert "a" in session
    assert "x" not in session
    assert 1 not in session  # type: ignore[comparison-overlap]
    assert session.get("x") is None
    assert session.get("x", 7) == 7
    with pytest.raises(KeyError, match="x"):
        session["x"]
    assert session == DATA
    assert session != {**DATA, "a": 2}
    assert session == new_session(DATA)
    assert bool(session)
    assert not new_session()


def test_keys_keep_the_order_in_which_they_came() -> None:
    session = new_session({"a": 1, "b": 2, "c": 3})
    session["d"] = 4
    session["b"] = 20
    del session["a"]
    session["e"] = 5
    del session["d"]
    session["d"] = 40
    assert list(session.items()) == [("b", 20), ("c", 3), ("e", 5), ("d", 40)]
    assert len(session) == 4


def test_setdefault_pop_update_and_deletion() -> None:
    session = new_session({"a": 1})
    assert session.setdefault("a", 9) == 1
    assert session.setdefault("n") is None
    assert session.pop("a") == 1
    assert session.pop("a", "gone") == "gone"
    with pytest.raises(KeyError):
        session.pop("a")
    with pytest.raises(KeyError):
        del session["a"]
    session.update({"b": 2}, c=3)
    session.update([("d", 4)])
    assert session == {"n": None, "b": 2, "c": 3, "d": 4}


def test_popitem_empties_it_and_says_so_at_the_end() -> None:
    session = new_session({"a": 1})
    session["b"] = [2]
    assert sorted([session.popitem()[0], session.popitem()[0]]) == ["a", "b"]
    assert session == {}
    with pytest.raises(KeyError):
        session.popitem()


def test_clear_removes_saved_and_new_keys() -> None:
    session = new_session(DATA)
    session["new"] = 1
    session.clear()
    assert (list(session), len(session), "a" in session) == ([], 0, False)
    session["a"] = 2
    assert session == {"a": 2}


def test_clearing_thousands_of_keys_holds_up_nobody() -> None:
    session = new_session({str(n): n for n in range(10_000)})
    began = time.process_time()
    session.clear()
    assert time.process_time() - began < 0.5
    assert session == {}


def test_the_union_operators_are_those_of_a_dict() -> None:
    session: Any = new_session({"a": 1, "b": [1]})
    assert session | {"c": 3} == {"a": 1, "b": [1], "c": 3}
    assert {"a": 0, "d": 4} | session == {"a": 1, "d": 4, "b": [1]}
    assert session | session == {"a": 1, "b": [1]}
    assert type(session | {}) is type({} | session) is dict
    for other in ([("a", 1)], None):
        with pytest.raises(TypeError):
            session | other
        with pytest.raises(TypeError):
            other | session
    assert list(session) == ["a", "b"]
    same = session
    session |= {"b": 2}
    session |= [("c", 3)]
    assert session is same
    assert session == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(TypeError, match="session"):
        session |= {"d": object()}


@pytest.mark.parametrize("copied", [Session.copy, copy.copy, copy.deepcopy, dict])
def test_a_copy_is_a_dict_that_is_not_saved(copied: Callable[[Session], Any]) -> None:
    session = new_session({"a": 1})
    session["b"] = [2]
    taken = copied(session)
    assert type(taken) is dict
    assert taken == {"a": 1, "b": [2]}
    taken["a"] = 3
    assert session["a"] == 1
    assert (taken["b"] is session["b"]) == (copied is not copy.deepcopy)


@pytest.mark.parametrize("key", ["a", "b", "g"])
def test_json_takes_what_is_in_it_as_a_dict(key: str) -> None:
    session = new_session(DATA)
    assert json.loads(json.dumps(dict(session))) == DATA
    assert json.loads(json.dumps(session.copy()))[key] == DATA[key]


def test_what_is_handed_out_is_the_requests_own() -> None:
    """What is handed out is the request's own, and stays the same object."""
    data: dict[str, Any] = copy.deepcopy(DATA)
    session = new_session(data)
    nested: Any = session["b"]
    nested.append("changed")
    assert session["b"] is nested
    assert data == DATA


def nested_too_deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(MAX_DEPTH):
        value = [value]
    return value


BAD: list[tuple[Any, type[Exception], str]] = [
    ({"x": [0, {1, 2}]}, TypeError, r"^session\['k'\]\['x'\]\[1\]: .* not set; assign list\("),
    ([0, [(1, 2)]], TypeError, r"^session\['k'\]\[1\]\[0\]: .* not tuple; assign list\(value\)$"),
    ({"x": {3: 1}}, TypeError, r"^session\['k'\]\['x'\]: a key must be str, not int$"),
    (b"bytes", TypeError, r"^session\['k'\]: .* not bytes; assign text"),
    ([math.nan], ValueError, r"^session\['k'\]\[0\]: nan is not a finite number$"),
    ({"x": 2**63}, ValueError, r"^session\['k'\]\['x'\]: .* 64 bits$"),
    (["\ud800"], ValueError, r"^session\['k'\]\[0\]: a lone surrogate"),
    (nested_too_deep(), ValueError, r"nested deeper than 64 levels$"),
]


@pytest.mark.parametrize(("value", "error", "text"), BAD)
def test_a_bad_value_is_told_with_its_path_and_changes_nothing(
    value: Any, error: type[Exception], text: str
) -> None:
    session = new_session({"k": 1, "l": 2})
    with pytest.raises(error, match=text):
        session["k"] = value
    with pytest.raises(error, match=text):
        session.update(k=value)
    del session["k"]
    with pytest.raises(error, match=text):
        session.setdefault("k", value)
    assert session == {"l": 2}


class Colour(enum.StrEnum):
    RED = "red"


class Text(str):
    __slots__ = ()


MENDS: list[tuple[Any, str]] = [
    (dt.date(2020, 1, 2), "date; assign value.isoformat()"),
    (dt.datetime(2020, 1, 2, tzinfo=dt.UTC), "datetime; assign value.isoformat()"),
    (dt.time(12), "time; assign value.isoformat()"),
    ((1, 2), "tuple; assign list(value)"),
    ({1, 2}, "set; assign list(value)"),
    (frozenset("a"), "frozenset; assign list(value)"),
    (range(3), "range; assign list(value)"),
    ({}.keys(), "dict_keys; assign list(value)"),
    (collections.deque([1]), "deque; assign list(value)"),
    (collections.OrderedDict(a=1), "OrderedDict; assign dict(value)"),
    (types.MappingProxyType({}), "mappingproxy; assign dict(value)"),
    (uuid.UUID(int=1), "UUID; assign str(value)"),
    (decimal.Decimal("1.5"), "Decimal; assign str(value)"),
    (Colour.RED, "Colour; assign its .value"),
    (Text("a"), "Text; assign str(value)"),
    (bytearray(b"a"), "bytearray; assign text: base64, or what .decode() returns"),
    (dt.timedelta(1), "timedelta"),
    (object(), "object"),
]


@pytest.mark.parametrize(("value", "text"), MENDS, ids=[text.split(";")[0] for _, text in MENDS])
def test_a_bad_value_is_told_with_its_mend(value: Any, text: str) -> None:
    session = new_session({"kept": 1})
    for bad in (value, [value], {"inside": value}):
        with pytest.raises(TypeError) as raised:
            session["k"] = bad
        assert str(raised.value).endswith(
            f": a session holds None, bool, int, float, str, list and dict, not {text}"
        )
    with pytest.raises(TypeError, match="Session; assign dict"):
        session["k"] = session  # type: ignore[assignment]


@pytest.mark.parametrize("key", [1, None, b"k", ("k",), True])
def test_a_key_that_is_not_text_is_refused(key: Any) -> None:
    session = new_session()
    with pytest.raises(TypeError, match=r"^session: a key must be str, not "):
        session[key] = 1
    assert session == {}


CHANGES: dict[str, Callable[[Any], object]] = {
    "set": lambda s: s.update(a=2),
    "union": lambda s: s.__ior__({"a": 2}),
    "same value": lambda s: s.update(a=1),
    "new key": lambda s: s.setdefault("n", 1),
    "del": lambda s: s.pop("a"),
    "popitem": lambda s: s.popitem(),
    "clear": lambda s: s.clear(),
    "destroy": lambda s: s.destroy(),
    "regenerate": lambda s: s.regenerate(),
    "sign_in": lambda s: s.sign_in("ada"),
    "sign_out": lambda s: s.sign_out(),
    "persistent": lambda s: setattr(s, "persistent", False),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_refused_where_it_cannot_be_kept(change: Callable[[Any], object]) -> None:
    committed = new_session({"a": 1})
    freeze(committed)
    with pytest.raises(SessionCommitted):
        change(committed)
    with pytest.raises(SessionReadOnly, match="read_only=True"):
        change(new_session({"a": 1}, Stage.READ_ONLY))
    assert committed == {"a": 1}


OTHERS = ("del", "popitem", "clear", "sign_in")  # of an empty session, or never refused
EMPTY_CHANGES = {k: v for k, v in CHANGES.items() if k not in OTHERS}


@pytest.mark.parametrize("change", EMPTY_CHANGES.values(), ids=EMPTY_CHANGES)
def test_each_change_under_a_replaced_token_is_a_conflict(change: Callable[[Any], object]) -> None:
    with pytest.raises(SessionConflict) as caught:
        change(new_session(stage=Stage.REPLACED))
    assert caught.value.status_code == 409


def test_a_repr_shows_no_value_and_no_token() -> None:
    session = new_session({"password": "hunter2"})
    session["new"] = "hunter2"
    session.sign_in("hunter2")
    assert repr(session) + str(session) + f"{session}" == f"<Session {session.id}>" * 3
    assert repr(new_session()) == "<Session unsaved>"
