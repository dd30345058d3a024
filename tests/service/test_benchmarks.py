"""What is measured answers rightly, and what checks the answers finds a wrong one.

No test here asserts a time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import report, results, table
from benchmarks.clients import CannotMeasure, begin, check, counts
from benchmarks.goals import UVLOOP_WORKS, WORKS
from benchmarks.load import Result, check_wrk, measure, put_load
from benchmarks.overview import LINES, overview
from benchmarks.peers.programs import PEERS
from benchmarks.peers.works import AIOHTTP, PEER_WORKS
from benchmarks.picture import LABEL, draw
from benchmarks.service import application
from stores import ConfigurationError, open_store

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")

SERVERS = {"mongodb": "mongod", "redis": "valkey", "postgresql": "postgres"}

SVG = "{http://www.w3.org/2000/svg}"

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


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_application_runs_on_the_loop_that_is_named(loop: str) -> None:
    with application("bare", "memory:", loop) as service:
        files = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert ("/uvloop/loop." in files) == (loop == "uvloop")


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
    measured[slow] = dataclasses.replace(RESULT, rate=700.0, p99=2.5, of_bare=0.7449)
    near = next(work for work in WORKS if work.kind == "sessions-pymongo")
    measured[near] = dataclasses.replace(RESULT, of_bare=0.7951)
    cells = {line[0]: line for line in table.of_loads(measured)}
    assert cells[slow.title][1:5] == ("700", "0.74!", "0.75", "0.70")
    assert cells[slow.title][6] == "2.5!"
    assert cells[near.title][2:4] == ("0.80", "0.80")
    assert table.misses(measured) == [
        "read, MongoDB (motor): 0.74 of bare Tornado, the goal is 0.75; "
        "a p99 of 2.5 ms, and the handler by hand has 2.0."
    ]


def test_columns_without_a_figure_are_left_out() -> None:
    peers = [work for work in PEER_WORKS if work.kind in PEERS]
    header, *lines = table.of_loads(dict.fromkeys(peers, RESULT))
    assert header == ("", "req/s", "of bare", "p50 ms", "p99 ms", "CPU us")
    assert {len(line) for line in lines} == {len(header)}


def test_the_page_has_a_place_for_every_block() -> None:
    places = re.findall("<!-- (?!end)(.*) -->", report.README.read_text())
    assert places == list(report.BLOCKS)


@pytest.fixture
def found() -> dict[str, Any]:
    """What a run of everything leaves in `results.json`, with a slow session on uvloop."""
    rows = {work.title: dataclasses.asdict(RESULT) for work in WORKS}
    uvloop = {work.title: dataclasses.asdict(RESULT) for work in UVLOOP_WORKS}
    uvloop["read, Redis, uvloop"] |= {"of_bare": 0.5}
    constant = f"a constant, {AIOHTTP}"
    faster = {constant: dataclasses.asdict(RESULT) | {"of_bare": 3.25}}
    return {
        "load": {
            "machine": results.machine(),
            "rows": rows,
            "lone": {"read, MongoDB (motor)": {"ours": 600.0, "by hand": 500.0}},
            "gathering": {"mongodb": {"driver": 100.0, "store": 110.0, "gathered": 125.0}},
        },
        "load_uvloop": {"machine": results.machine(), "rows": uvloop},
        "peers": {
            "machine": results.machine(),
            "versions": "node 20.19.0, express 5.3.0",
            "rows": {w.title: dataclasses.asdict(RESULT) for w in PEER_WORKS} | faster,
        },
    }


def test_results_become_tables(found: dict[str, Any]) -> None:
    blocks = report.BLOCKS
    assert "| read, MongoDB (motor) | 1,000 |" in blocks["load"](found)
    assert "| read, Redis, uvloop | 1,000 | 0.50! | 0.88 |" in blocks["uvloop"](found)
    assert blocks["peers"](found).startswith("node 20.19.0, express 5.3.0.\n\n")
    assert f"| read, Redis, {AIOHTTP}, uvloop | 1,000 |" in blocks["peers"](found)
    assert "| read, MongoDB (motor) | 600 | 500 | 1.20 |" in blocks["lone"](found)
    assert "| 15 | 100 | 0.15 |" in blocks["lone"](found)


def test_a_glance_has_bare_ours_by_hand_and_peers(found: dict[str, Any]) -> None:
    glance = report.BLOCKS["glance"](found)
    assert "| bare Tornado | 1.00 |  |  |  |" in glance
    assert "| ours (PyMongo) | 1.00 | 0.80 | 1.00 | 0.60 |" in glance
    assert f"| {AIOHTTP} | 1.00 |  | 1.00 |  |" in glance
    assert "| aiohttp | 3.25 |  |  |  |" in glance
    assert "- read, Redis, uvloop: 0.50 of bare Tornado, the goal is 0.88." in glance


def test_each_line_of_the_overview_is_measured(found: dict[str, Any]) -> None:
    assert tuple(overview(found).shares) == LINES
    del found["peers"]
    assert overview(found).shares.keys() < set(LINES)


@pytest.mark.parametrize("peers", [True, False])
def test_the_picture_is_well_formed(peers: bool, found: dict[str, Any], tmp_path: Path) -> None:
    """Each bar is on the picture with its figure beside it, also without the peers."""
    if not peers:
        del found["peers"]
    seen = overview(found)
    draw(seen, tmp_path / "results.svg")
    root = ET.parse(tmp_path / "results.svg").getroot()
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    bars = [r for r in root.iter(f"{SVG}rect") if float(r.attrib.get("x", 0)) == LABEL]
    assert len(bars) == sum(len(shares) for shares in seen.shares.values())
    assert all(LABEL + float(bar.attrib["width"]) < width for bar in bars)
    assert all(float(bar.attrib["y"]) < height for bar in bars)
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert texts.count("1,000 · 1.00") == len(bars) - 1 * peers
    assert ("3,250 · 3.25" in texts) == peers
    assert any("cut: longer" in text for text in texts) == peers


def test_titles_are_unique() -> None:
    """A title is a result's key, and the same in two tables only for the same work."""
    for works in (WORKS, UVLOOP_WORKS, PEER_WORKS):
        assert len({work.title for work in works}) == len(works)
    what = {
        (w.title, w.served, w.path, w.connections) for w in (*WORKS, *UVLOOP_WORKS, *PEER_WORKS)
    }
    assert len({title for title, *_ in what}) == len(what)


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
