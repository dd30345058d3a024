"""How many connections each of several processes has, so that all come to have about as many.

The system wakes every process that waits at a socket, and the first one could take all there are.
"""

from __future__ import annotations

import mmap

LEAD = 4
"""Connections that a process has more than another before it lets that one go first."""

_AWAY = 2**32 - 1
"""The count of a process that accepts none."""


class Share:
    """What process *number* tells the others, and knows of them."""

    def __init__(self, counts: memoryview, number: int) -> None:
        self._counts = counts
        self._number = number

    def tell(self, connections: int) -> None:
        """Say how many connections this process has."""
        self._counts[self._number] = connections

    def leave(self) -> None:
        """Say that this process accepts no more; nobody waits for it."""
        self._counts[self._number] = _AWAY

    def leads(self) -> bool:
        """Tell whether this process has clearly more connections than another one."""
        fewest = min(self._counts)
        return bool(self._counts[self._number] > fewest + max(LEAD, fewest // 8))


class Shares:
    """The shares of *processes*, in memory that is theirs together after a fork."""

    def __init__(self, processes: int) -> None:
        counts = memoryview(mmap.mmap(-1, 4 * processes)).cast("I")
        self._shares = [Share(counts, number) for number in range(processes)]
        for share in self._shares:
            share.leave()  # until it is there

    def __getitem__(self, number: int) -> Share:
        return self._shares[number]
