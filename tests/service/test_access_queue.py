"""Lines of the access log that a thread writes: none lost or out of order, and nobody held up."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.log import access_log

import app.access_queue
from app.access_queue import MAX_PATH, MAX_WRITE, AccessQueue
from app.logs import JsonFormatter, LineFormatter, TextFormatter
from tests.helpers.process import PATIENCE, Service, Start, children, starting, until

log = logging.getLogger("tests")


class Stream:
    """What a log is written to: keeps each write, and takes none while it is `stuck`."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.taking = threading.Event()
        self.taking.set()

    def write(self, text: str) -> None:
        assert self.taking.wait(PATIENCE)
        self.writes.append(text)

    def flush(self) -> None:
        pass

    @property
    def text(self) -> str:
        return "".join(self.writes)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@contextlib.contextmanager
def logging_to(stream: Stream) -> Iterator[AccessQueue]:
    """Let the root logger write there and nowhere else, pytest's handlers neither."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter())
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    try:
        yield AccessQueue(root.handlers)
    finally:
        stream.taking.set()
        root.handlers = handlers
        root.setLevel(level)


def defer(queue: AccessQueue, path: str, level: int = logging.INFO) -> bool:
    return queue.defer(level, (200, "GET", path, "127.0.0.1", 1.234))


def test_a_line_is_written_soon_by_a_thread() -> None:
    stream = Stream()
    before = threading.active_count()
    with logging_to(stream) as queue:
        assert threading.active_count() == before  # none before the first line
        assert defer(queue, "/a")
        until(lambda: stream.lines, "the line")
        (line,) = stream.lines
        assert re.fullmatch(r"\[I \S+ tornado\.access\] 200 GET /a \(127\.0\.0\.1\) 1\.23ms", line)


def test_lines_stand_in_the_order_of_what_was_logged() -> None:
    stream = Stream()
    with logging_to(stream) as queue:
        for number in range(300):
            if number % 10:
                assert defer(queue, f"/{number}")
            else:
                log.info("GET /%d", number)
        queue.flush()
        numbers = [int(re.findall(r"GET /(\d+)", line)[0]) for line in stream.lines]
        assert numbers == list(range(300))


def test_what_is_written_at_once_is_whole_lines_and_small() -> None:
    stream = Stream()
    with logging_to(stream) as queue:
        stream.taking.clear()
        for number in range(500):
            defer(queue, f"/{number:03}/" + "é" * (number % 60))
        stream.taking.set()
        queue.flush()
        until(lambda: len(stream.lines) == 500, "the lines")
        assert len(stream.writes) < 50
        for text in stream.writes:
            assert text.endswith("ms\n")
            assert len(text.encode()) <= MAX_WRITE


@pytest.mark.parametrize("where", ["", "tornado", "tornado.access"])
def test_another_listener_gets_its_record_at_once(where: str) -> None:
    with logging_to(Stream()) as queue:
        logger, other = logging.getLogger(where), logging.NullHandler()
        defer(queue, "/before")
        logger.addHandler(other)
        try:
            assert not defer(queue, "/a")
        finally:
            logger.removeHandler(other)
        assert defer(queue, "/b")
        access_log.addFilter(other.filter)
        try:
            assert not defer(queue, "/a")
        finally:
            access_log.removeFilter(other.filter)


def test_a_filter_or_level_of_the_handler_is_heeded() -> None:
    with logging_to(Stream()) as queue:
        (handler,) = logging.getLogger().handlers
        handler.setLevel(logging.WARNING)
        assert not defer(queue, "/a")
        assert defer(queue, "/a", logging.WARNING)
        handler.addFilter(lambda record: False)
        assert not defer(queue, "/a", logging.WARNING)


def test_a_long_path_does_not_wait() -> None:
    with logging_to(Stream()) as queue:
        assert not defer(queue, "/" + "x" * MAX_PATH)


def test_a_log_that_is_stuck_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot take is counted, and told when it takes something again."""
    stream = Stream()
    with logging_to(stream) as queue:
        monkeypatch.setattr(app.access_queue, "MAX_LINES", 100)
        stream.taking.clear()
        assert defer(queue, "/first")
        until(lambda: not queue._lines, "the thread to be stuck with the first line")
        for number in range(150):
            assert defer(queue, f"/{number}")
        assert queue.dropped == 50
        stream.taking.set()
        until(lambda: "dropped" in stream.text, "it to be told")
        assert "[W" in stream.lines[-1]
        assert "50 lines of the access log were dropped" in stream.lines[-1]
        assert [re.findall(r"GET /(\w+)", line) for line in stream.lines[:-1]] == [
            [name] for name in ("first", *map(str, range(100)))
        ]


def test_a_line_that_cannot_be_written_stops_not_the_rest() -> None:
    stream = Stream()
    with logging_to(stream) as queue:
        assert queue.defer(logging.INFO, (200, "GET", "/", "127.0.0.1", "no number"))
        until(lambda: "access log were lost" in stream.text, "it to be told")
        assert defer(queue, "/next")
        until(lambda: "/next" in stream.text, "the next line")


@pytest.mark.parametrize("more", [(), (None, None), ("id", 'a"da\u2028')])
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_line_is_the_same_by_whatever_way(
    formatter: LineFormatter, more: tuple[object, ...]
) -> None:
    values = (404, "GET", '/"\\\x9b/é', "::1", 1.005, *more)
    message = "%d %s %s (%s) %.2fms" + (" session=%s user=%s" if more else "")
    record = logging.makeLogRecord(
        {"name": access_log.name, "msg": message, "args": values, "levelno": 30, "created": 1.5}
    )
    line = formatter.request(30, 1.5, values)
    assert formatter.format(record) == line
    assert line.isprintable()
    if isinstance(formatter, JsonFormatter):
        found = json.loads(line)
        assert found["message"] == message % values
        assert [found[name] for name in ("status", "method", "path", "address")] == list(values[:4])
        assert [found[name] for name in ("session", "user") if name in found] == list(more)


# In a service


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


def paths_of(service: Service, text: str) -> list[str]:
    return re.findall(r"GET /sessions/set/(\w+)", text)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stop_writes_what_waits(start: Start, form: str) -> None:
    service = start("--port=0", f"--log-format={form}")
    for number in range(50):
        service.get(f"/sessions/set/{number}")
    service.stop()
    assert paths_of(service, service.output) == [str(number) for number in range(50)]
    assert "stopping" in service.output.splitlines()[-1]


def test_several_processes_write_one_file(start: Start, tmp_path: Path) -> None:
    """Each line once and whole, also in a child that was started for one that was killed."""
    file = tmp_path / "access.log"
    service = start(
        *("--port=0", "--processes=2", f"--store=sqlite:///{tmp_path}/s"),
        *(f"--log-file-prefix={file}", "--log-to-stderr"),
    )
    until(lambda: len(children(service.process.pid)) == 2, "two children")
    for number in range(100):
        assert service.get(f"/sessions/set/{number}").status == 200
    service.stop()
    for text in (file.read_text(), service.output):
        assert sorted(map(int, paths_of(service, text))) == list(range(100))
        assert all(line.startswith("[") for line in text.splitlines())


def test_a_file_that_rotates_loses_no_line(start: Start, tmp_path: Path) -> None:
    service = start(
        *("--port=0", f"--log-file-prefix={tmp_path}/access.log", "--log-file-max-size=4000"),
        *("--log-file-num-backups=99", "--log-to-stderr"),
    )
    for number in range(200):
        service.get(f"/sessions/set/{number}")
    service.stop()
    files = list(tmp_path.glob("access.log*"))
    assert len(files) > 2
    found = [paths_of(service, file.read_text()) for file in files]
    assert sorted(int(path) for paths in found for path in paths) == list(range(200))
