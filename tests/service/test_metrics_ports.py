"""The metrics of `main.py`: a port for each process, which is not the public one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.metrics import get, scrape
from tests.helpers.process import (
    ROOT,
    Service,
    Start,
    children,
    environment,
    is_alive,
    run,
    starting,
    until,
)
from tests.helpers.servers import free_port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def two_ports() -> int:
    """Return the first of two ports in a row that are free."""
    while True:
        first = free_port()
        try:
            socket.create_server(("127.0.0.1", first + 1)).close()
        except (OSError, OverflowError):
            continue
        return first


def two_processes(folder: Path, port: int) -> tuple[str, ...]:
    store = f"--store=sqlite:///{folder}/sessions"
    return "--port=0", "--processes=2", f"--metrics-port={port}", store


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_it_is_off_by_default_and_never_on_the_public_port(start: Start) -> None:
    assert start("--port=0").get("/metrics").status == 404
    port = free_port()
    service = start("--port=0", f"--metrics-port={port}")
    service.wait_for(f"metrics on http://127.0.0.1:{port}/metrics\n")
    assert service.get("/metrics").status == 404
    assert service.get("/sessions/set/Ada").body == "Ada"
    assert scrape(port)("sessions_commits_total", kind="create", outcome="done") == 1
    service.stop()
    assert is_refused(port)


def test_each_process_has_a_port_of_its_own(start: Start, tmp_path: Path, two_ports: int) -> None:
    service = start(*two_processes(tmp_path, two_ports))
    ports = two_ports, two_ports + 1
    where = ", ".join(f"http://127.0.0.1:{port}/metrics" for port in ports)
    service.wait_for(f"metrics on {where}\n")
    for _ in range(20):
        assert service.get("/sessions/set/Ada").status == 200
    created = [scrape(p)("sessions_commits_total", kind="create", outcome="done") for p in ports]
    assert sum(created) == 20
    assert [scrape(port)("sessions_records") for port in ports] == [20, 20]
    service.stop()
    assert all(map(is_refused, ports))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for children in /proc")
def test_a_child_that_is_started_anew_takes_the_same_port(
    start: Start, tmp_path: Path, two_ports: int
) -> None:
    service = start(*two_processes(tmp_path, two_ports))
    scrape(two_ports + 1)("event_loop_lag_seconds")
    until(lambda: len(children(service.process.pid)) == 2, "two children")
    first, second = children(service.process.pid)
    os.kill(second, signal.SIGKILL)
    until(lambda: not is_alive(second), "the child to be dead")
    # Who asks meanwhile waits for the next one.
    assert scrape(two_ports + 1)("sessions_commits_total") == 0
    assert scrape(two_ports)("sessions_commits_total") == 0
    assert first in children(service.process.pid)
    assert service.output.count("was killed by signal 9") == 1
    service.stop()


def test_free_ports_are_told(start: Start, tmp_path: Path) -> None:
    service = start(*two_processes(tmp_path, 0))
    (line,) = [line for line in service.output.splitlines() if "metrics on" in line]
    ports = [int(url.rpartition(":")[2].partition("/")[0]) for url in line.split(", ")]
    assert len(set(ports)) == 2
    for port in ports:
        scrape(port)("event_loop_lag_seconds")


@pytest.mark.parametrize("processes", [1, 2])
def test_an_occupied_port_is_one_sentence(tmp_path: Path, two_ports: int, processes: int) -> None:
    with socket.create_server(("127.0.0.1", two_ports + processes - 1)):
        result = run(*two_processes(tmp_path, two_ports), f"--processes={processes}")
    assert result.returncode == 2
    assert result.stderr == (
        f"main.py: port {two_ports + processes - 1} on 127.0.0.1 is in use; "
        "choose another with --metrics-port\n"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--metrics-port=65536"], "--metrics-port=65536 is not a port: 0 to 65535"),
        (["--metrics-port=-1"], "--metrics-port=-1 is not a port: 0 to 65535"),
        (
            ["--metrics-port=65535", "--processes=2", "--store=sqlite:///{folder}/s"],
            "--metrics-port=65535 is not a port: 0 to 65534, for 2 processes",
        ),
        (
            ["--metrics-port=0", "--metrics-address=203.0.113.7"],
            "cannot listen on port 0 on 203.0.113.7: Cannot assign requested address; "
            "see --metrics-port, --metrics-address",
        ),
    ],
)
def test_what_cannot_be_a_port_is_refused(
    options: list[str], sentence: str, tmp_path: Path
) -> None:
    result = run("--port=0", *(option.format(folder=tmp_path) for option in options))
    assert (result.returncode, result.stderr) == (2, f"main.py: {sentence}\n")


def test_a_missing_extra_is_told_when_it_is_asked_for(start: Start, tmp_path: Path) -> None:
    """Without the option nothing imports it."""
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\nsys.modules['prometheus_client'] = None\n"
        f"sys.path.insert(0, {str(ROOT)!r})\nimport main\nmain.main()\n"
    )
    start("--port=0", script=script).stop()
    result = subprocess.run(
        [sys.executable, script, "--port=0"],
        env=environment(SERVICE_METRICS_PORT="0"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (
        2,
        "main.py: SERVICE_METRICS_PORT needs the package prometheus_client: "
        "make install EXTRAS=metrics\n",
    )


def test_scrapers_are_none_of_the_services_connections(start: Start) -> None:
    """They are bounded by themselves, and a service that is full can still be scraped."""
    port = free_port()
    service = start("--port=0", f"--metrics-port={port}", "--max-connections=1")
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert get(port).status == 200
    scrapers = [socket.create_connection(("127.0.0.1", port)) for _ in range(17)]
    service.wait_for("no room for more connections (16 are open, and that is the limit)")
    assert "see --metrics-port (16 at most) and the limit of open files" in service.output
    assert service.get("/healthz").status == 200
    for scraper in scrapers:
        scraper.close()
    assert get(port).status == 200


def test_it_can_be_scraped_until_the_service_has_stopped(start: Start) -> None:
    port = free_port()
    service: Service = start("--port=0", f"--metrics-port={port}", "--stop-delay=60")
    scrape(port)
    service.signal()
    service.wait_for("not ready any more")
    assert get(port).status == 200
    service.kill()
