"""What is measured, against what, and how fast it is to be."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.clients import CONNECTIONS, MANY_CONNECTIONS


class Served(NamedTuple):
    """What a process serves."""

    kind: str
    store: str
    loop: str


@dataclass(frozen=True)
class Work:
    """One line of a table: a kind of application, its store, a path of it, and its event loop."""

    title: str
    kind: str
    store: str
    path: str
    goal: float | None = None
    """Least ratio to bare Tornado's constant on the same loop; `None` for a baseline."""
    by_hand: str | None = None
    """Kind of the hand-written application with the same driver, whose p99 it is to keep."""
    connections: int = CONNECTIONS
    """Connections that its load comes over, and that of bare Tornado beside."""
    loop: str = "asyncio"

    @property
    def served(self) -> Served:
        """What the process serves that answers it."""
        return Served(self.kind, self.store, self.loop)

    @property
    def ours(self) -> bool:
        """Whether this project's sessions answer it."""
        return self.kind in {"sessions", "sessions-pymongo", "sealed"}


def _with_many(title: str, path: str, goal: float) -> Work:
    number = MANY_CONNECTIONS
    return Work(f"{title}, {number} connections", "sessions", "mongodb", path, goal, None, number)


WORKS = (
    Work("bare Tornado, a constant", "bare", "memory", "/constant"),
    Work("no sessions in the group", "sessions", "memory", "/constant", 1.00),
    Work("read, memory", "sessions", "memory", "/read", 0.92),
    Work("write, memory", "sessions", "memory", "/write", 0.85),
    Work("read, memory, sealed", "sealed", "memory", "/read"),
    Work("write, memory, sealed", "sealed", "memory", "/write"),
    Work("read, MongoDB by hand (PyMongo)", "hand-pymongo", "mongodb", "/read"),
    Work("read, MongoDB (PyMongo)", "sessions-pymongo", "mongodb", "/read", 0.80, "hand-pymongo"),
    Work("read, MongoDB by hand (motor)", "hand-motor", "mongodb", "/read"),
    Work("read, MongoDB gathered (motor)", "gathered-motor", "mongodb", "/read"),
    Work("read, MongoDB (motor)", "sessions", "mongodb", "/read", 0.75, "hand-motor"),
    _with_many("read, MongoDB", "/read", 0.78),
    Work("write, MongoDB by hand (PyMongo)", "hand-pymongo", "mongodb", "/write"),
    Work("write, MongoDB (PyMongo)", "sessions-pymongo", "mongodb", "/write", 0.60, "hand-pymongo"),
    Work("write, MongoDB by hand (motor)", "hand-motor", "mongodb", "/write"),
    Work("write, MongoDB gathered (motor)", "gathered-motor", "mongodb", "/write"),
    Work("write, MongoDB (motor)", "sessions", "mongodb", "/write", 0.50, "hand-motor"),
    _with_many("write, MongoDB", "/write", 0.56),
    Work("read, Redis by hand", "hand-redis", "redis", "/read"),
    Work("read, Redis", "sessions", "redis", "/read", 0.88, "hand-redis"),
    Work("write, Redis by hand", "hand-redis", "redis", "/write"),
    Work("write, Redis", "sessions", "redis", "/write", 0.78, "hand-redis"),
    Work("read, Redis, sealed", "sealed", "redis", "/read"),
    Work("write, Redis, sealed", "sealed", "redis", "/write"),
    Work("read, PostgreSQL by hand", "hand-sql", "postgresql", "/read"),
    Work("read, PostgreSQL", "sessions", "postgresql", "/read", 0.80, "hand-sql"),
    Work("write, PostgreSQL by hand", "hand-sql", "postgresql", "/write"),
    Work("write, PostgreSQL", "sessions", "postgresql", "/write", 0.58, "hand-sql"),
)
"""On asyncio's loop."""

UVLOOP_WORKS = tuple(
    dataclasses.replace(work, title=f"{work.title}, uvloop", loop="uvloop")
    for work in WORKS
    if work.kind in {"bare", "sessions", "hand-redis"} and work.connections == CONNECTIONS
)
"""Fewer, on uvloop's."""

TABLES = {"asyncio": WORKS, "uvloop": UVLOOP_WORKS}
"""What is measured on which loop."""


def quick(works: tuple[Work, ...]) -> tuple[Work, ...]:
    """Return those with a goal, and those that they are compared with."""
    compared = {"bare", *(work.by_hand for work in works)}
    return tuple(work for work in works if work.goal or work.kind in compared)
