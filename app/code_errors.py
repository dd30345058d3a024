"""Errors in a deployment's code, such as `configure.py`, as one sentence with file and line."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path

import tornado.autoreload

from app.printable import printable
from app.secret_texts import without_credentials

_NOT_THEIRS = (
    str(Path(__file__).parent),
    str(Path(__file__).parents[1] / "stores"),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
"""Folders whose lines a deployment does not mend."""


class BrokenCode(Exception):
    """The code of a deployment cannot be run; the text says where."""


def sentence(error: BaseException) -> str:
    """Return file, line and reason of what *error* came from."""
    if isinstance(error, SyntaxError):
        return f"{_short(error.filename or '?')}, line {error.lineno}: {error.msg}"
    places = [f for f in traceback.extract_tb(error.__traceback__) if f.filename[0] != "<"]
    theirs = [place for place in places if not place.filename.startswith(_NOT_THEIRS)]
    what = printable(without_credentials(f"{type(error).__name__}: {error}"))
    if not places:
        return what
    place = (theirs or places)[-1]
    return f"{_short(place.filename)}, line {place.lineno}: {what}"


def wait_for_a_change(error: BaseException) -> None:
    """Start the process anew when a file is changed that was imported, or that *error* is in."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, SyntaxError) and error.filename:
        tornado.autoreload.watch(error.filename)
    for place in traceback.extract_tb(error.__traceback__):
        tornado.autoreload.watch(place.filename)
    tornado.autoreload.wait()


def _short(file: str) -> str:
    inside = os.path.relpath(file)
    return file if inside.startswith("..") else inside
