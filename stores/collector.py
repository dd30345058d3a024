"""Making a large record without the garbage collector, which would walk through it many times."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 256 * 1024
"""Bytes of a record's data from which on the collector takes longer than the decoding."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let nothing be collected meanwhile; for work that does not wait."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
