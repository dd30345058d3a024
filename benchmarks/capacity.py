"""`python -m benchmarks.capacity [--quick]`: what a session takes in each store, in bytes.

The sessions are made and written to by a session manager, as requests do it: a signed-in one has
its place in its user's record, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import multiprocessing
import random
import string
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pymongo
import redis.asyncio

from app import SessionManager
from app.sessions.session import Session
from benchmarks import results
from benchmarks.service import resident_bytes
from benchmarks.table import as_text
from stores import Store, open_store
from tests.helpers.database_servers import MariaDB, Mongod, Postgres, Valkey
from tests.helpers.servers import Server, missing
from tests.helpers.sql_databases import ask

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

TOGETHER = 100
"""Sessions that are written at a time."""

WRITES = 5
"""Times that each is written to afterwards."""

KINDS: Mapping[str, tuple[int, bool]] = {
    "anonymous, two short values": (0, False),
    "signed in, two short values": (0, True),
    "signed in, 2,000 characters more": (2_000, True),
}
"""How many characters a session has besides its short values, and whether it has a user."""

Measure = Callable[[str], Awaitable[int]]
"""What returns the bytes that the sessions behind a URL take."""


class _Client:
    """A browser, as a sign-in looks at it."""

    headers: Mapping[str, str] = {"User-Agent": AGENT}
    remote_ip = "192.0.2.1"


def main() -> None:
    """Measure, print the table; unless it was quick, keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sessions")
    quick = parser.parse_args().quick
    number = 2_000 if quick else 20_000
    machine = results.machine()
    rows: dict[str, dict[str, list[float]]] = {}
    for name in STORES:
        for kind in KINDS:
            if found := _in_a_new_process(name, kind, number):
                rows.setdefault(name, {})[kind] = found
    print(results.describe(machine) + "\n")
    print(as_text(as_table(rows)))
    if not quick:
        results.save("capacity", {"machine": machine, "number": number, "rows": rows})


def _in_a_new_process(name: str, kind: str, number: int) -> list[float]:
    """Return what `measure` does; what one process has freed would count for the next."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (name, kind, number))


def measure(name: str, kind: str, number: int) -> list[float]:
    """Return the bytes of a session when it is new, and when it was written to; nothing if none."""
    with _store(name) as found:
        if found is None:
            return []
        store, bytes_of = found
        return asyncio.run(_fill(store, bytes_of, kind, number))


async def _fill(
    store: Store, bytes_of: Callable[[], Awaitable[int]], kind: str, number: int
) -> list[float]:
    more, has_user = KINDS[kind]
    store.timeout = None if store.timeout is None else 60.0
    manager = SessionManager(store)
    await manager.open()
    try:
        gc.collect()
        before = await bytes_of()
        cookies: list[str] = []
        while len(cookies) < number:
            first = len(cookies)
            made = (_begin(manager, n, more, has_user) for n in range(first, first + TOGETHER))
            cookies += await asyncio.gather(*made)
        gc.collect()
        new = await bytes_of() - before
        for n in range(1, WRITES + 1):
            for first in range(0, number, TOGETHER):
                some = cookies[first : first + TOGETHER]
                await asyncio.gather(*(_write(manager, cookie, n) for cookie in some))
        gc.collect()
        return [new / number, (await bytes_of() - before) / number]
    finally:
        await manager.close()


async def _begin(manager: SessionManager, number: int, more: int, has_user: bool) -> str:
    session: Session = await manager.load(None, client=_Client())
    session.update({"name": f"Ada{number}", "count": 0})
    if more:
        session["text"] = "".join(random.choices(string.ascii_letters + " ", k=more))
    if has_user:
        session.sign_in(f"ada{number}@example.org")
    cookie = await session.commit()
    assert cookie is not None
    return cookie.partition(";")[0]


async def _write(manager: SessionManager, cookie: str, number: int) -> None:
    session = await manager.load(cookie)
    session["count"] = number
    await session.commit()


# What each store takes


@contextlib.contextmanager
def _store(name: str) -> Iterator[tuple[Store, Callable[[], Awaitable[int]]] | None]:
    make, programs, bytes_of = STORES[name]
    if reason := missing(*programs):
        print(f"{name} is left out: {reason}", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(make, str):
            url = make.format(folder=folder)
            yield open_store(url), lambda: bytes_of(url)
            return
        server = make(Path(folder) / "data")
        try:
            yield open_store(server.url), lambda: bytes_of(server.url)
        finally:
            server.stop()


async def _of_process(_: str) -> int:
    return resident_bytes()


async def _of_mongodb(url: str) -> int:
    async with pymongo.AsyncMongoClient[dict[str, Any]](url) as client:
        stats = await client.get_default_database().command("collStats", "sessions")
    return int(stats["size"] + stats["totalIndexSize"])


async def _of_valkey(url: str) -> int:
    async with redis.asyncio.Redis.from_url(url) as client:
        return int((await client.info("memory"))["used_memory"])


async def _of_postgresql(url: str) -> int:
    return int((await ask(url, "SELECT pg_total_relation_size('sessions')"))[0][0])


async def _of_mariadb(url: str) -> int:
    await ask(url, "ANALYZE TABLE sessions")
    size = "SELECT data_length + index_length FROM information_schema.tables"
    return int((await ask(url, f"{size} WHERE table_name = 'sessions'"))[0][0])


async def _of_sqlite(url: str) -> int:
    pages = (await ask(url, "PRAGMA page_count"))[0][0]
    return int(pages * (await ask(url, "PRAGMA page_size"))[0][0])


STORES: Mapping[str, tuple[str | Callable[[Path], Server], tuple[str, ...], Measure]] = {
    "memory": ("memory:", (), _of_process),
    "MongoDB": (Mongod, ("mongod",), _of_mongodb),
    "Valkey": (Valkey, ("valkey-server",), _of_valkey),
    "PostgreSQL": (Postgres, ("postgres", "initdb"), _of_postgresql),
    "MariaDB": (MariaDB, ("mariadbd", "mariadb-install-db"), _of_mariadb),
    "SQLite": ("sqlite:///{folder}/sessions.db", (), _of_sqlite),
}
"""How each is made (a server, or a URL), the programs that it needs, and what it takes."""


def as_table(rows: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Sequence[str]]:
    """Return the cells: bytes of a session that is new, and of one that was written to."""
    table: list[Sequence[str]] = [("bytes a session, new / written to", *KINDS)]
    for store in (store for store in STORES if store in rows):
        of = rows[store]
        table.append((store, *(f"{of[k][0]:,.0f} / {of[k][1]:,.0f}" for k in KINDS)))
    return table


if __name__ == "__main__":
    main()
