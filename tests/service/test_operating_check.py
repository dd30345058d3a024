"""`main.py sessions check`: each finding is a line, and the exit status tells scripts."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from app import Cookie
from app.missing_keys import warn_of_missing_keys
from app.options import options
from stores import EncryptedStore, MemoryStore, MongoStore, RedisStore, SQLStore
from stores.contract import StoreUnavailable
from stores.mongo.url import parts_of
from stores.redis.url import read_url
from tests.helpers.database_servers import Valkey
from tests.helpers.operator import Operator
from tests.helpers.servers import free_port


@pytest.fixture
def restore_options() -> Iterator[None]:
    """Leave the service's options as they were."""
    before = {name: options[name] for name in ("processes", "xheaders", "tls_cert")}
    yield
    for name, value in before.items():
        options[name] = value


def test_all_is_well_is_one_line(operator: Operator) -> None:
    operator.sign_in("ada", None)
    answer = operator("check")
    assert (answer.status, answer.err) == (0, "")
    (line,) = answer.lines
    assert line.startswith("all is well: cookie session in ")
    assert line.endswith("3 records read")
    assert "read" not in operator("check", "--quick").out
    assert operator("count", "--exact").out.startswith("2 sessions")


def spoil(operator: Operator, id: str) -> None:
    """Damage a session's record in its database."""
    store: Any = operator.make()
    if isinstance(store, MongoStore):
        with pymongo.MongoClient[dict[str, Any]](store.name.partition("?")[0]) as client:
            collection = client.get_default_database()[store._collection_name]
            collection.update_many({"user": "mallory"}, {"$unset": {"secret": ""}})
    elif isinstance(store, RedisStore):
        with redis.Redis.from_url(store.name.partition("?")[0]) as server:
            server.hset(store._prefix + id.encode(), "d:cart", "[")
    else:
        with sqlite3.connect(store.name.removeprefix("sqlite://")) as database:
            table = store._statements.table.name
            database.execute(f"UPDATE {table} SET data = '[' WHERE user_name = 'mallory'")
        database.close()


@pytest.mark.parametrize("operator", ["mongodb", "valkey", "sqlite"], indirect=True)
def test_unreadable_records_are_named_and_removed(operator: Operator) -> None:
    operator.sign_in("ada")
    (bad,) = operator.sign_in("mallory")
    spoil(operator, bad)
    answer = operator("check")
    assert answer.status == 1
    (line,) = answer.lines
    assert line.startswith(f"the record {bad} cannot be read: ")
    assert "1 unreadable records" in operator("count", "--exact").out
    assert operator("show", bad).status == 1

    refused = operator("check", "--remove-unreadable")
    assert refused.status == 1
    assert "write --yes" in refused.err
    removed = operator("check", "--remove-unreadable", "--yes")
    assert removed.status == 1
    assert removed.lines[-1].startswith("1 unreadable record removed")
    assert operator("check").status == 0
    assert len(operator("list", "--json").lines) == 1


def test_an_unreachable_store_is_one_line_and_status_2(capsys: Any) -> None:
    url = f"mongodb://127.0.0.1:{free_port()}/db"
    operator = Operator(capsys, lambda: MongoStore(url, timeout=0.5))
    answer = operator("check")
    assert (answer.status, answer.err) == (2, "")
    assert len(answer.lines) == 1
    assert answer.out.startswith(f"store {url}/sessions: ".replace("/db/sessions", "/db"))
    for command in (["count"], ["list"], ["sweep"], ["end", "--all", "--yes"]):
        answer = operator(*command)
        assert (answer.status, answer.out) == (2, "")
        assert answer.err.count("\n") == 1
        assert answer.err.startswith(f"main.py: store {url}")


def test_rights_and_eviction_that_fall_short_are_found(capsys: Any, tmp_path: Path) -> None:
    server = Valkey(tmp_path, more=("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"))
    try:
        server.admin("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-hdel", "-unlink", "-scan")
        operator = Operator(capsys, lambda: RedisStore(f"redis://u:p@127.0.0.1:{server.port}"))
        answer = operator("check")
        assert answer.status == 2
        assert "maxmemory-policy allkeys-lru" in answer.lines[0]
        assert any("UNLINK" in line and "(to remove a session)" in line for line in answer.lines)
        assert any("SCAN" in line for line in answer.lines)
        assert "p@" not in answer.out
    finally:
        server.kill()


def test_a_missing_index_is_found(sqlite_operator: Operator, caplog: Any) -> None:
    """What the store would warn of is a finding, and not in the log."""

    class Warns(SQLStore):
        async def open(self) -> None:
            await super().open()
            logging.getLogger("stores.sql.shape").warning("the table has no index")

    path = sqlite_operator.make().name.removeprefix("sqlite://")
    sqlite_operator.make = lambda: Warns(f"sqlite:///{path}")
    answer = sqlite_operator("check")
    assert (answer.status, answer.out) == (1, "the table has no index\n")
    assert caplog.text == ""


def test_a_store_that_lost_a_method_is_found(sqlite_operator: Operator) -> None:
    class Refusing(SQLStore):
        async def write(self, changes: Any) -> Any:
            raise StoreUnavailable("the disk is full")

    path = sqlite_operator.make().name.removeprefix("sqlite://")
    sqlite_operator.make = lambda: Refusing(f"sqlite:///{path}")
    answer = sqlite_operator("check")
    assert answer.status == 1
    assert answer.out.endswith("the disk is full (to create a session)\n")


@pytest.mark.usefixtures("restore_options")
def test_a_cookie_behind_tls_has_a_safe_name(sqlite_operator: Operator) -> None:
    options.xheaders = True
    sqlite_operator.cookies = (Cookie("shop", domain="example.org"), Cookie("__Host-staff"))
    answer = sqlite_operator("check")
    assert answer.status == 1
    (line,) = answer.lines
    assert line.startswith("cookie shop: with --xheaders, clients come over TLS")
    assert "name it __Host-shop, without domain and path" in line
    sqlite_operator.cookies = (Cookie("shop", secure=False),)
    assert "secure=False" in sqlite_operator("check").out


@pytest.mark.usefixtures("restore_options")
def test_memory_and_several_processes_do_not_go_together(capsys: Any) -> None:
    operator = Operator(capsys, MemoryStore)
    answer = operator("check")
    assert (answer.status, answer.err) == (0, "")
    options.processes = 4
    answer = operator("check")
    assert answer.status == 1
    assert "needs a store that processes share" in answer.out


@pytest.mark.parametrize("read", [parts_of, read_url])
def test_a_far_server_without_tls_may_be_overheard(read: Callable[[str], Any]) -> None:
    scheme, tls = ("mongodb", "mongodb://db.example.org/0?tls=true")
    if read is read_url:
        scheme, tls = ("redis", "rediss://db.example.org/0")
    urls = [f"{scheme}://{host}/0" for host in ("db.example.org", "127.0.0.1", "localhost")]
    assert [read(url).may_be_overheard for url in (*urls, tls)] == [True, False, False, False]


def test_values_that_do_not_open_are_found_and_stay(sqlite_operator: Operator) -> None:
    """The right key may come back; until then they are listed and ended by what is in clear."""
    make = sqlite_operator.make
    sqlite_operator.make = lambda: EncryptedStore(make(), {1: bytes(range(32))})
    (id,) = sqlite_operator.sign_in("ada")
    assert sqlite_operator("check").status == 0
    sqlite_operator.make = lambda: EncryptedStore(make(), {2: bytes(range(1, 33))})
    answer = sqlite_operator("check", "--remove-unreadable", "--yes")
    assert answer.status == 1
    assert f"the values of record {id} do not open: " in answer.out
    assert "removed" not in answer.out
    assert sqlite_operator("count", "--exact").out.startswith("1 session, ")
    listed = sqlite_operator("list", "--json")
    assert listed.status == 1
    assert listed.err.startswith("main.py: the values of a user's list of sessions do not open")
    assert listed.err.count("\n") == 1
    (line,) = listed.lines
    assert (json.loads(line)["id"], json.loads(line)["user"]) == (id, "ada")
    shown = sqlite_operator("show", id)
    assert "  cart  " in shown.out
    assert "its values do not open, and are shown as they are kept" in shown.err
    assert sqlite_operator("end", "--all", "--yes").out == "1 session ended\n"


def test_sealed_values_without_keys_are_told(
    sqlite_operator: Operator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the commands, and by the service when it starts; nobody takes them for plain ones."""
    make = sqlite_operator.make
    sqlite_operator.make = lambda: EncryptedStore(make(), {1: bytes(range(32))})
    (id,) = sqlite_operator.sign_in("ada")
    sqlite_operator.make = make
    answer = sqlite_operator("check")
    assert answer.status == 1
    assert "2 of 2 records have sealed values: give the keys by SESSION_KEYS_FILE" in answer.out
    for words in (["list"], ["list", id], ["list", "--user=ada"]):
        answer = sqlite_operator(*words)
        assert answer.status == 1
        assert "SESSION_KEYS_FILE" in answer.err
    answer = sqlite_operator("end", "--user=ada", "--yes")
    assert (answer.status, answer.out) == (2, "")
    answer = sqlite_operator("copy", f"sqlite:///{tmp_path}/target.db")
    assert "were copied as they are: give the keys by SESSION_KEYS_FILE" in answer.err

    async def start() -> None:
        (manager,) = sqlite_operator.managers()
        await warn_of_missing_keys([manager])
        await manager.close()

    asyncio.run(start())
    assert "has sealed values, and handlers are shown the sealed text" in caplog.text
