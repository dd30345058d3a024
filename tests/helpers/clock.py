"""A clock for tests that are about time and do not want to wait."""

from __future__ import annotations

import time


class FakeClock:
    """Stands still at the real time of its making until it is moved.

    It begins with the real time because servers (MongoDB, Valkey) remove what has expired by
    clocks of their own.
    """

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
