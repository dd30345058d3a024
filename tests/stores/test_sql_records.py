"""Rows that cannot be read or kept, tables from before, and tables that go away."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from sqlalchemy import text

from stores import StoreUnavailable
from stores.contract import MAX_DATA, Create, Delete, Outcome, Unreadable, Update
from tests.helpers.records import load_record, load_records, make_record, make_rotation
from tests.helpers.sql_databases import ask, engine_of, opened, table, url

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["table", "url"]  # fixtures

DONE, EXISTS = Outcome.DONE, Outcome.EXISTS

SPOILED = {
    "data is no JSON": "data = '{'",
    "data is no object": "data = '[1]'",
    "data is empty": "data = ''",
    "data is nested too deeply": f"data = '{'[' * 60_000}'",
    "a secret is empty": "secret = {1}",
    "data is nested deeper than a session": f"""data = '{{"k":{"[" * 65}{"]" * 65}}}'""",
    "a number is not finite": "data = '{\"k\":1e999}'",
    "a former secret is long": "former = x'{0}'",
    "data is NULL": "data = NULL",
    "data is far too large": "data = concat('{{\"k\":\"', repeat('hunter2 ', 600000), '\"}}')",
    "a number is NaN": "data = '{\"k\":[NaN]}'",
    "a text is half of a surrogate pair": r"""data = '{"k":"\ud800"}'""",
}
SPOILED_SQLITE = {
    **SPOILED,
    "data is far too large": f"data = zeroblob({MAX_DATA + 1})",
    "text is not UTF-8": "data = CAST(x'7b2261223a22ff227d' AS TEXT)",
    "user is not UTF-8": "user_name = CAST(x'ff' AS TEXT)",
    "data is a number": "data = 5",
    "data is bytes": "data = x'ff00'",
    "a time is text": "expires = 'soon'",
    "a time is bytes": "seen = x'00'",
    "persistent is text": "persistent = 'hunter2'",
    "a secret is text": "secret = 'hunter2hunter2hunter2hunter2hunt'",
    "a secret is a number": "former = 5",
}


async def spoil(url: str, table: str, id: bytes, change: str) -> None:
    """Change a row as no store would."""
    digits = "ab" * 40
    if url.startswith("postgresql"):
        change = change.replace("x'{0}'", f"decode('{digits}', 'hex')").replace("{1}", "''::bytea")
        where = f"decode('{id.hex()}', 'hex')"
    else:
        change = change.replace("x'{0}'", f"x'{digits}'").replace("{1}", "''")
        where = f"x'{id.hex()}'"
    if url.startswith("mariadb"):
        change = change.replace("\\", "\\\\")
    await ask(url, f"UPDATE {table} SET {change.replace(':', chr(92) + ':')} WHERE id = {where}")


async def allow_anything(url: str, table: str) -> None:
    """Make the columns take NULL and secrets of any length, as a table of somebody's own does."""
    if url.startswith("postgresql"):
        for column in ("data", "secret", "expires"):
            await ask(url, f"ALTER TABLE {table} ALTER {column} DROP NOT NULL")
    elif url.startswith("mariadb"):
        await ask(url, f"ALTER TABLE {table} MODIFY data LONGTEXT")
        await ask(url, f"ALTER TABLE {table} MODIFY secret VARBINARY(99)")
        await ask(url, f"ALTER TABLE {table} MODIFY former VARBINARY(99)")
    else:
        await ask(url, f"DROP TABLE {table}")
        await ask(
            url,
            f"CREATE TABLE {table} (id BLOB PRIMARY KEY, secret BLOB, created DOUBLE, expires "
            "DOUBLE, data TEXT, user_name TEXT, persistent BOOLEAN, former BLOB, rotated DOUBLE, "
            "authenticated DOUBLE, seen DOUBLE)",
        )


@pytest.mark.gen_test(timeout=60)
async def test_a_row_that_cannot_be_read_is_nobody_elses_concern(url: str, table: str) -> None:
    spoiled = SPOILED_SQLITE if url.startswith("sqlite") else SPOILED
    async with opened(url, table, timeout=10) as store:
        await allow_anything(url, table)
        for what, change in spoiled.items():
            bad = make_record(data={"password": "hunter2"}, user="hunter2")
            others = [make_record(data={"n": 0}) for _ in range(2)]
            await store.write([Create(record) for record in (others[0], bad, others[1])])
            await spoil(url, table, bad.id, change)

            ids = [others[0].id, bad.id, others[1].id]
            found = await store.load(ids)
            answer = found[bad.id]
            assert isinstance(answer, Unreadable), (what, answer)
            assert "hunter2" not in answer.reason
            assert found.items() <= (await store.scan()).found.items()
            assert [found[r.id] for r in others] == others, what

            outcomes = await store.write(
                [
                    Update(others[0].id, {"n": 1}),
                    Update(bad.id, {"n": 1}),
                    Update(bad.id, expires=bad.expires + 5, seen=1.0),
                    Create(bad),
                    Update(bad.id, rotation=make_rotation(bad), or_create=bad),
                    Update(others[1].id, {"n": 1}, rotation=make_rotation(others[1])),
                ]
            )
            refused = [outcomes[n] for n in (1, 2, 4)]
            assert all(isinstance(o, StoreUnavailable) for o in refused), (what, outcomes)
            assert "hunter2" not in str(refused[0])
            assert [outcomes[n] for n in (0, 3, 5)] == [DONE, EXISTS, DONE], what
            records = await load_records(store, [r.id for r in others])
            assert [records[r.id].data for r in others] == [{"n": 1}] * 2

            mended = make_record(id=bad.id, data={"new": 1})
            assert await store.write([Delete(bad.id), Create(mended)]) == [DONE, DONE], what
            assert await store.load([bad.id]) == {bad.id: mended}
            await spoil(url, table, bad.id, change)
            assert await store.write([Delete(bad.id), Delete(others[0].id)]) == [DONE, DONE]
            assert await store.load([bad.id, others[0].id]) == {}


@pytest.mark.gen_test(timeout=30)
async def test_a_row_that_cannot_be_kept_fails_no_other(url: str, table: str) -> None:
    good, large, bound = (make_record(data={"n": 0}) for _ in range(3))
    async with opened(url, table, timeout=10) as store:
        await store.write([Create(r) for r in (good, large, bound)])
        too_long = {"text": "hunter2 " * (MAX_DATA // 8)}
        odd: Any = {"x": float("nan")}
        outcomes = await store.write(
            [
                Update(large.id, too_long),
                Update(good.id, {"n": 1}),
                Create(make_record(data=too_long)),
                Create(make_record(data=odd)),
                Create(make_record(data={"x": "\ud800"})),
            ]
        )
        assert outcomes[1] == DONE
        for n in (0, 2, 3, 4):
            assert isinstance(outcomes[n], StoreUnavailable), n
            assert "hunter2" not in str(outcomes[n])
        assert (await load_record(store, large.id)).data == {"n": 0}
        assert (await load_record(store, good.id)).data == {"n": 1}
        fits = {"text": "x" * (MAX_DATA - 20)}
        assert await store.write([Update(bound.id, fits)]) == [DONE]
        assert (await load_record(store, bound.id)).data == {"n": 0, **fits}


@pytest.mark.gen_test(timeout=30)
async def test_a_large_row_is_read_without_collections(url: str, table: str) -> None:
    """The collector would stop the loop for longer than the decoding does."""
    record = make_record(data={"lists": [[] for _ in range(MAX_DATA // 3 - 20)]})
    collections: list[str] = []

    def count(phase: str, _: object) -> None:
        collections.append(phase)

    async with opened(url, table, timeout=10) as store:
        await store.write([Create(record)])
        gc.callbacks.append(count)
        try:
            found = await load_record(store, record.id)
        finally:
            gc.callbacks.remove(count)
        assert found.data == record.data
    assert len(collections) < 100
    assert gc.isenabled()


@pytest.mark.gen_test(timeout=30)
async def test_a_change_that_is_not_json_fails_no_other(url: str, table: str) -> None:
    """Its size is compared with a limit before it is encoded."""
    good, bad = (make_record(data={"n": 0}) for _ in range(2))
    async with opened(url, table, timeout=10) as store:
        await store.write([Create(good), Create(bad)])
        for odd in (float("nan"), "\ud800", object()):
            value: Any = {"x": odd}
            outcomes = await store.write(
                [
                    Update(bad.id, value, limit=65536),
                    Update(good.id, {"n": 1}, limit=65536),
                    Update(bad.id, {"n": 1}, limit=65536),
                ]
            )
            assert isinstance(outcomes[0], StoreUnavailable)
            assert outcomes[1] == DONE
        assert (await load_record(store, good.id)).data == {"n": 1}
        assert "x" not in (await load_record(store, bad.id)).data


@pytest.mark.gen_test(timeout=30)
async def test_a_row_that_the_database_refuses_fails_no_other(url: str, table: str) -> None:
    async with opened(url, table, timeout=10) as store:
        records = [make_record(user=user) for user in ("ada", "hunter2", "bob")]
        await store.write([Create(record) for record in records])
        rule = f"CHECK (user_name IS NULL OR length(user_name) < 20 OR user_name = '{table}')"
        if url.startswith("sqlite"):
            ((made,),) = await ask(url, f"SELECT sql FROM sqlite_master WHERE name = '{table}'")
            await ask(url, f"DROP TABLE {table}")
            await ask(url, made[: made.rindex(")")] + f", {rule})")
            await store.write([Create(record) for record in records])
        else:
            await ask(url, f"ALTER TABLE {table} ADD CONSTRAINT c{table} {rule}")
        outcomes = await store.write(
            [
                Update(records[0].id, {"n": 1}),
                Update(records[1].id, rotation=make_rotation(records[1], user="hunter2 " * 9)),
                Create(make_record(user="hunter2 " * 9)),
                Delete(records[2].id),
            ]
        )
        assert outcomes[0] == DONE
        assert outcomes[3] == DONE
        for refused in outcomes[1:3]:
            assert isinstance(refused, StoreUnavailable)
            assert "hunter2" not in str(refused)
        found = await store.load([record.id for record in records])
        assert found == {
            records[0].id: records[0]._replace(data={"n": 1}),
            records[1].id: records[1],
        }


@pytest.mark.gen_test(timeout=30)
async def test_text_of_a_database_without_encoding_fails_no_other(postgres: Any) -> None:
    name = f"ascii_{os.urandom(4).hex()}"
    making = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
    async with (
        engine_of(postgres.url, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as connection,
    ):
        await connection.execute(text(making))
    url = postgres.url.rpartition("/")[0] + f"/{name}"
    good, bad = (make_record(data={"é": "\N{GRINNING FACE}"}, user="zoë") for _ in range(2))
    async with opened(url) as store:
        await store.write([Create(good), Create(bad)])
        assert await store.load([good.id, bad.id]) == {good.id: good, bad.id: bad}
        broken = "convert_from(decode('7b2261223a22ff227d', 'hex'), 'SQL_ASCII')"
        await spoil(url, "sessions", bad.id, f"data = {broken}")
        assert await store.load([good.id, bad.id]) == {
            good.id: good,
            bad.id: Unreadable("its text is not UTF-8"),
        }
        outcomes = await store.write([Update(good.id, {"n": 1}), Update(bad.id, {"n": 1})])
        assert outcomes[0] is DONE
        assert isinstance(outcomes[1], StoreUnavailable)


@pytest.mark.gen_test(timeout=30)
async def test_what_the_server_takes_no_packet_of_fails_no_other(mariadb: Any, table: str) -> None:
    large, small = make_record(), make_record()
    ((former,),) = await ask(mariadb.url, "SELECT @@GLOBAL.max_allowed_packet")
    await ask(mariadb.url, "SET GLOBAL max_allowed_packet = 1048576")
    try:
        async with opened(mariadb.url, table, timeout=10) as store:
            await store.write([Create(large), Create(small)])
            update = Update(large.id, {"x": "y" * 600_000})
            outcomes = await store.write([update, Update(small.id, {"n": 1})])
            assert isinstance(outcomes[0], StoreUnavailable)
            assert "more than 520192 bytes" in str(outcomes[0])
            assert outcomes[1] is DONE
            halves = [Update(record.id, {"x": "y" * 500_000}) for record in (large, small)]
            assert await store.write(halves) == [DONE, DONE]
            assert (await load_record(store, large.id)).data == {"x": "y" * 500_000}
    finally:
        await ask(mariadb.url, f"SET GLOBAL max_allowed_packet = {former}")
