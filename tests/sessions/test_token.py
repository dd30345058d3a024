"""The token: where its bits come from, and that there is one way to spell it."""

from __future__ import annotations

import os
import random

import pytest

from app import SessionManager
from app.sessions import token
from stores import MemoryStore
from tests.helpers.cookies import token_of
from tests.helpers.hostile_cookies import is_token


@pytest.mark.gen_test
async def test_id_and_secret_are_all_bits_of_the_operating_systems_generator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[bytes] = []
    urandom = os.urandom

    def draw(size: int) -> bytes:
        drawn.append(urandom(size))
        return drawn[-1]

    monkeypatch.setattr("os.urandom", draw)
    manager = SessionManager(MemoryStore())
    texts = []
    for _ in range(2):  # the first is of a new session, the second of a new token for it
        cookie = f"session={texts[-1]}" if texts else None
        session = await manager.load(cookie)
        session.sign_in("ada")
        texts.append(token_of(await session.commit()))
    first, second = map(token.decode, texts)
    assert {*first, *second} == set(drawn)
    assert sorted(map(len, drawn)) == [16, 24, 24]  # 192 bits of secret
    assert first[0] == second[0]


def test_tokens_neither_repeat_nor_follow_a_seed() -> None:
    made = set()
    state = random.getstate()
    for _ in range(5_000):
        random.seed(1)
        made.add(token.encode(token.new_id(), token.new_secret()))
    random.setstate(state)
    assert len(made) == 5_000
    for text in made:
        assert is_token(text)
        assert token.encode(*token.decode(text)) == text
    for at in range(53):  # no letter of it is fixed or nearly so
        assert len({text[at] for text in made}) > 50
