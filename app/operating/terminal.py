"""What a command writes: its answer to stdout, all else to stderr, questions where a person is."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from app.printable import printable


class NotWritten(Exception):
    """What is to be written cannot be; `__cause__` is the `OSError` that says why."""


@contextmanager
def writing() -> Iterator[None]:
    """Make an error of an output `NotWritten`, so that no other one is taken for it."""
    try:
        yield
    except OSError as error:
        raise NotWritten from error


def out(lines: Iterable[str]) -> None:
    """Write lines of the answer, with nothing in them that a terminal would obey."""
    text = "".join(f"{printable(line)}\n" for line in lines)
    with writing():
        sys.stdout.write(text)


def say(sentence: str) -> None:
    """Write a sentence to whoever called."""
    with writing():
        sys.stdout.flush()
        print(f"main.py: {printable(sentence)}", file=sys.stderr, flush=True)


def ask(question: str) -> bool | None:
    """Return the answer to a question; `None` where there is nobody to ask."""
    if not (sys.stdin and sys.stdin.isatty()):
        return None
    with writing():
        sys.stdout.flush()
    # asyncio's own handler would leave Ctrl-C until the line is read.
    with _interruptible():
        print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        # A Ctrl-C just before a read would wait for the end of the read.
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            pass
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def confirmed(verb: str, what: str) -> bool | None:
    """Return whether somebody wants *what* to be done; `None` where there is nobody to ask."""
    answer = ask(f"{verb} {what}?")
    if answer is None:
        say(f"this would {verb.lower()} {what}; there is no terminal to ask at, so write --yes")
    return answer


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
