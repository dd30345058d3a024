"""The log's lines, as text and as JSON: time, requests, what a client can put into them."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.logs import JsonFormatter, TextFormatter
from tests.helpers.process import Service, Start, starting, with_configure

CONFIGURE = """
from app import Config, Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tornado.web import HTTPError, RequestHandler
from handlers.health import Health, Ready

class SignIn(SessionMixin, RequestHandler):
    def get(self):
        self.session.sign_in("ada\\n\\x9b")

class Fails(RequestHandler):
    def get(self):
        raise RuntimeError("a defect\\nof two lines")

class Refuses(RequestHandler):
    def get(self):
        raise HTTPError(403, "for a reason")

def configure(options):
    return Config(Group("/", Route("healthz", Health), Route("readyz", Ready),
        Route("fails", Fails), Route("refuses", Refuses), Route("in", SignIn), sessions=True),
        SessionManager(MemoryStore()))
"""
SECRET = "a-token-of-the-shop"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


def ask(service: Service, target: bytes) -> None:
    """Send one GET for *target* as it stands, and read the answer to its end."""
    with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1")


def served(start: Start, tmp_path: Path, *arguments: str) -> Service:
    return start("--port=0", *arguments, script=with_configure(tmp_path, CONFIGURE))


def objects(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.output.splitlines()]


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


def test_a_line_of_text_has_time_with_zone_and_logger(start: Start) -> None:
    service = start("--port=0", TZ="Asia/Kolkata")
    (line,) = [line for line in service.output.splitlines() if "serving on" in line]
    found = re.fullmatch(rf"\[I ({TIME}) main\] serving on .*", line)
    assert found
    assert found[1].endswith("+05:30")
    age = datetime.now().astimezone() - datetime.fromisoformat(found[1])
    assert abs(age.total_seconds()) < 60


def test_each_line_of_json_is_an_object(start: Start, tmp_path: Path) -> None:
    service = served(start, tmp_path, "--log-format=json")
    for path in (b"/fails", b"/refuses", b"/none"):
        ask(service, path)
    service.stop()
    lines = objects(service)
    assert all(re.fullmatch(TIME, line["time"]) for line in lines)
    assert {line["level"] for line in lines} >= {"info", "warning", "error"}
    (serving,) = [line for line in lines if line["message"].startswith("serving on")]
    assert (serving["logger"], serving["level"]) == ("main", "info")
    assert set(serving) == {"time", "level", "logger", "message"}
    (failed,) = [line for line in lines if "exception" in line]
    assert failed["exception"].startswith("Traceback (most recent call last):\n")
    requests = [line for line in lines if line["logger"] == "tornado.access"]
    assert [(r["method"], r["path"], r["status"]) for r in requests] == [
        ("GET", "/fails", 500),
        ("GET", "/refuses", 403),
        ("GET", "/none", 404),
    ]
    assert all(0 <= r["milliseconds"] < 10_000 for r in requests)
    assert all("session" not in r for r in requests)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_query_string_is_in_no_line(start: Start, tmp_path: Path, form: str) -> None:
    service = served(start, tmp_path, f"--log-format={form}", "--logging=debug")
    query = f"?token={SECRET}".encode()
    paths = [b"/in", b"/fails", b"/refuses", b"/none", b"/healthz", b"/a?b"]
    for path in paths:
        ask(service, path + query)
    service.stop()
    assert SECRET not in service.output
    for path in (b"/in", b"/fails", b"/refuses", b"/none", b"/healthz"):
        assert path.decode() in service.output
    assert "for a reason" in service.output
    assert "RuntimeError: a defect" in service.output


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_client_writes_control_characters(start: Start, tmp_path: Path, form: str) -> None:
    service = served(start, tmp_path, f"--log-format={form}", "--log-session")
    for path in (b"/refuses/\x9b31m", b"/\xc2\x9b", b"/\xe2\x80\xa8/x", b"/in"):
        ask(service, path)
    service.stop()
    raw = service.log.read_bytes().decode()
    assert raw.replace("\n", "").isprintable()
    assert r"\u009b31m" in raw if form == "json" else r"\x9b31m" in raw


@pytest.mark.parametrize("text", ["\r", "\n", "\x9b", "\u2028", "\u2029", "\x1b", "\x7f", "\u202e"])
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_what_a_terminal_obeys_is_escaped(formatter: logging.Formatter, text: str) -> None:
    line = formatter.format(logging.makeLogRecord({"msg": "%s", "args": (f"<{text}>",)}))
    assert line.isprintable()
    assert re.search(r"<\\[rnxu][0-9a-f]*>", line)


def test_half_a_character_can_be_written(tmp_path: Path) -> None:
    record = logging.makeLogRecord({"msg": "a\ud800é", "levelno": 20})
    for formatter in (TextFormatter(), JsonFormatter()):
        (tmp_path / "log").write_text(formatter.format(record), encoding="utf-8")


def test_the_lines_of_a_traceback_stay_lines() -> None:
    record = logging.makeLogRecord(
        {"msg": "m", "levelno": 40, "exc_text": "Traceback:\n  File\x9b\nError"}
    )
    head, *rest = TextFormatter().format(record).split("\n")
    assert head.endswith("m")
    assert rest == ["    Traceback:", r"      File\x9b", "    Error"]


def test_a_zone_that_changes_is_followed() -> None:
    formatter = TextFormatter()
    times = [
        re.findall(TIME, formatter.format(logging.makeLogRecord({"msg": "", "created": at})))
        for at in (0.0, 0.9996, 1e9 + 0.25)
    ]
    assert [datetime.fromisoformat(t).timestamp() for (t,) in times] == [0, 0.999, 1e9 + 0.25]


def test_a_health_check_is_logged_when_it_fails_or_at_debug(start: Start, tmp_path: Path) -> None:
    service = start("--port=0")
    for path in ("/healthz", "/readyz", "/sessions/get"):
        assert service.get(path).status == 200
    service.wait_for("/sessions/get")
    assert "healthz" not in service.output
    assert "readyz" not in service.output
    service = start("--port=0", "--logging=debug")
    service.get("/healthz")
    service.wait_for("200 GET /healthz")
    service = start("--port=0", SESSION_STORE="mongodb://127.0.0.1:1/none")
    service.get("/readyz")
    service.wait_for("503 GET /readyz")


def test_session_and_user_are_logged_where_asked(start: Start, tmp_path: Path) -> None:
    service = served(start, tmp_path, "--log-format=json", "--log-session")
    ask(service, b"/in")
    ask(service, b"/none")
    service.stop()
    first, second = [line for line in objects(service) if line["logger"] == "tornado.access"]
    assert re.fullmatch(r"[\w-]{22}", first["session"])
    assert first["user"] == "ada\n\x9b"
    assert (second["session"], second["user"]) == (None, None)
    service = served(start, tmp_path, "--log-session")
    ask(service, b"/in")
    service.stop()
    assert re.search(
        r"200 GET /in \(127.0.0.1\) [\d.]+ms session=[\w-]{22} user=ada\\n\\x9b\n", service.output
    )
