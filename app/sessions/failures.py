"""What goes wrong in a store, said in one way: `SessionUnavailable`, with the reason counted."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

from app.sessions.counters import ANSWER, BUSY, ERROR, TIMEOUT, UNAVAILABLE, UNOPENED, Calls
from app.sessions.errors import SessionUnavailable
from stores.contract import ConfigurationError, Store, StoreUnavailable, Unopened

log = logging.getLogger(__name__)


class WrongAnswer(Exception):
    """What a store returned is no answer; the text says what is wrong with it."""


def failure(store: Store, error: BaseException, calls: Calls) -> BaseException:
    """Return what to raise for what *store* raised: its own error, unless that ends the task.

    A `CancelledError` that nobody asked for is the store's own.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    if isinstance(error, asyncio.CancelledError) and is_cancelled():
        return error
    return unavailable(store, error, calls)


def unavailable(store: Store, error: BaseException, calls: Calls) -> SessionUnavailable:
    """Return what to raise for an error of *store*, and count it among its *calls*."""
    if isinstance(error, WrongAnswer):
        kind, reason = ANSWER, str(error)
    elif isinstance(error, Unopened):
        kind, reason = UNOPENED, str(error)
    elif isinstance(error, StoreUnavailable | ConfigurationError):
        kind, reason = UNAVAILABLE, str(error)
    elif isinstance(error, TimeoutError):
        kind, reason = TIMEOUT, f"no answer within {store.timeout} s"
    else:
        # Not the error's text: a driver's may quote what it was given.
        kind, reason = ERROR, f"it failed with {type(error).__name__}"
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("store %s: %s\n%s", store.name, reason, frames)
    calls.failures[kind] += 1
    return SessionUnavailable(f"store {store.name}: {reason}")


def too_late(store: Store, calls: Calls) -> SessionUnavailable:
    """Return what to raise where the time was over before *store* was asked."""
    calls.failures[BUSY] += 1
    return SessionUnavailable(f"store {store.name}: no answer within {store.timeout} s")


def wrong(store: Store, operation: str, answer: object, right: str, calls: Calls) -> Exception:
    """Return what to raise for an answer that is a part of the store's error, or no answer."""
    if isinstance(answer, StoreUnavailable):
        return unavailable(store, answer, calls)
    what = f"{operation} returned a {type(answer).__name__} where {right} belongs"
    return unavailable(store, WrongAnswer(what), calls)


def refuse(outcomes: int, changes: int) -> Any:
    """Raise for a number of outcomes that is not that of the changes: who can tell which has which.

    Raises `WrongAnswer`.
    """
    raise WrongAnswer(
        f"write() returned {outcomes} outcomes for {changes} changes; it must return one each"
    )


def is_cancelled() -> bool:
    """Tell whether somebody cancelled the task that runs."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
