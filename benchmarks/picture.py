"""The results as bars, in an SVG that a README shows."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.goals import WORKS, Work
from benchmarks.load import Result

ROW, LABEL, WIDTH, TOP = 22, 230, 420, 44


def draw(path: Path, medians: dict[Work, Result]) -> None:
    """Write a bar for each work, as long as its rate; a tick marks its goal."""
    bare = medians[WORKS[0]].rate
    scale = WIDTH / max(result.rate for result in medians.values())
    height = TOP + ROW * len(medians) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LABEL + WIDTH + 130} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="{height}" fill="white"/>',
        '<text x="8" y="18" font-size="14" font-weight="bold">'
        "Requests a second, one process, 32 connections</text>",
        '<text x="8" y="34" fill="#666">blue: this project; grey: bare Tornado and hand-written '
        "driver calls; the tick is the goal</text>",
    ]
    for row, (work, result) in enumerate(medians.items()):
        y = TOP + ROW * row
        length = result.rate * scale
        colour = "#2563eb" if work.kind == "sessions" else "#9ca3af"
        parts += [
            f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(work.title)}</text>',
            f'<rect x="{LABEL}" y="{y + 2}" width="{length:.0f}" height="{ROW - 7}" '
            f'fill="{colour}"/>',
            f'<text x="{LABEL + length + 6:.0f}" y="{y + 14}" fill="#333">{result.rate:,.0f} '
            f"({result.rate / bare:.2f})</text>",
        ]
        if work.goal is not None:
            x = LABEL + work.goal * bare * scale
            parts.append(
                f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{y}" y2="{y + ROW - 3}" stroke="#dc2626" '
                'stroke-width="2"/>'
            )
    parts.append("</svg>\n")
    path.write_text("\n".join(parts))
