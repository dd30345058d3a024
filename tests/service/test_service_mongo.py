"""The service with MongoDB: processes share sessions, restarts lose none, outages are survived."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.helpers.process import Service, Start, children, is_alive, starting, until
from tests.helpers.relay import Relay

needs_fork = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for child processes in /proc"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def url(mongod: Any) -> str:
    """URL of a database of the test's own."""
    return on_port(mongod.url, urlsplit(mongod.url).port)


def on_port(url: str, port: int | None) -> str:
    """Return *url* with another port and a database of its own, as a store's URL."""
    return f"mongodb://127.0.0.1:{port}/service_{uuid4().hex[:8]}?directConnection=true"


def ready(service: Service) -> None:
    until(lambda: service.get("/readyz").status == 200, "the store to be ready")


def test_two_services_share_sessions(start: Start, url: str) -> None:
    one, two = start("--port=0", f"--store={url}"), start("--port=0", SESSION_STORE=url)
    cookie = one.get("/sessions/set/Ada").cookie
    assert two.get("/sessions/get", cookie).body == "Ada"
    assert two.get("/sessions/set/Grace", cookie).body == "Grace"
    assert one.get("/sessions/get", cookie).body == "Grace"
    assert one.get("/sessions/del", cookie).body == "done"
    assert two.get("/sessions/get", cookie).body == "n/a"


def test_a_restart_loses_no_session(start: Start, url: str) -> None:
    before = start("--port=0", f"--store={url}")
    cookies = {name: before.get(f"/sessions/set/{name}").cookie for name in ("Ada", "Grace")}
    before.stop()
    after = start("--port=0", f"--store={url}")
    for name, cookie in cookies.items():
        assert after.get("/sessions/get", cookie).body == name


def test_healthz_readyz_and_the_start_up_line_with_mongodb(start: Start, url: str) -> None:
    service = start("--port=0", f"--store={url}")
    assert f"sessions in {url.partition('?')[0]};" in service.output
    assert service.get("/readyz").body == "ready\n"
    assert service.get("/healthz").body == "ok\n"
    service.stop()
    assert "Traceback" not in service.output


def test_no_value_or_token_is_in_the_log_at_any_level(start: Start, url: str) -> None:
    service = start("--port=0", "--logging=debug", f"--store={url}")
    cookie = service.get("/sessions/set/SecretOfAda").cookie
    assert service.get("/sessions/get", cookie).body == "SecretOfAda"
    service.stop()
    logged = [line for line in service.output.splitlines() if "GET /sessions/set/" not in line]
    assert not [line[:200] for line in logged if "SecretOfAda" in line]
    assert cookie not in service.output


# Several processes


def serving_children(service: Service, count: int) -> list[int]:
    """Return the service's child processes when there are *count* of them, all answering."""
    until(lambda: len(children(service.process.pid)) == count, f"{count} child processes")
    ready(service)
    return children(service.process.pid)


@needs_fork
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_sessions(start: Start, url: str, processes: int) -> None:
    service = start("--port=0", f"--processes={processes}", f"--store={url}")
    serving_children(service, processes)
    cookie = service.get("/sessions/set/Ada").cookie
    # Each request is a connection of its own, which any of the processes may take.
    assert {service.get("/sessions/get", cookie).body for _ in range(50)} == {"Ada"}


@needs_fork
def test_each_process_has_a_client_of_its_own(start: Start, url: str) -> None:
    service = start("--port=0", "--processes=2", f"--store={url}")
    first, second = serving_children(service, 2)
    cookie = service.get("/sessions/set/Ada").cookie
    for stopped in (first, second):
        os.kill(stopped, signal.SIGSTOP)
        try:
            assert service.get("/sessions/get", cookie).body == "Ada"
        finally:
            os.kill(stopped, signal.SIGCONT)


@needs_fork
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_stops_all_with_status_0(
    start: Start, url: str, signum: int
) -> None:
    service = start("--port=0", "--processes=2", f"--store={url}")
    pids = serving_children(service, 2)
    service.signal(signum)
    assert service.exit_status() == 0
    assert not [pid for pid in pids if is_alive(pid)]
    assert "Traceback" not in service.output


@needs_fork
def test_ctrl_c_stops_all_processes_with_status_0(start: Start, url: str) -> None:
    service = start("--port=0", "--processes=2", f"--store={url}")
    pids = serving_children(service, 2)
    os.killpg(service.process.pid, signal.SIGINT)
    assert service.exit_status() == 0
    assert not [pid for pid in pids if is_alive(pid)]
    assert "Traceback" not in service.output


@needs_fork
def test_a_killed_parent_leaves_no_orphans(start: Start, url: str) -> None:
    service = start("--port=0", "--processes=2", f"--store={url}")
    pids = serving_children(service, 2)
    service.process.kill()
    service.exit_status()
    until(lambda: not [pid for pid in pids if is_alive(pid)], "the children to end")


@needs_fork
def test_a_child_that_dies_is_replaced(start: Start, url: str) -> None:
    service = start("--port=0", "--processes=2", f"--store={url}")
    pids = serving_children(service, 2)
    cookie = service.get("/sessions/set/Ada").cookie
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: pids[0] not in children(service.process.pid), "the parent to notice")
    now = serving_children(service, 2)
    assert pids[1] in now
    assert service.get("/sessions/get", cookie).body == "Ada"
    service.stop()
    assert not [pid for pid in now if is_alive(pid)]


# Without MongoDB


@pytest.mark.faults
def test_the_service_outlives_a_mongodb_that_starts_late(start: Start, mongod: Any) -> None:
    """A MongoDB that is unreachable at the start is told, and recovered from."""
    relay = Relay(urlsplit(mongod.url).port or 0)
    try:
        url = on_port(mongod.url, relay.port)
        service = start("--port=0", f"--store={url}")
        name = url.partition("?")[0]
        service.wait_for(f"store {name}: ")
        service.wait_for("answering 503 where it is needed until it is back")
        assert service.get("/healthz").status == 200
        not_ready = service.get("/readyz")
        assert not_ready.status == 503
        assert not_ready.body == "not ready: session\n"
        assert int(not_ready.headers["Retry-After"]) > 0
        assert service.get("/sessions/get").body == "n/a"
        refused = service.get("/sessions/set/Ada")
        assert (refused.status, refused.cookie) == (503, "")
        assert int(refused.headers["Retry-After"]) > 0
        assert "Ada" not in refused.body
        with_cookie = service.get("/sessions/get", "A" * 54)
        assert with_cookie.status == 503

        relay.switch_on()
        ready(service)
        cookie = service.get("/sessions/set/Ada").cookie
        assert service.get("/sessions/get", cookie).body == "Ada"
        service.stop()
        assert "Traceback" not in service.output
    finally:
        relay.close()


def test_a_service_whose_mongodb_never_came_stops_with_status_0(start: Start) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        service = start("--port=0", f"--store=mongodb://127.0.0.1:{port}/app")
        service.signal()
        assert service.exit_status(8) == 0
    assert "Traceback" not in service.output


def test_a_mongodb_that_hangs_is_503_in_about_the_deadline(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        port = silent.getsockname()[1]
        service = start("--port=0", f"--store=mongodb://127.0.0.1:{port}/app")
        service.wait_for("answering 503")
        begun = time.monotonic()
        assert service.get("/sessions/set/Ada").status == 503
        assert 1 < time.monotonic() - begun < 5
        assert re.search(r"no answer within 2\.0 s|does not answer", service.output)
        service.stop()
