"""The results as bars, in an SVG that a README shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.goals import Work
from benchmarks.load import Result
from benchmarks.table import Row, rows

FILE = Path(__file__).with_name("results.svg")

ROW, GAP, LABEL, WIDTH, TOP = 22, 10, 255, 420, 62
OURS, OTHERS, GOAL = "#2563eb", "#9ca3af", "#dc2626"


def draw(results: Mapping[Work, Result], path: Path = FILE) -> None:
    """Write a bar for each work, as long as its rate; a tick marks its goal."""
    table = rows(results)
    scale = WIDTH / max(row.result.rate for row in table)
    y = TOP
    parts: list[str] = []
    group = ""
    for row in table:
        what = row.work.store + (row.work.path if row.work.store != "memory" else "")
        if group and what != group:
            y += GAP
        group = what
        parts += _bar(row, y, scale)
        y += ROW
    height, width = y + 12, LABEL + WIDTH + 230
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<title>Requests a second with sessions, beside hand-written driver calls</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="8" y="20" font-size="15" font-weight="bold">'
        "Requests a second, one process, 32 connections</text>",
        *_legend(8, OURS, "sessions of this project"),
        *_legend(190, OTHERS, "bare Tornado; driver calls by hand"),
        f'<rect x="420" y="31" width="2" height="12" fill="{GOAL}"/>',
        '<text x="428" y="41" fill="#333">goal, a share of bare Tornado: see README.md</text>',
    ]
    path.write_text("\n".join([*head, *parts, "</svg>\n"]))


def _legend(x: int, colour: str, text: str) -> list[str]:
    return [
        f'<rect x="{x}" y="31" width="12" height="12" fill="{colour}"/>',
        f'<text x="{x + 18}" y="41" fill="#333">{text}</text>',
    ]


def _bar(row: Row, y: int, scale: float) -> Iterator[str]:
    length = row.result.rate * scale
    ours = row.work.kind == "sessions"
    weight = ' font-weight="bold"' if ours else ""
    text = f"{row.result.rate:,.0f}"
    if ours:
        text += f" · {row.of_bare:.0%} of bare"
    if row.of_by_hand is not None:
        text += f" · {row.of_by_hand:.1f} times by hand"
    yield (
        f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end"{weight}>'
        f"{escape(row.work.title)}</text>"
    )
    yield (
        f'<rect x="{LABEL}" y="{y + 2}" width="{length:.0f}" height="{ROW - 6}" '
        f'fill="{OURS if ours else OTHERS}"/>'
    )
    end = length
    if row.work.goal is not None:
        goal = row.work.goal * row.result.rate / row.of_bare * scale
        end = max(end, goal)
        yield (f'<rect x="{LABEL + goal:.0f}" y="{y}" width="2" height="{ROW - 2}" fill="{GOAL}"/>')
    yield f'<text x="{LABEL + end + 8:.0f}" y="{y + 14}" fill="#333">{text}</text>'
