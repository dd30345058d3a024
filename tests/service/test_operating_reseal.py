"""`main.py sessions` over sealed values: resealed, checked, and shown as what they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from stores import EncryptedStore, Store
from tests.helpers.operator import Operator

OLD, NEW, LOST = (os.urandom(32) for _ in range(3))


@pytest.fixture
def plain(operator: Operator) -> Callable[[], Store]:
    """Makes the store without keys."""
    return operator.make


def use(operator: Operator, plain: Callable[[], Store], keys: Any, **options: Any) -> None:
    """Let commands and requests have these keys from now on."""
    operator.make = lambda: EncryptedStore(plain(), keys, **options)


def test_a_new_key_takes_the_place_of_the_old(
    operator: Operator, plain: Callable[[], Store]
) -> None:
    use(operator, plain, {1: OLD})
    operator.sign_in("ada", None)
    use(operator, plain, {1: OLD, 2: NEW})
    operator.sign_in("ada")
    answer = operator("reseal")
    assert (answer.status, answer.err) == (0, "")
    # A session is sealed with the new key, and an entry of ada's list of sessions.
    assert answer.out.startswith("3 of 4 records sealed anew with key 2, cookie session in ")
    again = operator("reseal")
    assert (again.status, again.out[:36]) == (0, "0 of 4 records sealed anew with key ")
    use(operator, plain, {2: NEW})
    assert operator("check").out.startswith("all is well")
    assert len(operator("list", "--user", "ada").lines) == 3


def test_plain_sessions_are_sealed_when_moving_in(
    operator: Operator, plain: Callable[[], Store]
) -> None:
    operator.make = plain
    operator.sign_in("ada")
    use(operator, plain, {1: OLD})
    answer = operator("reseal")
    assert answer.status == 1
    first, second, last = answer.lines
    assert first.endswith("is left as it is: a value is not sealed")
    assert second.endswith("is left as it is: a value is not sealed")
    assert last.endswith("; 2 left as they are")
    use(operator, plain, {1: OLD}, accept_plain=True)
    assert operator("reseal").status == 0
    use(operator, plain, {1: OLD})
    assert operator("check").out.startswith("all is well")


def test_what_does_not_open_is_found_and_stays(
    sqlite_operator: Operator,
) -> None:
    operator, plain = sqlite_operator, sqlite_operator.make
    use(operator, plain, {3: LOST})
    (lost,) = operator.sign_in(None)
    use(operator, plain, {1: OLD})
    operator.sign_in(None)
    use(operator, plain, {1: OLD, 2: NEW})
    reason = "a value is sealed with key 3, which is not there"
    answer = operator("reseal")
    assert (answer.status, answer.lines[0]) == (
        1,
        f"the record {lost} is left as it is: {reason}",
    )
    assert answer.lines[1].endswith(" (sealed); 1 left as they are")
    for words in (["check"], ["check", "--remove-unreadable", "--yes"]):
        answer = operator(*words)
        assert (answer.status, answer.lines) == (
            1,
            [f"the values of record {lost} do not open: {reason}"],
        )
    assert len(operator("list").lines) == 3  # it is no less a session


def test_a_store_that_seals_nothing_is_told(sqlite_operator: Operator) -> None:
    answer = sqlite_operator("reseal")
    assert (answer.status, answer.out) == (2, "")
    assert "its values are not sealed; give keys by SESSION_KEYS_FILE" in answer.err
