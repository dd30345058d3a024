"""What is measured of the peers, and of ours beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from benchmarks.goals import UVLOOP_WORKS, WORKS, Work

EXPRESS, AIOHTTP, STARSESSIONS = (
    "Express, express-session",
    "aiohttp, aiohttp-session",
    "Starlette, starsessions",
)


def _ours() -> Iterator[Work]:
    """Bare Tornado, no sessions, and sessions in the stores that peers have, on both loops."""
    for work in (*WORKS, *UVLOOP_WORKS):
        if work.title.partition(", uvloop")[0] in {
            *("bare Tornado, a constant", "no sessions in the group"),
            *("read, MongoDB (motor)", "write, MongoDB (motor)", "read, Redis", "write, Redis"),
        }:
            yield dataclasses.replace(work, goal=None, by_hand=None)  # those are on its own loop


def _peer(name: str, kind: str, stores: dict[str, str], loop: str) -> Iterator[Work]:
    """A constant, and reading and writing in each of *stores*, by their names."""
    on = ", uvloop" if loop == "uvloop" else ""
    yield Work(f"a constant, {name}{on}", kind, next(iter(stores)), "/constant", loop=loop)
    for store, title in stores.items():
        for path in ("/read", "/write"):
            yield Work(f"{path[1:]}, {title}, {name}{on}", kind, store, path, loop=loop)


REDIS = {"redis": "Redis"}

PEER_WORKS: tuple[Work, ...] = (
    *_ours(),
    *_peer(EXPRESS, "express", {"mongodb": "MongoDB", **REDIS}, "node"),
    *_peer(AIOHTTP, "aiohttp", REDIS, "asyncio"),
    *_peer(AIOHTTP, "aiohttp", REDIS, "uvloop"),
    *_peer(STARSESSIONS, "starsessions", REDIS, "uvloop"),
)
"""Each beside bare Tornado on asyncio's loop, whatever its own."""
