"""Lines of the access log on their way: noted by the loop, written by a thread.

A line takes a call of the system, and a log that does not take it holds up whoever writes. Here the
loop notes what a line says, and a thread writes the lines of some milliseconds together.

Whatever else is logged waits for the lines before it, so that all stand in the order in which they
were logged.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from tornado.log import access_log

from app.access_log import Values
from app.logs import LineFormatter, Lines

log = logging.getLogger(__name__)

MAX_LINES = 10_000
"""Lines that wait at most; what comes beyond is dropped, counted and told."""

MAX_PATH = 1_000
"""Characters of a path in a line that may wait, so that those lines take some megabytes at most."""

GATHER = 0.02
"""Seconds for which lines are gathered before they are written."""

MAX_WRITE = 4096
"""Bytes written at once, of whole lines: what processes that share a pipe may write without
getting into each other's lines (PIPE_BUF)."""

PATIENCE = 2.0
"""Seconds to wait at most for somebody who writes: a log may be stuck."""


class AccessQueue:
    """Writes lines of the access log later, by the *handlers* of the root logger.

    They must have a `LineFormatter`. There is no thread before the first line.
    """

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        self.dropped = 0
        self._handlers = list(handlers)
        self._told = 0  # of those that were dropped
        self._root = logging.getLogger()
        self._lines: deque[tuple[int, float, Values]] = deque()
        self._begin()
        self._filters = [self._let_others_wait]
        for handler in self._handlers:
            handler.addFilter(self._filters[0])
        atexit.register(self.flush)
        os.register_at_fork(before=self.flush, after_in_child=self._begin)

    def defer(self, level: int, values: Values) -> bool:
        """Take a line to write it later; return whether that is done.

        It is not while others listen to the access log: they get their records as ever.
        """
        if not self._is_all(level) or len(str(values[2])) > MAX_PATH:
            return False
        if len(self._lines) >= MAX_LINES:
            self.dropped += 1
        else:
            self._lines.append((level, time.time(), values))
        if not self._awake:
            self._wake_thread()
        return True

    def flush(self) -> None:
        """Write what waits, unless somebody else is at it for long."""
        if not self._writing.acquire(timeout=PATIENCE):
            return
        try:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            for handler in self._handlers:
                formatter = handler.formatter
                assert isinstance(formatter, LineFormatter)
                for text in _pieces(formatter.request(*line) for line in lines):
                    handler.handle(Lines(access_log.name, text))
        finally:
            self._writing.release()
        if self.dropped > self._told:
            dropped, self._told = self.dropped - self._told, self.dropped
            log.warning(
                "%d lines of the access log were dropped: it is written too slowly", dropped
            )

    def _is_all(self, level: int) -> bool:
        """Tell whether a line would be written by the handlers, and by nobody and nothing else."""
        if self._root.handlers != self._handlers or access_log.handlers or access_log.filters:
            return False
        logger = access_log
        while logger is not self._root:
            if logger.handlers or not logger.propagate or logger.parent is None:
                return False
            logger = logger.parent
        for handler in self._handlers:
            if handler.filters != self._filters or handler.level > level:
                return False
        return True

    def _let_others_wait(self, record: logging.LogRecord) -> bool:
        """Before another line, write those that were logged before it; a handler's filter."""
        if self._lines and not isinstance(record, Lines):
            self.flush()
        return True

    def _begin(self) -> None:
        """Begin without a thread; in a process that was forked, nothing waits but its parent's."""
        self._lines.clear()
        self._writing = threading.RLock()
        self._wake = threading.Event()
        self._awake = False
        self._thread: threading.Thread | None = None

    def _wake_thread(self) -> None:
        self._awake = True
        self._wake.set()
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="access log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives no more threads
                self._awake = False
                self.flush()
            else:
                self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(GATHER)
            # In this order: a line that comes in between is written, or wakes the thread.
            self._wake.clear()
            self._awake = False
            try:
                self.flush()
            except Exception:
                log.exception("lines of the access log were lost")


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Put *lines* together to texts that may be written at once."""
    gathered: list[str] = []
    size = 0
    for line in lines:
        length = (len(line) if line.isascii() else len(line.encode("utf-8", "replace"))) + 1
        if gathered and size + length > MAX_WRITE:
            yield "\n".join(gathered)
            gathered, size = [], 0
        gathered.append(line)
        size += length
    if gathered:
        yield "\n".join(gathered)
