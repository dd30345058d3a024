"""The checker of histories finds each broken promise, and nothing in a history that keeps them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.helpers.history import Operation, report, violations

BEGIN = {"kind": "set", "key": "a", "token_set": "t1", "id_set": "R"}
ON = {"token": "t1", "session": "R"}
SIGN_IN = {"kind": "sign-in", "user": "ada", "id_set": "R"}
AS_EVE = {"kind": "sign-in", "user": "eve", "token_set": "t3", "id_set": "S"}
ANOTHER = {"kind": "set", "key": "x", "token_set": "tQ", "id_set": "Q"}


def history(*operations: dict[str, Any]) -> list[Operation]:
    """Return operations one after the other, unless they have `start` and `end`; numbers from 0."""
    times = itertools.count()
    made = []
    for number, fields in enumerate(operations):
        values = {"kind": "read", "key": "", "token": None, "status": 200, "start": next(times)}
        made.append(Operation(number=number, **{**values, "end": next(times), **fields}))
    return made


def read(**fields: Any) -> dict[str, Any]:
    return {**ON, "seen": {"a": 0}, **fields}


KEPT = {
    "a value read after it was set": [BEGIN, read()],
    "a set and a deletion": [
        BEGIN,
        {**ON, "kind": "delete", "key": "a", "seen": {"a": 0}},
        read(seen={}),
    ],
    "either of two concurrent sets": [
        BEGIN,
        {**ON, "kind": "set", "key": "a", "seen": {"a": 0}, "start": 10, "end": 20},
        {**ON, "kind": "set", "key": "a", "seen": {"a": 0}, "start": 15, "end": 25},
        read(seen={"a": 1}, start=30, end=31),
    ],
    "an old value by who began before the set ended": [
        BEGIN,
        {**ON, "kind": "set", "key": "a", "seen": {"a": 0}, "start": 10, "end": 20},
        read(start=19, end=30),
    ],
    "a new token and an empty session under the former one": [
        BEGIN,
        read(kind="regenerate", token_set="t2", id_set="R"),
        read(token="t2"),
        read(session=None, seen={}),
        read(session=None, seen={}, kind="set", key="a", status=409),
    ],
    "signing in, then as another user": [
        BEGIN,
        read(**SIGN_IN, token_set="t2"),
        read(token="t2", seen={"a": 0, "@user": "ada"}),
        read(**AS_EVE, token="t2", seen={"a": 0, "@user": "ada"}),
        {"token": "t3", "session": "S", "seen": {"@user": "eve"}},
        read(token="t2", session=None, seen={}),
    ],
    "a double click on sign in": [
        BEGIN,
        read(**SIGN_IN, token_set="t2", start=10, end=20),
        read(**SIGN_IN, token_set="t3", start=11, end=21),
        read(token="t3", seen={"a": 0, "@user": "ada"}, start=30, end=31),
    ],
    "a sign-in under a replaced token": [
        BEGIN,
        read(**SIGN_IN, token_set="t2"),
        read(**SIGN_IN, token_set="t3", session=None, seen={}),
        read(token="t2", session=None, seen={}),
        read(token="t3", seen={"a": 0, "@user": "ada"}),
    ],
    "what a late request did dropped": [
        BEGIN,
        read(kind="set", key="a", start=10, end=50, late=True),
        read(kind="sign-out", start=10, end=51, late=True),
        read(kind="regenerate", token_set="t2", id_set="R", start=11, end=20),
        read(token="t2", start=60, end=61),
    ],
    "an empty session while a rotation has no answer": [
        BEGIN,
        read(kind="regenerate", status=503, seen={}, start=10, end=11, settled=20),
        read(session=None, seen={}, start=12, end=13),
        read(start=21, end=22),
    ],
}

BROKEN = {
    "which nobody had written": [BEGIN, read(seen={"a": 7})],
    "which nobody had written: refused": [
        BEGIN,
        read(kind="set", key="a", status=503),
        read(seen={"a": 1}),
    ],
    "which nobody had written: failed": [
        BEGIN,
        read(kind="fail", key="a", status=500),
        read(seen={"a": 1}),
    ],
    "which nobody had written: elsewhere": [BEGIN, ANOTHER, read(seen={"a": 0, "x": 1})],
    "overwritten before": [BEGIN, read(kind="set", key="a"), read()],
    "overwritten before: came back": [BEGIN, read(kind="delete", key="a"), read()],
    "overwritten before: lost": [BEGIN, read(seen={})],
    "overwritten before: seen already": [
        BEGIN,
        read(kind="set", key="a", start=10, end=50),
        read(seen={"a": 1}, start=20, end=21),
        read(seen={"a": 0}, start=30, end=31),
    ],
    "after its end": [BEGIN, read(kind="sign-out", removed=True), read()],
    "neither ended nor replaced": [BEGIN, read(session=None, seen={})],
    "neither ended nor replaced: undone": [
        BEGIN,
        read(kind="regenerate", status=503, seen={}, start=10, end=11, settled=20),
        read(session=None, seen={}, start=21, end=22),
    ],
    "which nobody had written: unanswered": [
        BEGIN,
        read(**SIGN_IN, status=503, session=None, seen={}),
        read(seen={"a": 0, "@user": "ada"}),
    ],
    "that another had replaced: as another user": [
        BEGIN,
        read(**SIGN_IN, token_set="t2", start=10, end=20),
        read(**{**AS_EVE, "id_set": "R"}, start=11, end=21),
    ],
    "had replaced": [BEGIN, read(kind="regenerate", token_set="t2", id_set="R"), read()],
    "that another had replaced": [
        BEGIN,
        read(kind="regenerate", token_set="t2", id_set="R", start=10, end=20),
        read(kind="regenerate", token_set="t3", id_set="R", start=11, end=21),
    ],
    "got no new token": [BEGIN, read(kind="regenerate")],
    "never given": [BEGIN, read(token="forged")],
    "with a token of": [BEGIN, ANOTHER, read(token="tQ")],
    "503 with a session cookie": [BEGIN, read(kind="regenerate", status=503, token_set="t2")],
    "a set, set a session cookie": [BEGIN, read(kind="set", token_set="t2", id_set="R")],
    "a read, set a session cookie": [{"token_set": "t1", "id_set": "R"}],
    "removed the cookie": [BEGIN, read(removed=True)],
    "given twice": [BEGIN, read(kind="regenerate", token_set="t1", id_set="R")],
}


@pytest.mark.parametrize("operations", KEPT.values(), ids=KEPT)
def test_nothing_is_found_where_all_is_well(operations: list[dict[str, Any]]) -> None:
    assert list(violations(history(*operations))) == []


@pytest.mark.parametrize(("text", "operations"), BROKEN.items(), ids=BROKEN)
def test_each_broken_promise_is_found(text: str, operations: list[dict[str, Any]]) -> None:
    found = list(violations(history(*operations)))
    assert any(text.partition(":")[0] in violation for violation in found), found


def test_a_report_has_the_seed_the_finding_and_the_history() -> None:
    made = history(BEGIN, read(seen={"a": 7}))
    text = report(42, made, list(violations(made)))
    assert "seed 42" in text
    assert "#1 saw a=7" in text
    assert "#0 set a with None" in text
