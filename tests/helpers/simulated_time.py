"""A loop whose time passes only when nobody has anything to do, and then at once.

Hours of time-outs, pauses and late answers take as long as the work in them. Where chance comes
from a seed, a run can be repeated to the letter.
"""

from __future__ import annotations

import asyncio
import os
import random
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

Answer = TypeVar("Answer")

TICK = 1e-6
"""Seconds that pass at each look at the clock, so that no two moments are the same."""

LONGEST = 3600.0
"""Seconds after which what is waited for is not going to happen."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Its `time()` is also what `simulate` makes of `time.monotonic`."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        self._now += TICK
        return self._now

    def skip(self, seconds: float) -> None:
        """Let that much time pass."""
        self._now += seconds


class _Skipping(selectors.SelectSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that will come")
        self._loop.skip(max(0.0, timeout))
        return super().select(0)


def simulate(
    monkeypatch: pytest.MonkeyPatch, seed: int, main: Coroutine[Any, Any, Answer]
) -> Answer:
    """Run *main* to its end in simulated time, with ids and secrets that come from *seed*."""
    loop = SimulatedLoop()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", loop.time)
        patch.setattr(os, "urandom", random.Random(seed).randbytes)
        try:
            return loop.run_until_complete(asyncio.wait_for(main, LONGEST))
        finally:
            loop.run_until_complete(_end_others())
            loop.close()


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
