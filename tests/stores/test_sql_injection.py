"""Hostile bytes against MariaDB in every sql_mode and charset that changes how text is quoted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.sessions import token
from stores import Store
from stores.contract import Create, Delete, Outcome, Update
from stores.sql import SQLStore
from tests.helpers.process import Start, starting
from tests.helpers.records import load_records, make_record, make_rotation
from tests.helpers.sql_databases import ask, opened, table
from tests.store_contract import StoreContract

__all__ = ["table"]  # fixtures

DONE = Outcome.DONE

MODES = ["NO_BACKSLASH_ESCAPES", "ANSI,NO_BACKSLASH_ESCAPES", "ANSI,PAD_CHAR_TO_FULL_LENGTH", ""]

HOSTILE = [
    b"')or sleep(9)#  ",
    b"\\')or sleep(9)# ",
    b"')or sleep(9)-- ",
    b'")or sleep(9)#  ',
    b'\\")or sleep(9)# ',
    b"\xbf')or sleep(9)#",
    b"\xbf\\')or sleep(9)",
    b"');drop table  x",
    b"'\\'\\''\\\\'''\"\"\\\"`",
    b"%s%(x)s%%:x :ids ",
    b"\0\x1a\r\n\x08\t\\0\\Z\\n\\x",
]
"""The first 16 bytes of tokens. The rest of a token is never sent to a database."""


def ids_of(payloads: list[bytes]) -> list[bytes]:
    return [payload[:16].ljust(16, b" ") for payload in payloads]


@pytest.fixture(params=MODES, ids=lambda mode: mode or "none")
def url(request: pytest.FixtureRequest, mariadb: Any, io_loop: Any) -> Iterator[str]:
    """A server whose new connections begin in this mode."""

    async def set_mode(mode: str) -> str:
        ((former,),) = await ask(mariadb.url, "SELECT @@GLOBAL.sql_mode")
        await ask(mariadb.url, f"SET GLOBAL sql_mode = '{mode}'")
        return str(former)

    former = io_loop.run_sync(lambda: set_mode(request.param))
    yield mariadb.url
    io_loop.run_sync(lambda: set_mode(former))


def engine_in(url: str, mode: str, **options: Any) -> Any:
    """Return an application's engine, whose sessions are in this mode."""
    return create_async_engine(
        url.replace("mariadb://", "mariadb+asyncmy://"),
        connect_args={"init_command": f"SET SESSION sql_mode = '{mode}'", **options},
    )


class TestEngineWithoutBackslashesInGBK(StoreContract):
    """The whole contract where a backslash escapes nothing, and is half of a character."""

    @pytest.fixture
    def store(self, mariadb: Any, io_loop: Any) -> Iterator[Store]:
        engine = engine_in(mariadb.url, "ANSI,NO_BACKSLASH_ESCAPES", charset="gbk")
        yield SQLStore(engine)
        io_loop.run_sync(engine.dispose)


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("charset", ["", "utf8mb4", "gbk", "latin1"])
async def test_no_byte_is_taken_for_sql(url: str, table: str, charset: str) -> None:
    """By URL, and in an engine of an application's own with this charset."""
    ((mode,),) = await ask(url, "SELECT @@GLOBAL.sql_mode")
    source: Any = engine_in(url, mode, charset=charset) if charset else url
    ids = ids_of(HOSTILE)
    words = [payload.decode("latin1") for payload in HOSTILE] + ["縗' or 1#", "\N{GRINNING FACE}'"]
    data = {word: [word, {word: word}] for word in words}
    begun = time.monotonic()
    async with opened(source, table, timeout=8) as store:
        assert await store.load(ids) == {}
        records = [make_record(id=id, data=data, user=words[n]) for n, id in enumerate(ids)]
        for record in records:
            assert await store.write([Create(record)]) == [DONE]
        assert await store.load(ids) == {record.id: record for record in records}
        for record, word in zip(records, words, strict=False):
            rotation = make_rotation(
                record, secret_hash=record.id * 2, user=word, rotated=record.created
            )
            update = Update(record.id, {"x": word}, [words[0]], record.expires + 1, rotation)
            assert await store.write([update]) == [DONE]
            assert await store.write([Update(record.id, expires=record.expires + 2)]) == [DONE]
            found = (await load_records(store, [record.id]))[record.id]
            assert (found.data["x"], found.user) == (word, word)
        assert await store.write([Delete(id) for id in ids]) == [DONE] * len(ids)
        assert await store.load(ids) == {}
    assert time.monotonic() - begun < 8
    if charset:
        await source.dispose()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.mark.parametrize("url", ["NO_BACKSLASH_ESCAPES"], indirect=True)
def test_cookies_attack_a_running_service_in_vain(url: str, start: Start, io_loop: Any) -> None:
    service = start("--port=0", f"--store={url}")
    assert service.get("/sessions/get").body.strip() == "n/a"
    begun = time.monotonic()
    for payload in ids_of(HOSTILE):
        cookie = token.encode(payload, os.urandom(24))
        answer = service.get("/sessions/get", cookie)
        assert (answer.status, answer.body.strip()) == (200, "n/a"), payload
        answer = service.get("/sessions/set/x", cookie)
        assert answer.status == 200, payload
    assert time.monotonic() - begun < 8
    for n in range(100):  # in that mode, most of them failed
        cookie = service.get(f"/sessions/set/name{n}").cookie
        assert service.get("/sessions/get", cookie).body.strip() == f"name{n}"
    service.stop()


@pytest.mark.gen_test
async def test_sessions_of_a_store_have_a_mode_of_their_own(url: str, table: str) -> None:
    async with opened(url, table) as store:
        modes = await store._run(
            lambda attempt: attempt.connection.scalar(text("SELECT @@SESSION.sql_mode"))
        )
    assert modes == "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"
