"""The overview as bars, in an SVG that a README shows, on light pages and dark ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.overview import BARE, BY_HAND, LINES, OURS, PEER, Line, Overview

FILE = Path(__file__).with_name("results.svg")

WIDTH, LABEL, BARS, TOP = 880, 262, 515, 92
BAR, GAP, HEADING = 12, 5, 26
"""Heights: of a bar, between two lines, and of a group's name."""

STYLE = """
svg { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
svg { --page: #ffffff; --text: #1f2328; --quiet: #59636e; --line: #d1d9e0 }
svg { --bare: #59636e; --ours: #0969da; --hand: #a3acb5; --peer: #d4810a }
@media (prefers-color-scheme: dark) {
  svg { --page: #0d1117; --text: #f0f6fc; --quiet: #9198a1; --line: #3d444d }
  svg { --bare: #9198a1; --ours: #4493f8; --hand: #7d858f; --peer: #db9a3c }
}
.page { fill: var(--page) } .line { stroke: var(--line) }
text { fill: var(--text); font-size: 12px } .quiet { fill: var(--quiet) }
.small { font-size: 10.5px }
.bare { fill: var(--bare) } .ours { fill: var(--ours) } .hand { fill: var(--hand) }
.peer { fill: var(--peer) } .write { opacity: 0.6 }
.strong { font-weight: 600 } .title { font-size: 15px; font-weight: 600 }
"""

CLASSES = {BARE: "bare", OURS: "ours", BY_HAND: "hand", PEER: "peer"}

LEGEND = {
    BARE: "bare Tornado",
    OURS: "ours",
    BY_HAND: "a driver call by hand",
    PEER: "other session systems",
}


def draw(found: Overview, path: Path = FILE) -> None:
    """Write the bars of each line, as long as its share of bare Tornado's rate.

    The longest whole bar is of a session or of Tornado; a constant that is faster is cut.
    """
    whole = [
        share
        for line, shares in found.shares.items()
        if line.role != PEER or len(line.titles) > 1
        for share in shares
    ]
    scale = BARS / max(whole)
    cut = any(share > max(whole) for shares in found.shares.values() for share in shares)
    parts: list[str] = []
    y, group = TOP, ""
    for line in LINES:
        if line not in found.shares:
            continue
        if line.group != group:
            group = line.group
            y += HEADING
            parts.append(f'<text x="16" y="{y - 7}" class="strong">{escape(group)}</text>')
            parts.append(f'<path d="M16 {y - 1.5}H{WIDTH - 16}" class="line"/>')
            y += GAP
        height = BAR * len(found.shares[line])
        parts += _line(line, found, y, scale)
        y += height + GAP
    height = y + 14
    path.write_text("\n".join([*_head(height, found, cut), *parts, "</svg>\n"]))


def _head(height: int, found: Overview, cut: bool) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">'
    )
    yield "<title>Requests a second: bare Tornado, ours, by hand, other session systems</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect width="{WIDTH}" height="{height}" rx="6" class="page"/>'
    yield (
        '<text x="16" y="28" class="title">Requests a second: one process, 32 connections, each '
        "client with a session of its own</text>"
    )
    yield (
        '<text x="16" y="48" class="quiet">Each bar is the share of bare Tornado on asyncio, '
        f"measured beside it in one run, times bare Tornado's {found.bare_rate:,.0f}.</text>"
    )
    x = 16
    for role in (role for role in LEGEND if any(line.role == role for line in found.shares)):
        yield f'<rect x="{x}" y="63" width="12" height="12" class="{CLASSES[role]}"/>'
        yield f'<text x="{x + 18}" y="73">{LEGEND[role]}</text>'
        x += 40 + 7 * len(LEGEND[role])
    note = "upper bar: read; lower: write" + "; cut: longer" * cut
    yield f'<text x="{x}" y="73" class="quiet">{note}</text>'


def _line(line: Line, found: Overview, y: int, scale: float) -> Iterator[str]:
    shares = found.shares[line]
    middle = y + BAR * len(shares) / 2
    weight = ' class="strong"' if line.role == OURS else ""
    yield (
        f'<text x="{LABEL - 10}" y="{middle + 4:g}" text-anchor="end"{weight}>'
        f"{escape(line.label)}</text>"
    )
    for number, share in enumerate(shares):
        top, write = y + BAR * number, " write" * number
        length = min(share * scale, BARS)
        yield (
            f'<rect x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR - 1}" '
            f'class="{CLASSES[line.role]}{write}"/>'
        )
        if share * scale > BARS + 1:
            cut = LABEL + BARS - 22
            yield f'<path d="M{cut + 5} {top - 1}l-8 {BAR + 1}h5l8 -{BAR + 1}z" class="page"/>'
        yield (
            f'<text x="{LABEL + length + 6:.1f}" y="{top + 9.5}" class="small">'
            f"{share * found.bare_rate:,.0f} · {share:.2f}</text>"
        )
