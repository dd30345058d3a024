"""The lines that instructions are counted for, and the tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.table import as_markdown

LOOPS = ("asyncio", "uvloop")

OFF_GOAL = 0.01
"""Most that a feature which is switched off may add to a request, as a share of it."""

MAIN: Mapping[str, tuple[str, str]] = {
    "bare Tornado, no cookie": ("bare", "constant"),
    "bare Tornado, a cookie": ("bare", "constant, cookie"),
    "ours, no sessions in the group": ("ours", "constant, cookie"),
    "ours, read": ("ours", "read"),
    "ours, write": ("ours", "write"),
    "ours, touch": ("touched", "read"),
}
"""Lines of the first table: an application, and a kind of request."""


class Feature(NamedTuple):
    """A line of the second table: what is counted without and with a feature."""

    title: str
    without: tuple[str, str]
    with_: tuple[str, str]
    off: bool = False
    """Whether what *with_* has in addition is what is always there, the feature switched off."""


def _each(title: str, application: str, kinds: Sequence[str]) -> list[Feature]:
    return [Feature(f"{title}: {kind}", ("ours", kind), (application, kind)) for kind in kinds]


FEATURES = (
    Feature("a user is signed in: read", ("ours", "read"), ("ours", "signed-in read")),
    Feature("a user is signed in: write", ("ours", "write"), ("ours", "signed-in write")),
    *_each("`on_event` is set", "with-listener", ("read", "write", "begin", "sign in")),
    *_each("metrics are shown", "with-metrics", ("constant, cookie", "read", "write")),
    *_each("values are sealed", "sealed", ("read", "write")),
    *_each("the access log is written", "logged", ("constant, cookie", "read")),
    Feature("`keep_agent`: sign in", ("without-agent", "sign in"), ("ours", "sign in")),
    Feature(
        "`max_per_user` is reached: sign in", ("ours", "sign in"), ("limited", "sign in, one user")
    ),
    *(
        Feature(
            f"no access log: what is always there: {kind}",
            ("without-log", kind),
            ("ours", kind),
            True,
        )
        for kind in ("constant, cookie", "read")
    ),
    *(
        Feature(
            f"no metrics: what is always counted: {kind}",
            ("without-counts", kind),
            ("ours", kind),
            True,
        )
        for kind in ("read", "write")
    ),
)

Counts = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
"""Instructions of a request: by loop, application and kind, a figure for each time."""


def _of(counts: Counts, which: tuple[str, str], loop: str = LOOPS[0]) -> float:
    name, kind = which
    return statistics.median(counts[loop][name][kind])


def main_table(counts: Counts) -> list[Sequence[str]]:
    """Return the cells: the instructions of each main line on each loop, and their ratio to bare
    Tornado's with a cookie."""
    table: list[Sequence[str]] = [
        ("instructions a request", *(cell for loop in counts for cell in (loop, "of bare")))
    ]
    for title, which in MAIN.items():
        cells = [title]
        for loop in counts:
            number = _of(counts, which, loop)
            of_bare = number / _of(counts, MAIN["bare Tornado, a cookie"], loop)
            cells += [f"{number:,.0f}", f"{of_bare:.3f}"]
        table.append(cells)
    return table


def added(counts: Counts, feature: Feature) -> float:
    """Return what a feature adds to a request, as a share of the request without it."""
    without, with_ = _of(counts, feature.without), _of(counts, feature.with_)
    return (with_ - without) / without


def feature_table(counts: Counts) -> list[Sequence[str]]:
    """Return the cells: each feature's instructions; a `!` marks what misses its goal."""
    return [
        ("instructions a request", "without", "with", "more", "%"),
        *(
            (
                feature.title,
                f"{_of(counts, feature.without):,.0f}",
                f"{_of(counts, feature.with_):,.0f}",
                f"{_of(counts, feature.with_) - _of(counts, feature.without):,.0f}",
                f"{added(counts, feature):.1%}" + "!" * _misses(counts, feature),
            )
            for feature in FEATURES
        ),
    ]


def _misses(counts: Counts, feature: Feature) -> bool:
    return feature.off and added(counts, feature) >= OFF_GOAL


def misses(counts: Counts) -> list[str]:
    """Return a sentence of each feature that costs too much while it is switched off."""
    return [
        f"{feature.title}: it adds {added(counts, feature):.1%}, the goal is under {OFF_GOAL:.0%}."
        for feature in FEATURES
        if _misses(counts, feature)
    ]


def spread(counts: Counts) -> tuple[float, float]:
    """Return how far the figures of a line are apart, as a share of it: the median, the most."""
    spreads = sorted(
        (max(figures) - min(figures)) / min(figures)
        for of_loop in counts.values()
        for of_application in of_loop.values()
        for figures in of_application.values()
    )
    return statistics.median(spreads), spreads[-1]


def note(machine: Mapping[str, object], counts: Counts) -> str:
    """Return a sentence on what the figures depend on, and how sure they are."""
    usual, most = spread(counts)
    return (
        f"{machine['date']}: Python {machine['python']}, Tornado {machine['tornado']}; medians, "
        f"each of figures that are {usual:.2%} apart (median of the lines; at most {most:.2%})."
    )


def as_page(section: Mapping[str, Any]) -> str:
    """Return what `results.json` keeps of it as Markdown."""
    counts = section["counts"]
    parts = [
        note(section["machine"], counts),
        as_markdown(main_table(counts)),
        as_markdown(feature_table(counts)),
    ]
    if missed := misses(counts):
        parts.append("\n".join(["What misses its goal:", "", *(f"- {line}" for line in missed)]))
    return "\n\n".join(parts)
