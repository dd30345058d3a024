"""Clocks that differ from the database's."""

from __future__ import annotations

import logging
import re
import time

import pytest

from stores.contract import Create, Outcome
from tests.helpers.records import make_record
from tests.helpers.sql_databases import opened, table

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["table"]  # fixtures

DONE = Outcome.DONE


@pytest.mark.gen_test
async def test_a_sweep_of_a_fast_clock_ends_no_live_session(server_url: str, table: str) -> None:
    living, dead = make_record(), make_record(expires=time.time() - 60)
    async with opened(server_url, table) as store:
        await store.write([Create(living), Create(dead)])
        assert await store.sweep(time.time() + 86_400, 10) == 1
        assert await store.load([living.id, dead.id]) == {living.id: living}
        assert await store.sweep(time.time() - 86_400, 10) == 0


@pytest.fixture(params=["postgres", "mariadb"])
def server_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param).url)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("offset", "told"),
    [(0, ""), (4, ""), (60, r"\b(59|60) s before"), (-60, r"\b(59|60) s behind")],
)
async def test_clocks_that_differ_are_told_when_opening(
    server_url: str,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    offset: float,
    told: str,
) -> None:
    real = time.time
    monkeypatch.setattr("stores.sql.clock.time.time", lambda: real() + offset)
    with caplog.at_level(logging.WARNING):
        async with opened(server_url, table):
            pass
    if told:
        assert re.search(told, caplog.text)
        assert "NTP" in caplog.text
    else:
        assert "clock" not in caplog.text
