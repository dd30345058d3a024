"""SQL sessions with the rights that stores/README.md lists, and no others."""

from __future__ import annotations

import logging
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from stores import ConfigurationError, StoreUnavailable
from stores.contract import Create, Delete, Outcome, Update
from stores.sql import SQLStore
from tests.helpers.records import load_record, make_record, make_rotation
from tests.helpers.sql_databases import ask, engine_of, opened

DONE = Outcome.DONE
README = Path(__file__).parents[2] / "stores" / "README.md"


class Place:
    """A database of its own, and a user with the rights that the README lists."""

    def __init__(self, server: Any, own: str) -> None:
        self._server = server
        self.own = own
        self.kind = server.url.partition(":")[0]
        self.url = server.url.rpartition("/")[0] + f"/{own}"
        self.user_url = self.url.replace("test@", f"{own}:secret@")

    async def make(self) -> None:
        await ask_alone(self._server.url, f"CREATE DATABASE {self.own}")
        for statement in self.statements():
            await ask(self.url, statement)

    def statements(self) -> list[str]:
        """Return the README's commands, for this database and user."""
        title = {"postgresql": "PostgreSQL", "mariadb": "MySQL and MariaDB"}[self.kind]
        found = re.search(rf"-- {title}\n(.*?)```", README.read_text(), re.DOTALL)
        assert found, title
        text = found[1].replace("app_user", self.own).replace("'…'", "'secret'")
        text = text.replace("'%'", "'127.0.0.1'").replace("app.", f"{self.own}.")
        return [line.strip() for line in text.split(";") if line.strip()]


async def ask_alone(url: str, statement: str) -> None:
    """Run a statement that takes no transaction."""
    async with engine_of(url, isolation_level="AUTOCOMMIT") as engine, engine.connect() as c:
        await c.execute(text(statement))


@pytest.fixture(params=["postgres", "mariadb"])
def place(request: pytest.FixtureRequest, io_loop: Any) -> Place:
    place = Place(request.getfixturevalue(request.param), f"app_{os.urandom(4).hex()}")
    io_loop.run_sync(place.make)
    return place


@pytest.mark.gen_test(timeout=30)
async def test_the_rights_in_the_readme_suffice(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    record, dead = make_record(data={"n": 1}), make_record(expires=time.time() - 60)
    async with opened(place.user_url, timeout=10) as store:
        assert await store.write([Create(record), Create(dead)]) == [DONE, DONE]
        assert await store.write([Update(record.id, {"n": 2})]) == [DONE]
        assert await store.write([Update(record.id, expires=record.expires + 9)]) == [DONE]
        rotation = make_rotation(record, user="ada")
        assert await store.write([Update(record.id, rotation=rotation)]) == [DONE]
        assert (await load_record(store, record.id)).user == "ada"
        assert await store.sweep(time.time(), 10) == 1
        assert list((await store.scan()).found) == [record.id]
        assert (await store.count(exact=True)).number == 1
        assert (await store.count()).number >= 0
        assert await store.write([Delete(record.id)]) == [DONE]
        await store.ping()
    assert caplog.text == ""


@pytest.mark.gen_test(timeout=30)
async def test_each_of_the_rights_is_needed(place: Place) -> None:
    host = "" if place.kind == "postgresql" else "@'127.0.0.1'"
    record = make_record()
    async with opened(place.user_url, timeout=10) as store:
        await store.write([Create(record)])
    for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        await ask(place.url, f"REVOKE {right} ON sessions FROM {place.own}{host}")
        with pytest.raises(StoreUnavailable, match=r"stores/README\.md lists the rights"):
            async with opened(place.user_url, timeout=10) as store:
                await store.write([Create(make_record())])
                await store.write([Update(record.id, {"n": 2})])
                await store.write([Delete(record.id)])
        await ask(place.url, f"GRANT {right} ON sessions TO {place.own}{host}")


@pytest.mark.gen_test(timeout=30)
async def test_without_its_index_and_the_right_to_it_the_store_works(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    on = "" if place.kind == "postgresql" else " ON sessions"
    await ask(place.url, f"DROP INDEX sessions_expires{on}")
    dead = make_record(expires=time.time() - 60)
    with caplog.at_level(logging.WARNING):
        async with opened(place.user_url, timeout=10) as store:
            assert await store.write([Create(dead)]) == [DONE]
            assert await store.sweep(time.time(), 10) == 1
    (record,) = caplog.records
    statement = record.getMessage().partition("run: ")[2]
    assert statement == "CREATE INDEX sessions_expires ON sessions (expires)"
    await ask(place.url, statement)
    caplog.clear()
    async with opened(place.user_url, timeout=10):
        assert caplog.text == ""


@pytest.mark.gen_test(timeout=30)
async def test_without_a_table_and_the_right_to_one_the_mend_is_told(place: Place) -> None:
    if place.kind == "mariadb":  # it denies that what a user may not read is there
        host = "@'127.0.0.1'"
        await ask(place.url, f"GRANT SELECT ON {place.own}.* TO {place.own}{host}")
    await ask(place.url, "DROP TABLE sessions")
    store = SQLStore(place.user_url, timeout=10)
    with pytest.raises(ConfigurationError, match="does not exist") as caught:
        await store.open()
    await store.close()
    for statement in str(caught.value).partition("run: ")[2].split("; "):
        await ask(place.url, statement)
    grant = [line for line in place.statements() if line.startswith("GRANT SELECT")]
    await ask(place.url, grant[0])
    async with opened(place.user_url, timeout=10) as store:
        assert await store.write([Create(make_record())]) == [DONE]
