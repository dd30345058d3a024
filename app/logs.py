"""The log's lines: text, or one JSON object each; the time with its zone, nothing unprintable."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, TextIO

import tornado.log

from app.access_log import Values, is_request, message_of
from app.printable import printable

ACCESS = tornado.log.access_log.name
COLORS = tornado.log.LogFormatter.DEFAULT_COLORS


class Lines(logging.LogRecord):
    """Lines of the log as they stand, one or more."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, logging.INFO, "", 0, text, None, None)
        self.text = text


class LineFormatter(logging.Formatter):
    """Knows the time, which is made out once a second, and an error's lines."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._date = self._zone = ""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, Lines):
            return record.text
        if is_request(record) and isinstance(record.args, tuple):
            return self.request(record.levelno, record.created, record.args)
        return self.other(record)

    def request(self, level: int, created: float, values: Values) -> str:
        """Return a line of the access log; *created* is Unix time in seconds."""
        raise NotImplementedError

    def other(self, record: logging.LogRecord) -> str:
        """Return any other line."""
        raise NotImplementedError

    def time(self, created: float) -> str:
        """Return a Unix time as ISO 8601 in local time."""
        second = int(created)
        if second != self._second:
            moment = time.localtime(second)
            zone = time.strftime("%z", moment)
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
            self._zone = f"{zone[:3]}:{zone[3:]}"
            self._second = second
        return f"{self._date}.{int((created - second) * 1000):03d}{self._zone}"

    def error(self, record: logging.LogRecord) -> list[str]:
        """Return the lines of *record*'s traceback."""
        text = record.exc_text or ""
        if record.exc_info and not text:
            text = record.exc_text = self.formatException(record.exc_info)
        if record.stack_info:
            text += f"\n{record.stack_info}"
        return [printable(line) for line in text.split("\n")] if text else []


class TextFormatter(LineFormatter):
    """`[I 2026-11-25T14:05:33.123+01:00 main] serving on ...`, in color for a terminal."""

    def __init__(self, *, color: bool = False) -> None:
        super().__init__()
        self._heads = {
            level: (f"\033[3{number}m[{letter}", "]\033[0m") if color else (f"[{letter}", "]")
            for level, number in COLORS.items()
            for letter in logging.getLevelName(level)[0]
        }

    def request(self, level: int, created: float, values: Values) -> str:
        head, tail = self._heads[level]
        return f"{head} {self.time(created)} {ACCESS}{tail} {printable(message_of(values))}"

    def other(self, record: logging.LogRecord) -> str:
        head, tail = self._heads.get(record.levelno, ("[-", "]"))
        time = self.time(record.created)
        line = f"{head} {time} {record.name}{tail} {printable(record.getMessage())}"
        error = self.error(record)
        return "\n    ".join([line, *error]) if error else line


class JsonFormatter(LineFormatter):
    """One object a line: time, level, logger, message; of a request its parts, of an error its
    traceback."""

    def request(self, level: int, created: float, values: Values) -> str:
        # Put together by hand, which takes half the time of a dict's way through the encoder.
        status, *texts, taken = values[:5]
        method, path, address = map(_escaped, texts)
        message = f"{status} {method} {path} ({address}) {taken:.2f}ms"
        more = ""
        if len(values) > 5:
            id, user = values[5:]
            message += f" session={_escaped(id)} user={_escaped(user)}"
            more = f", {json.dumps({'session': id, 'user': user})[1:-1]}"
        return (
            f'{{"time": "{self.time(created)}", "level": "{logging.getLevelName(level).lower()}", '
            f'"logger": "{ACCESS}", "message": "{message}", "status": {status}, '
            f'"method": "{method}", "path": "{path}", "address": "{address}", '
            f'"milliseconds": {taken:.2f}{more}}}'
        )

    def other(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        error = self.error(record)
        if error:
            line["exception"] = "\n".join(error)
        return json.dumps(line)  # which escapes all but printable ASCII


def _escaped(value: object) -> str:
    """Return the text of *value* as it stands in a string of JSON."""
    return _encode(str(value))[1:-1]


_encode = json.JSONEncoder().encode

FORMATS = ("text", "json")


def set_format(name: str) -> None:
    """Give what Tornado's options made to write the log the format *name*, one of `FORMATS`."""
    for handler in _handlers(tornado.log.LogFormatter):
        handler.setFormatter(_formatter(name, getattr(handler, "stream", None)))


def line_handlers() -> list[logging.Handler]:
    """Return what writes the log's lines: the handlers that `set_format` gave a format."""
    return _handlers(LineFormatter)


def _handlers(formatter: type[logging.Formatter]) -> list[logging.Handler]:
    return [h for h in logging.getLogger().handlers if isinstance(h.formatter, formatter)]


def _formatter(name: str, stream: TextIO | None) -> LineFormatter:
    if name == "json":
        return JsonFormatter()
    terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    return TextFormatter(color=terminal and "NO_COLOR" not in os.environ)
