"""The table of results, as text and as Markdown; a figure that misses its goal bears a `!`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.goals import Work
from benchmarks.load import Result

HEADER = (
    "",
    "req/s",
    "of bare",
    "goal",
    "by hand x",
    "p50 ms",
    "p99 ms",
    "by hand's",
    "CPU us",
)
LEGEND = (
    "of bare: times the rate of bare Tornado just before. by hand x: times the rate of the "
    "hand-written handler of the same driver; its p99 is `by hand's`. CPU us: microseconds of "
    "processor time of the serving process for a request. A `!` marks what misses its goal."
)


class Row(NamedTuple):
    """A work with its result and those that it is compared with."""

    work: Work
    result: Result
    by_hand: Result | None

    @property
    def of_bare(self) -> float:
        return self.result.of_bare

    @property
    def of_by_hand(self) -> float | None:
        return None if self.by_hand is None else self.result.rate / self.by_hand.rate

    @property
    def missed(self) -> list[str]:
        """The goals that were missed, of "of bare" and "p99"."""
        missed = []
        if self.work.goal is not None and round(self.of_bare, 2) < self.work.goal:
            missed.append("of bare")
        if self.by_hand is not None and self.result.p99 > self.by_hand.p99:
            missed.append("p99")
        return missed


def rows(results: Mapping[Work, Result]) -> list[Row]:
    """Return the works that were measured, each beside the one by hand."""
    of = {(work.served, work.path): result for work, result in results.items()}
    return [
        Row(work, result, of.get((work.served._replace(kind=work.by_hand or ""), work.path)))
        for work, result in results.items()
    ]


def _cells(row: Row) -> Iterator[str]:
    work, result, missed = row.work, row.result, row.missed
    yield work.title
    yield f"{result.rate:,.0f}"
    yield f"{row.of_bare:.2f}" + "!" * ("of bare" in missed)
    yield "" if work.goal is None else f"{work.goal:.2f}"
    yield "" if row.of_by_hand is None else f"{row.of_by_hand:.2f}"
    yield f"{result.p50:.1f}"
    yield f"{result.p99:.1f}" + "!" * ("p99" in missed)
    yield "" if row.by_hand is None else f"{row.by_hand.p99:.1f}"
    yield f"{result.cpu:.0f}"


def of_loads(results: Mapping[Work, Result]) -> list[Sequence[str]]:
    """Return the table's cells, its header first, without the columns that have none."""
    lines = [tuple(_cells(row)) for row in rows(results)]
    filled = [not name or any(line[i] for line in lines) for i, name in enumerate(HEADER)]
    return [tuple(itertools.compress(line, filled)) for line in (HEADER, *lines)]


def misses(results: Mapping[Work, Result]) -> list[str]:
    """Return a sentence of each work that misses a goal."""
    lines = []
    for row in rows(results):
        told = []
        if "of bare" in row.missed:
            told.append(f"{row.of_bare:.2f} of bare Tornado, the goal is {row.work.goal:.2f}")
        if "p99" in row.missed and row.by_hand is not None:
            told.append(
                f"a p99 of {row.result.p99:.1f} ms, and the handler by hand has "
                f"{row.by_hand.p99:.1f}"
            )
        if told:
            lines.append(f"{row.work.title}: {'; '.join(told)}.")
    return lines


def as_text(table: Sequence[Sequence[str]]) -> str:
    """Return lines in columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )


def as_markdown(table: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    header, *lines = (f"| {' | '.join(line)} |" for line in table)
    return "\n".join([header, "|---|" + "--:|" * (len(table[0]) - 1), *lines])
