"""What counts instructions and processor time asks the right things, and tells what it found.

No test here asserts a time.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tornado.netutil import bind_sockets

from app.application import Application
from app.http_server import Server
from app.limits import Limits
from benchmarks import features, instruction_tables, processes, report, results, scale
from benchmarks.asked import KINDS
from benchmarks.callgrind import check_valgrind
from benchmarks.clients import CannotMeasure, Connection, get_all
from benchmarks.instruction_tables import FEATURES, MAIN
from benchmarks.instructions import APPLICATIONS, Run, of_application
from benchmarks.parts import measure
from benchmarks.start_up import BARE, started
from tests.helpers.servers import until

needs_valgrind = pytest.mark.skipif(
    shutil.which("valgrind") is None, reason="valgrind is not installed"
)
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


def test_every_line_of_the_tables_is_counted() -> None:
    wanted = [*MAIN.values(), *(f.without for f in FEATURES), *(f.with_ for f in FEATURES)]
    for application, kind in wanted:
        assert kind in APPLICATIONS[application]
    assert set(APPLICATIONS) == set(features.APPLICATIONS)
    assert {kind for kinds in APPLICATIONS.values() for kind in kinds} == set(KINDS)


@needs_valgrind
def test_instructions_are_counted_again_alike() -> None:
    """Two counts of the same requests are as good as the same; a write takes more than a read."""
    counts = of_application("asyncio", "ours", ("read", "write"), Run(16, 8, 2))
    first, second = counts["read"]
    assert abs(first - second) < first / 20
    assert min(counts["write"]) > max(counts["read"])


def test_missing_valgrind_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotMeasure, match="apt-get install valgrind"):
        check_valgrind()


class _Serving:
    """An application of `benchmarks.features` in this process."""

    def __init__(self, name: str) -> None:
        application = features.APPLICATIONS[name]()
        assert isinstance(application, Application)
        self.application = application
        self._server = Server(application, Limits())
        sockets = bind_sockets(0, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self._server.add_sockets(sockets)

    async def stop(self) -> None:
        self._server.stop()
        await self._server.close_all_connections()
        await self.application.close()


@pytest.mark.gen_test(timeout=30)
async def test_each_request_is_a_touch_where_touches_are_counted() -> None:
    serving = _Serving("touched")
    begun = await get_all(serving.port, [(f"/begin/Ada{n}", "") for n in range(8)])
    connection = Connection(serving.port)
    for _ in range(5):
        for answer in begun:
            assert (await connection.get("/read", answer.cookie)).status == 200
    await connection.close()
    (manager,) = serving.application.managers
    # The first time, no session is old enough.
    assert manager.counters.commits["touch", "done"] >= 4 * 8
    await serving.stop()


OFF = (
    *("app/sessions/users.py", "app/sessions/user_record.py", "app/sessions/admission.py"),
    *("app/sessions/events.py", "app/metrics/", "app/request_counts.py", "app/access_queue.py"),
    "stores/encrypted/",
)
"""The code of what is off: users, events, metrics, the written access log, sealing."""


@pytest.mark.gen_test(timeout=30)
async def test_what_is_off_has_no_code_in_a_request() -> None:
    """A request of an anonymous session enters no function of a feature that is switched off."""
    serving = _Serving("ours")
    connection = Connection(serving.port)
    cookie = (await connection.get("/begin/Ada")).cookie
    entered: set[str] = set()
    profile = sys.getprofile()
    sys.setprofile(lambda frame, event, arg: entered.add(frame.f_code.co_filename))
    try:
        for path in ("/constant", "/read", "/write"):
            assert (await connection.get(path, cookie)).status == 200
    finally:
        sys.setprofile(profile)
    await connection.close()
    await serving.stop()
    assert any(name.endswith("stores/memory.py") for name in entered)
    assert not [name for name in entered for part in OFF if f"/{part}" in name]


def _parts(rate: float, connections: list[int]) -> dict[str, Any]:
    times = {"load": 20.0, "service": 300.0, "parent": 0.0, "database": 80.0}
    return {"rate": rate, "p99": 9.0, **times, "connections": connections}


def test_the_tables_tell_whose_the_time_is() -> None:
    runs = {"read, redis": {"1": _parts(2000.0, [32]), "2": _parts(3000.0, [17, 15])}}
    table = processes.as_table("asyncio", runs)
    assert table[2] == (
        *("read, redis", "2", "3,000", "1.50", "9.0", "300", "20", "80", "1.20", "17 + 15"),
    )


def test_a_feature_that_costs_while_it_is_off_is_told() -> None:
    counts: dict[str, dict[str, dict[str, list[float]]]] = {
        loop: {name: {kind: [1000.0] for kind in kinds} for name, kinds in APPLICATIONS.items()}
        for loop in ("asyncio", "uvloop")
    }
    assert instruction_tables.misses(counts) == []
    counts["asyncio"]["without-log"]["read"] = [980.0]
    counts["asyncio"]["sealed"]["read"] = [1100.0]
    page = report.BLOCKS["instructions"](
        {"instructions": {"machine": results.machine(), "counts": counts}}
    )
    assert "| values are sealed: read | 1,000 | 1,100 | 100 | 10.0% |" in page
    assert "it adds 2.0%, the goal is under 1%" in page


def test_what_misses_a_goal_of_scale_is_marked() -> None:
    found = dict.fromkeys(("few", "many", "sweep_s", "collection_ms", "bytes_counted"), 1.0)
    found |= {"read_few_us": 10.0, "read_many_us": 14.0, "write_few_us": 10.0}
    found |= {"write_many_us": 13.0, "bytes_new": 399.0, "bytes": 400.0, "pause_ms": 28.0}
    cells = [cell for line in scale.as_table(found) for cell in line if cell.endswith("!")]
    assert cells == ["1.40!", "400!"]


@needs_wrk
@pytest.mark.gen_test(timeout=60)
async def test_time_and_connections_are_told_for_each_process() -> None:
    """Two processes share the connections of a load, and both end with the one that began them."""
    with started((*BARE, "2")) as service:
        (answer,) = await get_all(service.port, [("/healthz", "")])
        run = await measure(service, None, [("/healthz", "a=b")], 2, answer.size)
        pids = [int(pid) for pid in _children(service.process.pid)]
    assert sum(run.connections) == 32
    assert len(run.connections) == len(pids) == 2
    assert run.service > run.parent
    assert run.load > 0
    assert run.database is None
    await asyncio.to_thread(until, lambda: not any(map(_lives, pids)), "the children to end")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # of a zombie, it is empty
    except FileNotFoundError:
        return False


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
