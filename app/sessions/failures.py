"""What an error of a store is to a request: `SessionUnavailable`, whose text holds no secret."""

from __future__ import annotations

import asyncio
import logging
import traceback

from app.sessions.errors import SessionUnavailable
from stores.contract import ConfigurationError, Store, StoreUnavailable

log = logging.getLogger(__name__)


def failure(store: Store, error: BaseException) -> BaseException:
    """Return what to raise for what *store* raised: its own error, unless that ends the task.

    A `CancelledError` that nobody asked for is the store's own.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    if isinstance(error, asyncio.CancelledError) and is_cancelled():
        return error
    return unavailable(store, error)


def unavailable(store: Store, error: BaseException) -> SessionUnavailable:
    """Return what an *error* of *store* is to who asked it."""
    if isinstance(error, StoreUnavailable | ConfigurationError):
        reason = str(error)
    elif isinstance(error, TimeoutError):
        reason = f"no answer within {store.timeout} s"
    else:
        # Not the error's text: a driver's may quote what it was given.
        reason = f"it failed with {type(error).__name__}"
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("store %s: %s\n%s", store.name, reason, frames)
    return SessionUnavailable(f"store {store.name}: {reason}")


def is_cancelled() -> bool:
    """Tell whether somebody cancelled the task that runs."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
