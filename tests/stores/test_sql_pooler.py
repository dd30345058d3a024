"""SQL sessions through PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from stores import Store
from stores.contract import Create, Outcome, Update
from stores.sql import SQLStore
from tests.helpers.database_servers import PgBouncer
from tests.helpers.process import Start, environment, starting
from tests.helpers.records import load_records, make_record
from tests.helpers.servers import missing
from tests.helpers.sql_databases import ask, opened, table
from tests.store_contract import StoreContract

__all__ = ["table"]  # fixtures

DONE = Outcome.DONE


def run(postgres: Any, more: str = "") -> Iterator[PgBouncer]:
    if reason := missing("pgbouncer"):
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        server = PgBouncer(Path(folder) / "server", postgres, more)
        yield server
        server.stop()


@pytest.fixture(scope="module")
def pgbouncer(postgres: Any) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode."""
    yield from run(postgres)


@pytest.fixture(scope="module")
def lax_pgbouncer(postgres: Any) -> Iterator[PgBouncer]:
    """One that takes settings of a session and forgets them."""
    ignored = (
        "lock_timeout, idle_in_transaction_session_timeout, tcp_user_timeout, enable_seqscan, "
        "extra_float_digits, application_name"
    )
    yield from run(postgres, f"ignore_startup_parameters = {ignored}")


class TestPgBouncer(StoreContract):
    @pytest.fixture
    def store(self, pgbouncer: PgBouncer) -> Store:
        return SQLStore(f"{pgbouncer.url}?pgbouncer=transaction", timeout=10)


WORKER = """
import asyncio, json, sys
from stores.contract import Create, Outcome, Update
from stores.sql import SQLStore
from tests.helpers.records import make_record

async def main(url, table, key, ids):
    ids = [bytes.fromhex(id) for id in json.loads(ids)]
    stores = [SQLStore(url, table=table, timeout=20) for _ in range(4)]
    sys.stdin.readline()
    for store in stores:
        await store.open()

    async def client(n, store):
        own = make_record()
        assert await store.write([Create(own)]) == [Outcome.DONE]
        for i in range(1, 63):
            assert await store.write([Update(id, {f"{key}{n}": i}) for id in (*ids, own.id)]) == [
                Outcome.DONE
            ] * (len(ids) + 1)
            found = await store.load([own.id, *ids])
            assert all(record.data[f"{key}{n}"] == i for record in found.values())

    await asyncio.gather(*(client(n, store) for n, store in enumerate(stores)))
    for store in stores:
        await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("hint", ["", "?pgbouncer=transaction"], ids=["found_out", "by_url"])
def test_two_processes_of_clients_fail_no_request(
    pgbouncer: PgBouncer, table: str, io_loop: Any, hint: str
) -> None:
    """Eight clients in two processes send a thousand requests; none fails or meets another's."""
    ids = [os.urandom(16) for _ in range(3)]
    url = pgbouncer.url + hint

    async def create() -> None:
        async with opened(url, table, timeout=10) as store:
            assert await store.write([Create(make_record(id=id)) for id in ids]) == [DONE] * 3

    io_loop.run_sync(create)
    listed = json.dumps([id.hex() for id in ids])
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, url, table, key, listed],
            env=environment(),
            stdin=subprocess.PIPE,
        )
        for key in ("a", "b")
    ]
    try:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(b"go\n")
            worker.stdin.close()
        assert [worker.wait(90) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()

    async def check() -> None:
        async with opened(url, table, timeout=10) as store:
            found = await load_records(store, ids)
        expected = {f"{key}{n}": 62 for key in "ab" for n in range(4)}
        assert [found[id].data for id in ids] == [expected] * 3

    io_loop.run_sync(check)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


def test_a_service_of_two_processes_answers_no_503(pgbouncer: PgBouncer, start: Start) -> None:
    service = start("--port=0", "--processes=2", f"--store={pgbouncer.url}")

    def visit(client: int) -> set[int]:
        answer = service.get(f"/sessions/set/{client}")
        statuses = {answer.status}
        for n in range(62):
            cookie = answer.cookie
            shown = service.get("/sessions/get", cookie)
            assert shown.status == 503 or shown.body.strip() == f"{client}" + f"-{n - 1}" * (n > 0)
            changed = service.get(f"/sessions/set/{client}-{n}", cookie)
            statuses |= {shown.status, changed.status}
        return statuses

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(visit, range(8))) == {200}
    service.stop()


SETTINGS = (
    "SELECT current_setting('enable_seqscan'), current_setting('lock_timeout'), "
    "current_setting('idle_in_transaction_session_timeout'), "
    "(SELECT count(*) FROM pg_prepared_statements)"
)


async def settings_of_others(pgbouncer: PgBouncer) -> set[Any]:
    """Return the state of the connections that other clients of the pooler get."""
    engine = create_async_engine(
        pgbouncer.url.replace("postgresql://", "postgresql+asyncpg://"),
        poolclass=NullPool,
        connect_args={"prepared_statement_cache_size": 0, "prepared_statement_name_func": str},
    )

    async def look() -> Any:
        async with engine.begin() as connection:
            row = (await connection.exec_driver_sql(SETTINGS)).one()
            await asyncio.sleep(0.05)  # so that each gets a connection of its own
            return tuple(row)

    try:
        return set(await asyncio.gather(*(look() for _ in range(6))))
    finally:
        await engine.dispose()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("hint", ["", "?pgbouncer=transaction"], ids=["found_out", "by_url"])
async def test_nothing_is_left_on_connections_that_others_get(
    pgbouncer: PgBouncer, table: str, hint: str
) -> None:
    before = await settings_of_others(pgbouncer)
    record = make_record()
    async with opened(pgbouncer.url + hint, table, timeout=10) as store:
        await store.write([Create(record)])
        await asyncio.gather(
            *(store.write([Update(record.id, {f"k{n}": n})]) for n in range(9)),
            *(store.load([record.id]) for _ in range(9)),
        )
        assert await settings_of_others(pgbouncer) == before
    assert await settings_of_others(pgbouncer) == before == {("on", "0", "0", 0)}


@pytest.mark.gen_test(timeout=30)
async def test_limits_hold_in_transactions_through_the_pooler(
    pgbouncer: PgBouncer, table: str
) -> None:
    async with opened(f"{pgbouncer.url}?pgbouncer=transaction", table, timeout=2) as store:

        def look(attempt: Any) -> Any:
            with attempt.transaction(("BEGIN",)):
                return attempt.connection.exec_driver_sql(SETTINGS).one()

        assert tuple(await store._run(look)) == ("on", "1600ms", "4s", 0)


@pytest.mark.gen_test(timeout=30)
async def test_a_pooler_is_found_out_whatever_it_ignores(
    postgres: Any, pgbouncer: PgBouncer, lax_pgbouncer: PgBouncer, table: str
) -> None:
    for url, direct in ((pgbouncer.url, False), (lax_pgbouncer.url, False), (postgres.url, True)):
        async with opened(url, table, timeout=10) as store:
            assert store._runner is not None
            assert store._runner._engine.autocommit is direct
            assert await store.write([Create(make_record())]) == [DONE]


@pytest.mark.gen_test(timeout=30)
async def test_an_applications_engine_may_lead_to_the_pooler(
    pgbouncer: PgBouncer, table: str
) -> None:
    engine = create_async_engine(
        pgbouncer.url.replace("postgresql://", "postgresql+asyncpg://"),
        connect_args={"prepared_statement_cache_size": 0, "prepared_statement_name_func": str},
    )
    records = [make_record() for _ in range(30)]
    async with opened(engine, table, timeout=10) as store:
        for record in records:
            await store.write([Create(record)])
        answers = await asyncio.gather(
            *(store.write([Update(record.id, {"n": 1})]) for record in records),
        )
        assert answers == [[DONE]] * 30
        await asyncio.gather(*(store.load([record.id]) for record in records))
    await engine.dispose()
    assert len(await ask(pgbouncer.target.url, f"SELECT id FROM {table}")) == 30


@pytest.mark.gen_test(timeout=30)
async def test_connections_that_the_pooler_loses_go_unnoticed(
    pgbouncer: PgBouncer, table: str
) -> None:
    record = make_record()
    ending = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
        "backend_type = 'client backend'"
    )
    async with opened(pgbouncer.url, table, timeout=10) as store:
        await store.write([Create(record)])
        for n in range(4):
            await ask(pgbouncer.target.url, ending)
            answers = await asyncio.gather(
                *(store.write([Update(record.id, {f"k{n}_{i}": n})]) for i in range(3))
            )
            assert answers == [[DONE]] * 3
            assert list(await store.load([record.id])) == [record.id]
