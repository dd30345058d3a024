"""What happens to the sessions of one manager, in numbers: counted where it happens, always.

They are plain numbers without a lock, for one loop does all of it. Whoever shows them
(`app.metrics`) reads them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

LOADS = (
    *("none", "malformed", "hit", "unknown"),
    *("expired", "replaced", "several", "unreadable"),
)
"""What a request presented."""

KINDS = ("create", "update", "touch", "rotate", "destroy")
"""What a commit does to a session."""

OUTCOMES = ("done", "missing", "conflict", "too_large", "unavailable")
"""What became of a commit."""

OPERATIONS = ("open", "load", "write", "ping", "sweep", "count", "scan")
"""What a store is asked for."""

BATCHED = ("load", "write")
"""Those of them that take many items at a time."""

TIMEOUT, UNAVAILABLE, ERROR, ANSWER, BUSY = "timeout", "unavailable", "error", "answer", "busy"
UNOPENED = "unopened"
REASONS = (TIMEOUT, UNAVAILABLE, ERROR, ANSWER, BUSY, UNOPENED)
"""Why a store's work failed: it did not answer in time, it said that it cannot, it raised something
else, its answer was none; a request gave up while it waited for the calls before its own; or the
values of one record do not open."""

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of the buckets that times are counted in."""

SHORTEST = SECONDS[0]

ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 500)
"""Upper bounds of the buckets that sizes of batches are counted in."""


class Histogram:
    """Values, counted in buckets. The last of `counts` is of those above every bound."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count *value*."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: Histogram) -> None:
        """Count what *other*, of the same bounds, has counted."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class Calls:
    """The calls of one operation of a store."""

    __slots__ = ("_times", "_times_sum", "failures", "lone", "sizes")

    def __init__(self) -> None:
        self.failures = dict.fromkeys(REASONS, 0)
        # A request pays for `note`, so that these are plainer than two histograms.
        self.lone = 0  # calls of one item
        self.sizes = Histogram(ITEMS)  # of the others
        self._times = [0] * (len(SECONDS) + 1)
        self._times_sum = 0.0

    def note(self, seconds: float, items: int) -> None:
        """Count a call that took *seconds*, whatever came of it."""
        self._times[0 if seconds <= SHORTEST else bisect_left(SECONDS, seconds)] += 1
        self._times_sum += seconds
        if items == 1:
            self.lone += 1
        else:
            self.sizes.observe(items)

    @property
    def seconds(self) -> Histogram:
        """How long the calls took."""
        histogram = Histogram(SECONDS)
        histogram.counts, histogram.sum = list(self._times), self._times_sum
        return histogram

    @property
    def items(self) -> Histogram:
        """How many items they had."""
        histogram = Histogram(ITEMS)
        histogram.add(self.sizes)
        histogram.counts[0] += self.lone
        histogram.sum += self.lone
        return histogram


class Counters:
    """All numbers of one manager."""

    def __init__(self) -> None:
        self.loads = dict.fromkeys(LOADS, 0)
        self.commits = {(kind, outcome): 0 for kind in KINDS for outcome in OUTCOMES}
        self.calls = {operation: Calls() for operation in OPERATIONS}
        self.swept = 0
        """Expired records that the sweeps of this process removed."""
