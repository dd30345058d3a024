"""An operator: runs `main.py sessions` in this process, over stores of a test's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from app import Config, Cookie, Group, Route, SessionManager
from app.operating.operations import SESSIONS
from app.operating.running import run
from app.option_values import Origins
from handlers.sessions import GetName
from stores import MongoStore, RedisStore, SQLStore, Store
from stores.contract import Create, Record

NO_ORIGINS = Origins({}, [])


class Answer(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Operator:
    """Calls commands; each opens stores that *make* makes anew, as a process of its own would."""

    def __init__(self, capsys: pytest.CaptureFixture[str], make: Callable[[], Store]) -> None:
        self._capsys = capsys
        self.make = make
        self.cookies: Sequence[Cookie] = (Cookie(),)
        self.one_store = False
        """Whether several managers share a store."""
        self.options: dict[str, Any] = {}
        """Of the managers."""

    def managers(self) -> list[SessionManager]:
        shared = self.make() if self.one_store else None
        return [
            SessionManager(shared or self.make(), cookie=c, **self.options) for c in self.cookies
        ]

    def __call__(self, *words: str) -> Answer:
        """Run `main.py sessions` with these words. Raises `OptionError`."""
        options, rest = SESSIONS.split(words)
        assert options == []
        operation, request = SESSIONS.parse(rest, NO_ORIGINS)
        routes = [
            Group(str(n), Route("get", GetName), sessions=manager)
            for n, manager in enumerate(self.managers())
        ]
        status = run(operation, request, Config(Group("/", *routes)))
        return Answer(status, *self._capsys.readouterr())

    def sign_in(self, *users: str | None, cookie: int = 0, label: str | None = None) -> list[str]:
        """Begin sessions of these users, or of nobody; return their ids."""
        return asyncio.run(self._sign_in(users, cookie, label))

    async def _sign_in(
        self, users: Sequence[str | None], cookie: int, label: str | None
    ) -> list[str]:
        manager = self.managers()[cookie]
        ids = []
        for user in users:
            client = SimpleNamespace(headers={"User-Agent": "Browser/1.0"}, remote_ip="192.0.2.7")
            session = await manager.load(None, client=client)
            session["cart"] = [1, 2]
            if user is not None:
                session.sign_in(user, label=label)
            await session.commit()
            ids.append(str(session.id))
        await manager.close()
        return ids

    def put(self, *records: Record) -> None:
        """Put records into the store."""

        async def write() -> None:
            store = self.make()
            await store.open()
            await store.write([Create(record) for record in records])
            await store.close()

        asyncio.run(write())


PATIENCE = 15.0
"""Seconds that a store has for each step: the machine may be busy."""

SHARED: dict[str, Callable[[pytest.FixtureRequest, str], Store]] = {
    "mongodb": lambda request, own: MongoStore(
        request.getfixturevalue("mongod").url, collection=own, timeout=PATIENCE
    ),
    "valkey": lambda request, own: RedisStore(
        request.getfixturevalue("valkey").url, prefix=f"{own}:", timeout=PATIENCE
    ),
    "postgres": lambda request, own: SQLStore(
        request.getfixturevalue("postgres").url, table=own, timeout=PATIENCE
    ),
    "mariadb": lambda request, own: SQLStore(
        request.getfixturevalue("mariadb").url, table=own, timeout=PATIENCE
    ),
    "sqlite": lambda request, own: SQLStore(
        f"sqlite:///{request.getfixturevalue('tmp_path')}/{own}.db", timeout=PATIENCE
    ),
}
"""Stores that a command in another process sees; each with a part of a server of its own."""


@pytest.fixture(params=SHARED)
def operator(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[Operator]:
    """An operator over one database after another, empty at first."""
    yield from _operator(request, capsys, request.param)


@pytest.fixture
def sqlite_operator(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[Operator]:
    """An operator over SQLite: where the database makes no difference."""
    yield from _operator(request, capsys, "sqlite")


def _operator(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], kind: str
) -> Iterator[Operator]:
    own = f"test_{os.urandom(6).hex()}"
    operator = Operator(capsys, lambda: SHARED[kind](request, own))
    yield operator
    if kind != "sqlite":
        operator("end", "--all", "--yes")
