"""Sessions in SQL databases: the contract, what is in the table, and what it may be."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from stores import Store
from stores.contract import Create, Outcome, Record, Update
from stores.sql import SQLStore
from tests.helpers.records import load_record, load_records, make_record, make_rotation
from tests.helpers.sql_databases import ask, opened, table, url
from tests.store_contract import StoreContract

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["table", "url"]  # fixtures

DONE = Outcome.DONE


class TestPostgreSQLStore(StoreContract):
    @pytest.fixture
    def store(self, postgres: Any) -> Store:
        return SQLStore(postgres.url, timeout=10)


class TestMariaDBStore(StoreContract):
    @pytest.fixture
    def store(self, mariadb: Any) -> Store:
        return SQLStore(mariadb.url, timeout=10)


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return SQLStore(f"sqlite:///{tmp_path}/sessions.db")


# What is in the table


@pytest.mark.gen_test
async def test_a_session_is_a_row_that_people_can_read(url: str, table: str) -> None:
    record = Record(
        id=bytes(16),
        secret_hash=b"\x01" * 32,
        created=time.time(),
        expires=time.time() + 600,
        data={"name": "Zoë", "cart": [{"sku": "x", "price": 9.5}], "": None},
        user="ada",
        persistent=False,
    )
    async with opened(url, table) as store:
        assert await store.write([Create(record)]) == [DONE]
    (row,) = await ask(
        url, f"SELECT * FROM {table} WHERE user_name = 'ada' AND expires > :now", now=time.time()
    )
    assert row.data == '{"name":"Zoë","cart":[{"sku":"x","price":9.5}],"":null}'
    assert (row.id, row.secret, row.former, row.rotated) == (bytes(16), b"\x01" * 32, None, None)
    assert (row.created, row.expires, bool(row.persistent)) == (
        record.created,
        record.expires,
        False,
    )


@pytest.mark.gen_test
async def test_an_extension_of_its_life_leaves_the_data_as_it_is(url: str, table: str) -> None:
    record = make_record(data={"n": 1})
    async with opened(url, table) as store:
        await store.write([Create(record)])
        await ask(url, f"UPDATE {table} SET data = :data", data='{ "n": 1 }')  # another spelling
        await store.write([Update(record.id, expires=record.expires + 5)])
        ((data,),) = await ask(url, f"SELECT data FROM {table}")
        assert data == '{ "n": 1 }'
        await store.write([Update(record.id, {"m": 2})])
        assert (await load_record(store, record.id)).data == {"n": 1, "m": 2}


@pytest.mark.gen_test
@pytest.mark.parametrize("user", ["a\0b", "\\0", "\\", "a\\\\b\0", "ADA\\n"], ids=ascii)
async def test_a_user_that_sql_text_cannot_hold_is_kept(url: str, table: str, user: str) -> None:
    created, signed_in = make_record(user=user), make_record()
    async with opened(url, table) as store:
        await store.write([Create(created), Create(signed_in)])
        await store.write([Update(signed_in.id, rotation=make_rotation(signed_in, user=user))])
        found = await load_records(store, [created.id, signed_in.id])
    assert [record.user for record in found.values()] == [user, user]


@pytest.mark.gen_test
async def test_a_session_of_megabytes_is_kept_among_others(url: str, table: str) -> None:
    records = [make_record(data={"text": "ä\\'\"" * 300_000, "n": n}) for n in range(3)]
    async with opened(url, table, timeout=10) as store:
        assert await store.write([Create(record) for record in records]) == [DONE] * 3
        assert await store.write([Update(r.id, {"m": r.data["n"]}) for r in records]) == [DONE] * 3
        found = await store.load([record.id for record in records])
    assert found == {r.id: r._replace(data={**r.data, "m": r.data["n"]}) for r in records}


@pytest.mark.gen_test
async def test_no_value_reaches_the_log_at_any_level(
    url: str, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = make_record(data={"password": "hunter2"})
    with caplog.at_level(logging.DEBUG):
        async with opened(url, table) as store:
            await store.write([Create(record), Update(record.id, {"again": "hunter2"})])
            await store.load([record.id])
    assert "hunter2" not in caplog.text
    assert record.secret_hash.hex() not in caplog.text


@pytest.mark.gen_test(timeout=30)
async def test_a_table_that_has_grown_is_still_read_by_its_key(postgres: Any, table: str) -> None:
    looks = f"SELECT seq_tup_read, idx_scan FROM pg_stat_user_tables WHERE relname = '{table}'"
    record = make_record(data={"n": 0})
    later = record.expires
    async with opened(postgres.url, table) as store:
        await store.write([Create(record), *(Create(make_record()) for _ in range(100))])
        for n in range(8):  # the plans for the small table are made
            await store.write([Update(record.id, {"n": n})])
            await store.write([Update(record.id, expires=later + n)])
            await store.load([record.id])
        await ask(
            postgres.url,
            f"INSERT INTO {table} SELECT decode(md5(i::text), 'hex'), decode(repeat(md5(i::text), "
            "2), 'hex'), 1, 2e9, '{}', NULL, true, NULL, NULL FROM generate_series(1, 20000) i",
        )
        ((read, scans),) = await ask(postgres.url, looks)
        rounds = 0
        while True:  # the server counts with a delay
            rounds += 1
            await store.write([Update(record.id, {"n": rounds + 100})])
            await store.write([Update(record.id, expires=later + 100 + rounds)])
            await store.load([record.id])
            ((read_now, scans_now),) = await ask(postgres.url, looks)
            if rounds >= 20 and scans_now >= scans + 60:
                break
        assert read_now - read < 20_000
