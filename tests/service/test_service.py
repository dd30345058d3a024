"""The service as a process: it starts, answers, and stops when told to."""

from __future__ import annotations

import re
import signal
import socket
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import ROOT, Start, run, starting


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start main.py, or a script."""
    yield from starting(tmp_path)


def test_help_lists_every_option_with_its_default() -> None:
    result = run("--help")
    assert result.returncode == 0
    text = re.sub(r"\s+", " ", result.stdout + result.stderr)
    for option, default in {
        "--port": "(default 8888)",
        "--address": "empty for all",
        "--store": "(default memory:)",
        "--processes": "(default 1)",
        "--debug": "(default false)",
        "--xheaders": "(default false)",
        "--logging": "(default info)",
        "--max-body-size": "(default 1000000)",
        "--body-timeout": "(default 60)",
        "--header-timeout": "(default 20)",
        "--keep-alive-timeout": "(default 75)",
        "--max-connections": "(default 0)",
    }.items():
        own = re.search(rf" {option}\b.*?(?= --[a-z]|$)", text)
        assert own, option
        entry = text[own.start() :].split(" --")[1]
        assert default in entry or default in own[0], option
    assert "SESSION_STORE" in text


def test_help_is_in_the_order_that_is_read() -> None:
    """Commands, the service's options, Tornado's; nothing of this machine's folders."""
    text = run("--help").stdout
    assert run("-h").stdout == text
    parts = ["Usage: main.py", "  routes ", "  options ", "  --port ", "  --store", "  --logging"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert str(ROOT) not in text
    assert sys.prefix not in text
    assert max(map(len, text.splitlines())) <= 100


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = run("--version").stdout.split()
    assert words[:2] == [project["name"], project["version"]]


def test_help_shows_no_password_of_the_environment() -> None:
    result = run("--help", SESSION_STORE="mongodb://ada:hunter2@localhost/app")
    assert result.returncode == 0
    assert "hunter2" not in result.stdout + result.stderr


def test_routes_prints_the_tree_aligned() -> None:
    result = run("routes")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["METHODS", "PATH", "HANDLER", "NAME", "SESSIONS"]
    (name,) = [line for line in lines if "/sessions/set/<name>" in line]
    assert name.startswith("GET ")
    assert "handlers.sessions.SetName" in name
    assert "on (cookie session, by group /sessions)" in name
    (health,) = [line for line in lines if "/healthz" in line]
    assert health.endswith("off")
    for word in lines[0].split()[1:]:
        column = lines[0].index(word)
        for line in lines[1:]:
            assert line[column - 1] == " ", line
            assert line[column] != " ", line


def test_routes_needs_neither_the_port_nor_the_store() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(f"--port={port}", "--store=mongodb://127.0.0.1:1/none", "routes")
    assert result.returncode == 0
    assert "/sessions/get" in result.stdout


def test_the_start_up_line_says_address_store_and_how_to_stop(start: Start) -> None:
    service = start("--port=0")
    (line,) = [line for line in service.output.splitlines() if "serving on" in line]
    assert f"http://localhost:{service.port}" in line
    assert "sessions in memory;" in line
    assert "stop with Ctrl-C or SIGTERM" in line


def test_the_example_works_as_the_readme_says(start: Start) -> None:
    service = start("--port=0")
    assert service.get("/sessions/get").body == "n/a"
    answer = service.get("/sessions/set/Ada")
    assert answer.body == "Ada"
    assert service.get("/sessions/get", answer.cookie).body == "Ada"
    assert service.get("/sessions/del", answer.cookie).body == "done"
    assert service.get("/sessions/get", answer.cookie).body == "n/a"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_status_0(start: Start, signum: int) -> None:
    service = start("--port=0")
    assert service.get("/healthz").status == 200
    service.signal(signum)
    assert service.exit_status(5) == 0
    assert "Traceback" not in service.output
    assert "KeyboardInterrupt" not in service.output


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_as_soon_as_it_says_that_it_serves_is_heeded(start: Start, signum: int) -> None:
    service = start("--port=0")
    service.signal(signum)
    assert service.exit_status(5) in (0, -signum)
    assert "Traceback" not in service.output


def test_healthz_and_readyz_answer_with_the_memory_store(start: Start) -> None:
    service = start("--port=0")
    health, ready = service.get("/healthz"), service.get("/readyz")
    assert (health.status, health.body) == (200, "ok\n")
    assert (ready.status, ready.body) == (200, "ready\n")


def test_it_listens_on_the_address_it_is_given(start: Start) -> None:
    service = start("--port=0", "--address=127.0.0.1")
    assert f"serving on http://127.0.0.1:{service.port}" in service.output
    assert service.get("/healthz").status == 200


def test_a_proxy_is_believed_only_with_xheaders(start: Start) -> None:
    for arguments, secure in (([], False), (["--xheaders"], True)):
        service = start("--port=0", *arguments)
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(
                b"GET /sessions/set/Ada HTTP/1.1\r\nHost: localhost\r\n"
                b"X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
            )
            answer = connection.makefile("rb").read()
        assert (b"; Secure" in answer) is secure


def test_debug_restarts_nothing_by_itself_and_stops(start: Start) -> None:
    service = start("--port=0", "--debug")
    assert service.get("/healthz").status == 200
    service.stop()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_the_environment_names_the_store_without_its_password(start: Start, level: str) -> None:
    url = "mongodb://ada:hunter2@127.0.0.1:1/shop"
    service = start("--port=0", f"--logging={level}", SESSION_STORE=url)
    assert "sessions in mongodb://127.0.0.1:1/shop;" in service.output
    ready = service.get("/readyz")
    answer = service.get("/sessions/set/Ada")
    service.wait_for("503 GET /sessions/set/Ada")
    assert (ready.status, answer.status) == (503, 503)
    assert ready.body == "not ready: session\n"  # a public page names neither host nor database
    assert "cookie session: store mongodb://127.0.0.1:1/shop: MongoDB" in service.output
    assert "hunter2" not in service.output + ready.body + answer.body


def test_the_command_line_goes_before_the_environment(start: Start) -> None:
    service = start("--port=0", "--store=memory:", SESSION_STORE="mongodb://127.0.0.1:1/none")
    assert "sessions in memory;" in service.output
    assert service.get("/readyz").status == 200
