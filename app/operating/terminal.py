"""What a command writes: its answer to stdout, all else to stderr, questions where a person is."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from app.printable import printable


def out(lines: Iterable[str]) -> None:
    """Write lines of the answer, with nothing in them that a terminal would obey."""
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def say(sentence: str) -> None:
    """Write a sentence to whoever called."""
    sys.stdout.flush()
    print(f"main.py: {printable(sentence)}", file=sys.stderr, flush=True)


def ask(question: str) -> bool | None:
    """Return the answer to a question; `None` where there is nobody to ask."""
    if not (sys.stdin and sys.stdin.isatty()):
        return None
    sys.stdout.flush()
    # asyncio's own handler would leave Ctrl-C until the line is read.
    with _interruptible():
        print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        # A Ctrl-C just before a read would wait for the end of the read.
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            pass
        return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def _interruptible() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Progress:
    """A bar on stderr where a person looks at it and the package for it is there; else nothing.

    *total* is about how many there are; *shown* is false where the answer would mix with it.
    """

    def __init__(self, total: int | None, *, shown: bool = True) -> None:
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self._bar = tqdm(
                total=total, unit=" records", file=sys.stderr, leave=False, dynamic_ncols=True
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, number: int) -> None:
        """Tell that so many more are done."""
        if self._bar is not None:
            self._bar.update(number)

    def begin_again(self) -> None:
        """Tell that nothing counts that was done."""
        if self._bar is not None:
            self._bar.reset()
