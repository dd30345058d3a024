"""Every store there is, by name: a test with the fixture `any_store` runs on each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import pytest

from app.sessions import user_record
from stores import EncryptedStore, MemoryStore, MongoStore, RedisStore, SQLStore, Store

STORES: Mapping[str, Callable[[pytest.FixtureRequest], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sealed": lambda _: EncryptedStore(MemoryStore(), keys={1: os.urandom(32)}),
    "mongodb": lambda request: MongoStore(request.getfixturevalue("mongod").url, timeout=10),
    "valkey": lambda request: RedisStore(request.getfixturevalue("valkey").url, timeout=10),
    "postgres": lambda request: SQLStore(request.getfixturevalue("postgres").url, timeout=10),
    "mariadb": lambda request: SQLStore(request.getfixturevalue("mariadb").url, timeout=10),
    "sqlite": lambda request: SQLStore(
        f"sqlite:///{request.getfixturevalue('tmp_path')}/s.db", timeout=10
    ),
}
"""Each makes a store that is not open; it asks for the server it needs."""


@pytest.fixture(params=STORES)
def any_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """One store after another, shared with other tests: each uses sessions of its own.

    Its users are its own, too: else all tests' sessions of one "ada" would be in one list.
    """
    id_of, test = user_record.id_of, os.urandom(8).hex()
    monkeypatch.setattr(user_record, "id_of", lambda user: id_of(f"{test} {user}"))
    return STORES[request.param](request)
