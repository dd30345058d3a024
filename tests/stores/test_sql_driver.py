"""Statements that PostgreSQL's driver runs by itself: what is told when one is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from stores import StoreUnavailable
from stores.contract import Create, Update
from tests.helpers.records import make_record
from tests.helpers.sql_databases import opened, table

__all__ = ["table"]  # a fixture

SLEEP = """
    CREATE OR REPLACE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$
"""
WHEN = {
    "COMMIT": "CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON {} DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION linger()",
    "UPDATE": "CREATE TRIGGER slow BEFORE UPDATE ON {}"
    " FOR EACH STATEMENT EXECUTE FUNCTION linger()",
}
"""A trigger that makes a statement wait, and which one."""


async def terminate(connection: Any, statement: str, table: str) -> None:
    """End the connection that runs *statement*, as soon as there is one."""
    cut = 0
    while not cut:
        cut = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'active'"
            " AND pid <> pg_backend_pid() AND query LIKE $1 || '%' AND wait_event = 'PgSleep'",
            statement,
        )


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("statement", WHEN)
async def test_a_statement_that_is_cut_off_tells_the_reason(
    postgres: Any, table: str, statement: str
) -> None:
    record = make_record()
    async with opened(postgres.url, table, timeout=30) as store:
        await store.write([Create(record)])
        connection = await asyncpg.connect(postgres.url)
        await connection.execute(SLEEP)
        await connection.execute(WHEN[statement].format(table))
        writing = asyncio.create_task(store.write([Update(record.id, set={"a": 1})]))
        while not writing.done():  # a transaction that was rolled back is done once more
            ending = asyncio.create_task(terminate(connection, statement, table))
            await asyncio.wait([writing, ending], return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            await asyncio.wait([ending])
        with pytest.raises(StoreUnavailable, match=r"PostgreSQL refused: (08|57)"):
            await writing
        await connection.execute(f"DROP TRIGGER slow ON {table}")
        await connection.close()
        assert await store.load([record.id]) == {record.id: record}
