"""What answers at a glance: bare, ours, by hand and peers, store by store, as shares of bare.

The shares are of bare Tornado on asyncio's loop, measured a second before in the same run: those of
two runs go together, and their requests a second do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.goals import WORKS
from benchmarks.peers.works import AIOHTTP, EXPRESS, STARSESSIONS

BARE, OURS, BY_HAND, PEER = "bare", "ours", "by hand", "peer"


@dataclass(frozen=True)
class Line:
    """What reads and writes, or answers a constant."""

    group: str
    role: str
    label: str
    titles: tuple[str, ...]
    """Of the works that read and write, or of the one that answers a constant."""


def _pair(group: str, role: str, label: str, what: str) -> Line:
    return Line(group, role, label, (f"read, {what}", f"write, {what}"))


CONSTANT, MEMORY, MONGODB, REDIS, SQL = (
    "A constant, no session",
    "Sessions in memory",
    "Sessions in MongoDB",
    "Sessions in Redis or Valkey",
    "Sessions in PostgreSQL",
)

LINES = (
    Line(CONSTANT, BARE, "bare Tornado", ("bare Tornado, a constant",)),
    Line(CONSTANT, BARE, "bare Tornado, uvloop", ("bare Tornado, a constant, uvloop",)),
    Line(CONSTANT, OURS, "ours", ("no sessions in the group",)),
    Line(CONSTANT, OURS, "ours, uvloop", ("no sessions in the group, uvloop",)),
    Line(CONSTANT, PEER, "Express", (f"a constant, {EXPRESS}",)),
    Line(CONSTANT, PEER, "aiohttp", (f"a constant, {AIOHTTP}",)),
    Line(CONSTANT, PEER, "aiohttp, uvloop", (f"a constant, {AIOHTTP}, uvloop",)),
    Line(CONSTANT, PEER, "Starlette, uvloop", (f"a constant, {STARSESSIONS}, uvloop",)),
    _pair(MEMORY, OURS, "ours", "memory"),
    _pair(MONGODB, OURS, "ours (PyMongo)", "MongoDB (PyMongo)"),
    _pair(MONGODB, OURS, "ours (motor)", "MongoDB (motor)"),
    _pair(MONGODB, OURS, "ours (motor), uvloop", "MongoDB (motor), uvloop"),
    _pair(MONGODB, BY_HAND, "by hand (PyMongo)", "MongoDB by hand (PyMongo)"),
    _pair(MONGODB, BY_HAND, "by hand (motor)", "MongoDB by hand (motor)"),
    _pair(MONGODB, PEER, EXPRESS, f"MongoDB, {EXPRESS}"),
    _pair(REDIS, OURS, "ours", "Redis"),
    _pair(REDIS, OURS, "ours, uvloop", "Redis, uvloop"),
    _pair(REDIS, BY_HAND, "by hand", "Redis by hand"),
    _pair(REDIS, PEER, EXPRESS, f"Redis, {EXPRESS}"),
    _pair(REDIS, PEER, AIOHTTP, f"Redis, {AIOHTTP}"),
    _pair(REDIS, PEER, f"{AIOHTTP}, uvloop", f"Redis, {AIOHTTP}, uvloop"),
    _pair(REDIS, PEER, f"{STARSESSIONS}, uvloop", f"Redis, {STARSESSIONS}, uvloop"),
    _pair(SQL, OURS, "ours", "PostgreSQL"),
    _pair(SQL, BY_HAND, "by hand", "PostgreSQL by hand"),
)
"""In the order of the table and of the picture; on asyncio's loop unless they say another."""

_GOALS = {work.title: work.goal for work in WORKS}


@dataclass(frozen=True)
class Overview:
    """The lines that were measured."""

    bare_rate: float
    """Requests a second of bare Tornado on asyncio's loop."""
    shares: Mapping[Line, tuple[float, ...]]
    """Of `bare_rate`: of the works of each line."""


def overview(found: Mapping[str, Any]) -> Overview:
    """Return what the sections of the results say of each line.

    What both runs have measured is taken from the load's. Raises `KeyError` without that one.
    """
    rows = {**found.get("peers", {}).get("rows", {}), **found["load"]["rows"]}
    return Overview(
        rows["bare Tornado, a constant"]["rate"],
        {
            line: tuple(rows[title]["of_bare"] for title in line.titles)
            for line in LINES
            if all(title in rows for title in line.titles)
        },
    )


def as_table(found: Overview) -> list[Sequence[str]]:
    """Return the cells, the header first: the shares, and the goals of those that have one."""
    table: list[Sequence[str]] = [
        ("times the rate of bare Tornado", "read", "goal", "write", "goal")
    ]
    group = ""
    for line, shares in found.shares.items():
        if line.group != group:
            group = line.group
            table.append((f"**{group}**", "", "", "", ""))
        cells = [line.label]
        for title, share in zip(line.titles, shares, strict=True):
            goal = _GOALS.get(title)
            cells += [f"{share:.2f}", "" if goal is None else f"{goal:.2f}"]
        table.append((*cells, *("",) * (5 - len(cells))))
    return table
