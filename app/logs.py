"""The log's lines: text, or one JSON object each; the time with its zone, nothing unprintable."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, TextIO

import tornado.log

from app.access_log import is_request, request_fields
from app.printable import printable

COLORS = tornado.log.LogFormatter.DEFAULT_COLORS


class _Formatter(logging.Formatter):
    """Knows the time, which is made out once a second, and an error's lines."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._date = self._zone = ""

    def time(self, record: logging.LogRecord) -> str:
        """Return when *record* was made, as ISO 8601 in local time."""
        created = record.created
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


class TextFormatter(_Formatter):
    """`[I 2026-11-25T14:05:33.123+01:00 main] serving on ...`, in color for a terminal."""

    def __init__(self, *, color: bool = False) -> None:
        super().__init__()
        self._heads = {
            level: (f"\033[3{number}m[{letter}", "]\033[0m") if color else (f"[{letter}", "]")
            for level, number in COLORS.items()
            for letter in logging.getLevelName(level)[0]
        }

    def format(self, record: logging.LogRecord) -> str:
        head, tail = self._heads.get(record.levelno, ("[-", "]"))
        line = f"{head} {self.time(record)} {record.name}{tail} {printable(record.getMessage())}"
        error = self.error(record)
        return "\n    ".join([line, *error]) if error else line


class JsonFormatter(_Formatter):
    """One object a line: time, level, logger, message; of a request its parts, of an error its
    traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if is_request(record):
            line |= request_fields(record)
        error = self.error(record)
        if error:
            line["exception"] = "\n".join(error)
        return json.dumps(line)  # which escapes all but printable ASCII


FORMATS = ("text", "json")


def set_format(name: str) -> None:
    """Give what Tornado's options made to write the log the format *name*, one of `FORMATS`."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, tornado.log.LogFormatter):
            handler.setFormatter(_formatter(name, getattr(handler, "stream", None)))


def _formatter(name: str, stream: TextIO | None) -> logging.Formatter:
    if name == "json":
        return JsonFormatter()
    terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    return TextFormatter(color=terminal and "NO_COLOR" not in os.environ)
