"""What is measured answers rightly, and what checks the answers finds a wrong one.

No test here asserts a time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import shutil
from typing import Any

import pytest

from benchmarks import report, results, table
from benchmarks.clients import CannotMeasure, begin, check, counts
from benchmarks.goals import WORKS
from benchmarks.load import Result, check_wrk, measure, put_load
from benchmarks.picture import draw
from benchmarks.service import application
from stores import ConfigurationError, open_store

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")

SERVERS = {"mongodb": "mongod", "redis": "valkey", "postgresql": "postgres"}

RESULT = Result(rate=1000.0, p50=1.0, p99=2.0, cpu=100.0, requests=3000)


def url_of(store: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of a store, whose server is started if need be."""
    if store == "memory":
        return "memory:"
    return str(request.getfixturevalue(SERVERS[store]).url)


@pytest.mark.parametrize(
    ("kind", "store"), sorted({(w.kind, w.store) for w in WORKS if w.kind != "bare"})
)
@pytest.mark.gen_test(timeout=30)
async def test_an_application_answers_each_client_with_its_own_record(
    kind: str, store: str, request: pytest.FixtureRequest
) -> None:
    url = url_of(store, request)
    if kind == "sessions":
        try:
            open_store(url)
        except ConfigurationError as error:
            pytest.skip(str(error))
    with application(kind, url) as service:
        cookies = await begin(service.port, 40)
        await check(service.port, "/read", cookies)
        await check(service.port, "/write", cookies)
        await check(service.port, "/write", cookies[:10])
        assert await counts(service.port, cookies) == 50


@pytest.mark.gen_test(timeout=30)
async def test_what_has_no_sessions_answers_the_constant() -> None:
    """Bare Tornado and a group without sessions answer the constant."""
    for kind in ("bare", "sessions"):
        with application(kind, "memory:") as service:
            assert await check(service.port, "/constant", ["session=x"] * 3) > len("Ada0000")


@pytest.mark.gen_test(timeout=30)
async def test_an_answer_that_belongs_to_another_client_is_found() -> None:
    with application("sessions", "memory:") as service:
        cookies = await begin(service.port, 4)
        with pytest.raises(CannotMeasure, match="/read answered 'Ada0003' to the client 'Ada0000'"):
            await check(service.port, "/read", cookies[::-1])
        with pytest.raises(CannotMeasure, match="/count answered 500"):
            await counts(service.port, ["session=nobody"])


@needs_wrk
@pytest.mark.gen_test(timeout=30)
async def test_load_is_measured_and_its_writes_are_counted() -> None:
    with application("sessions", "memory:") as service:
        cookies = await begin(service.port)
        result = await measure(service, "/write", cookies, 1)
    assert result.requests > 0
    assert result.p50 <= result.p99


@needs_wrk
@pytest.mark.gen_test(timeout=30)
async def test_wrong_answers_are_no_measurement() -> None:
    """Load whose answers are errors or of another size is no measurement."""
    with application("sessions", "memory:") as service:
        (cookie,) = await begin(service.port, 1)
        with pytest.raises(CannotMeasure, match=r"'status': [1-9]"):
            await asyncio.to_thread(put_load, service, [("/nowhere", cookie)], 1)
        with pytest.raises(CannotMeasure, match="answers of 99 bytes are not"):
            await asyncio.to_thread(put_load, service, [("/read", cookie)], 1, 32, 99)


def test_a_missing_load_generator_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotMeasure, match="apt-get install wrk"):
        check_wrk()


def test_what_misses_its_goal_is_marked() -> None:
    measured = dict.fromkeys(WORKS, RESULT)
    slow = next(work for work in WORKS if work.by_hand == "hand-motor")
    measured[slow] = dataclasses.replace(RESULT, rate=700.0, p99=2.5, of_bare=0.7)
    cells = {line[0]: line for line in table.of_loads(measured)}[slow.title]
    assert cells[1:5] == ("700", "0.70!", "0.78", "0.70!")
    assert cells[7] == "2.5!"
    constant = table.of_loads(measured)[2]
    assert constant[2:4] == ("1.00", "0.97")


def test_the_page_has_a_place_for_every_block() -> None:
    places = re.findall("<!-- (?!end)(.*) -->", report.README.read_text())
    assert places == list(report.BLOCKS)


def test_results_become_tables_and_a_picture(tmp_path: Any) -> None:
    some = [work for work in WORKS if work.store in ("memory", "mongodb")]
    section = {
        "machine": results.machine(),
        "rows": {work.title: dataclasses.asdict(RESULT) for work in some},
        "lone": {"read, MongoDB (motor)": {"ours": 600.0, "by hand": 500.0}},
        "gathering": {"mongodb": {"driver": 100.0, "store": 110.0, "gathered": 125.0}},
    }
    assert "| read, MongoDB (motor) | 1,000 |" in report.BLOCKS["load"]({"load": section})
    lone = report.BLOCKS["lone"]({"load": section})
    assert "| read, MongoDB (motor) | 600 | 500 | 1.20 |" in lone
    assert "| 15 | 100 | 0.15! |" in lone
    draw(dict.fromkeys(some, RESULT), tmp_path / "results.svg")
    assert (tmp_path / "results.svg").read_text().count("<rect") > 7


def test_a_plan_shows_its_arithmetic() -> None:
    cost = {"calls": 0.1, "cpu": 50.0, "app_cpu": 210.0, "bytes_in": 50.0, "bytes_out": 200.0}
    rows = {
        f"{work}, mongodb, ours, {connections} at a time": {
            **cost,
            "log_bytes": 400.0 if work == "write" else 0.0,
        }
        for work in ("read", "write")
        for connections in (1, 32)
    }
    lines = report.BLOCKS["plan"]({"cost": {"rows": rows}})
    assert "1,000,000 x 210 µs" in lines
    assert "**300 processes**" in lines
    assert "100,000 writes a second x 400 bytes = 40 MB/s" in lines
