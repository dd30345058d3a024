"""The event loop that the service runs on: uvloop's where that is installed, or asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.sessions.errors import ConfigurationError

LOOPS = ("auto", "asyncio", "uvloop")
"""What `--loop` takes."""


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the loop *name*, one of `LOOPS`; `None` stands for asyncio's own.

    Raises `ConfigurationError` for uvloop where it is not installed.
    """
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if name == "auto":
            return None
        raise ConfigurationError(
            "--loop=uvloop needs the package uvloop: make install EXTRAS=fast"
        ) from None
    return uvloop.new_event_loop
