"""What the service has counted, as Prometheus takes it: names, labels, and what each means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from app.application import Application
from app.sessions.counters import BATCHED, OPERATIONS, Histogram
from app.sessions.events import EventKind
from app.sessions.manager import SessionManager

Of = Callable[[SessionManager], Mapping[Any, int]]


class ServiceCollector:
    """The numbers of *application* and its managers, by the names of the managers' cookies.

    Managers whose cookies have one name, for different paths, are counted together. *lag* returns
    seconds, *records* how many records a manager's store has, or `None` while that is not known.
    """

    def __init__(
        self,
        application: Application,
        lag: Callable[[], float],
        records: Callable[[SessionManager], int | None],
    ) -> None:
        self._application = application
        self._lag = lag
        self._records = records
        self._requests_by = application.count_requests().by_labels
        self._managers: dict[str, list[SessionManager]] = {}
        for manager in application.managers:
            self._managers.setdefault(manager.cookie.name, []).append(manager)

    def collect(self) -> Iterator[Metric]:
        """Yield each metric; all label values that can be known are there from the beginning."""
        yield self._counter(
            "sessions_loads_total",
            "What requests presented: no cookie, no token, a token that opens a session, one of no "
            "session (or of one that the store has removed), of an expired session, one that was "
            "just replaced, several that open sessions, one of a record that cannot be read.",
            ("outcome",),
            lambda manager: {(outcome,): n for outcome, n in manager.counters.loads.items()},
        )
        yield self._counter(
            "sessions_commits_total",
            "Commits of sessions by what they do and what became of it: saved, dropped as the "
            "session had ended, refused as its token was replaced, or as it is too large, "
            "not acknowledged by the store.",
            ("kind", "outcome"),
            lambda manager: manager.counters.commits,
        )
        yield from self._store_calls()
        yield self._counter(
            "sessions_ended_total",
            "Sessions that this process ended: by a request of their own, from elsewhere, beyond "
            "the number that a user may have, in a full store; and expired ones that it swept.",
            ("reason",),
            _ended,
        )
        yield self._counter(
            "sessions_replaced_used_total",
            "Tokens that were presented within 10 s after they were replaced, in 10 s once for a "
            "session.",
            (),
            lambda manager: {(): manager.events.counts[EventKind.REPLACED_TOKEN_USED]},
        )
        yield self._sockets()
        yield self._record_estimates()
        yield self._requests()
        yield GaugeMetricFamily(
            "event_loop_lag_seconds",
            "The longest time in the last 15 to 30 seconds that the event loop was late.",
            value=max(0.0, self._lag()),
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...], of: Of) -> Metric:
        """Return a counter of each manager; *of* returns its values by the other labels."""
        family = CounterMetricFamily(name, text, labels=("manager", *labels))
        for cookie, managers in self._managers.items():
            total: Counter[Any] = Counter()
            for manager in managers:
                total.update(of(manager))
            for values, value in total.items():
                family.add_metric((cookie, *values), value)
        return family

    def _store_calls(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            "sessions_store_seconds",
            "Seconds that a call of the store took, whatever came of it.",
            labels=("manager", "op"),
        )
        batch = HistogramMetricFamily(
            "sessions_store_batch",
            "Records that one call of the store loaded, changes that it wrote.",
            labels=("manager", "op"),
        )
        for cookie, managers in self._managers.items():
            for op in OPERATIONS:
                calls = [manager.counters.calls[op] for manager in managers]
                seconds.add_metric((cookie, op), *_buckets(call.seconds for call in calls))
                if op in BATCHED:
                    batch.add_metric((cookie, op), *_buckets(call.items for call in calls))
        yield seconds
        yield batch
        yield self._counter(
            "sessions_store_failures_total",
            "What failed at the store, by reason: no answer in time, the store says that it "
            "cannot, another error, an answer that is none, a request whose time was over before "
            "its turn came.",
            ("op", "reason"),
            lambda manager: {
                (op, reason): number
                for op, calls in manager.counters.calls.items()
                for reason, number in calls.failures.items()
            },
        )

    def _sockets(self) -> Metric:
        family = GaugeMetricFamily(
            "sessions_sockets",
            "Open WebSockets by the manager of their group, none for those without sessions.",
            labels=("manager",),
        )
        open_now: Counter[str] = Counter()
        for handler in self._application.activity.sockets:
            policy = getattr(handler, "session_policy", None)
            manager = None if policy is None else policy.manager
            open_now["" if manager is None else manager.cookie.name] += 1
        for name in (*self._managers, ""):
            family.add_metric((name,), open_now[name])
        return family

    def _record_estimates(self) -> Metric:
        family = GaugeMetricFamily(
            "sessions_records",
            "About how many records the manager's store has, of sessions and of users, a minute "
            "old at most; NaN while it is not known. Processes that share a store tell the same.",
            labels=("manager",),
        )
        for name, managers in self._managers.items():
            counts = [self._records(manager) for manager in managers]
            known = [count for count in counts if count is not None]
            family.add_metric((name,), sum(known) if len(known) == len(counts) else float("nan"))
        return family

    def _requests(self) -> Metric:
        family = HistogramMetricFamily(
            "tornado_request_seconds",
            "Seconds from a request's header to its answer; of a WebSocket, its handshake.",
            labels=("handler", "method", "code"),
        )
        for labels, histogram in self._requests_by.items():
            family.add_metric(labels, *_buckets([histogram]))
        return family


ENDINGS = (EventKind.SIGNED_OUT, EventKind.REVOKED, EventKind.LIMITED, EventKind.EVICTED)
"""The events that are an end."""


def _ended(manager: SessionManager) -> dict[tuple[str], int]:
    ended = {(str(kind),): manager.events.counts[kind] for kind in ENDINGS}
    return {**ended, ("swept",): manager.counters.swept}


def _buckets(histograms: Iterable[Histogram]) -> tuple[list[tuple[str, float]], float]:
    """Return the sum of *histograms* as a metric takes it: how many up to each bound, the sum."""
    first, *others = histograms
    total = Histogram(first.bounds)
    for histogram in (first, *others):
        total.add(histogram)
    bounds = [*map(floatToGoString, total.bounds), "+Inf"]
    return list(zip(bounds, accumulate(total.counts), strict=True)), total.sum
