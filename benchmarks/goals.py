"""What is measured, against what, and how fast it is to be."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.clients import CONNECTIONS, MANY_CONNECTIONS


@dataclass(frozen=True)
class Work:
    """One line of the table: a kind of application, its store, and a path of it."""

    title: str
    kind: str
    store: str
    path: str
    goal: float | None = None
    """Least ratio to bare Tornado's constant; `None` for a baseline."""
    by_hand: str | None = None
    """Kind of the hand-written application with the same driver."""
    goal_by_hand: float | None = None
    """Least ratio to the hand-written handler."""
    connections: int = CONNECTIONS
    """Connections that its load comes over, and that of bare Tornado beside."""


def _with_many(title: str, path: str) -> Work:
    number = MANY_CONNECTIONS
    return Work(f"{title}, {number} connections", "sessions", "mongodb", path, connections=number)


WORKS = (
    Work("bare Tornado, a constant", "bare", "memory", "/constant"),
    Work("no sessions in the group", "sessions", "memory", "/constant", 0.97),
    Work("read, memory", "sessions", "memory", "/read", 0.90),
    Work("write, memory", "sessions", "memory", "/write", 0.80),
    Work("read, memory, sealed", "sealed", "memory", "/read"),
    Work("write, memory, sealed", "sealed", "memory", "/write"),
    Work("read, MongoDB by hand (PyMongo)", "hand-pymongo", "mongodb", "/read"),
    Work("read, MongoDB by hand (motor)", "hand-motor", "mongodb", "/read"),
    Work("read, MongoDB gathered (motor)", "gathered-motor", "mongodb", "/read"),
    Work("read, MongoDB (motor)", "sessions", "mongodb", "/read", 0.78, "hand-motor", 3.0),
    _with_many("read, MongoDB", "/read"),
    Work("write, MongoDB by hand (PyMongo)", "hand-pymongo", "mongodb", "/write"),
    Work("write, MongoDB by hand (motor)", "hand-motor", "mongodb", "/write"),
    Work("write, MongoDB gathered (motor)", "gathered-motor", "mongodb", "/write"),
    Work("write, MongoDB (motor)", "sessions", "mongodb", "/write", 0.60, "hand-motor", 2.2),
    _with_many("write, MongoDB", "/write"),
    Work("read, Redis by hand", "hand-redis", "redis", "/read"),
    Work("read, Redis", "sessions", "redis", "/read", 0.82, "hand-redis"),
    Work("write, Redis by hand", "hand-redis", "redis", "/write"),
    Work("write, Redis", "sessions", "redis", "/write", 0.75, "hand-redis"),
    Work("read, Redis, sealed", "sealed", "redis", "/read"),
    Work("write, Redis, sealed", "sealed", "redis", "/write"),
    Work("read, PostgreSQL by hand", "hand-sql", "postgresql", "/read"),
    Work("read, PostgreSQL", "sessions", "postgresql", "/read", 0.70, "hand-sql"),
    Work("write, PostgreSQL by hand", "hand-sql", "postgresql", "/write"),
    Work("write, PostgreSQL", "sessions", "postgresql", "/write", 0.50, "hand-sql"),
)

QUICK_WORKS = tuple(
    work
    for work in WORKS
    if work.goal or work.kind in {"bare", *(other.by_hand for other in WORKS)}
)
"""Those with a goal, and those that they are compared with."""

GOAL_OF_GATHERING = 0.10
"""Most that gathering may add for a lone client, of one driver call."""
