"""What is freed by itself, with the collector of cycles turned off."""

from __future__ import annotations

import contextlib
import gc
import logging
import weakref
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def without_the_collector(made: list[Any]) -> Iterator[list[Any]]:
    """Let *made* gather weak references, which the collector does nothing to clear.

    Without logging: a log record of an error holds its frames, and pytest holds the records.
    """
    made.clear()
    logging.disable()
    gc.collect()
    gc.disable()
    try:
        yield made
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
        made.clear()


def all_gone(made: list[weakref.ref[Any]]) -> bool:
    """Tell whether all that *made* refers to is freed."""
    return all(ref() is None for ref in made)
