"""Going through the keys of the sessions, of one server or of a cluster, in steps.

One server does so by SCAN. Its cursor means nothing to another process of the server, and where
many keys went meanwhile it repeats some of those that it gave last. A cluster's slots move from
node to node, so there it goes by slots, and within a slot in the order of the names.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from stores.cursor import refuse
from stores.redis.cluster import Cluster
from stores.redis.errors import Explained
from stores.redis.exchange import Command

RECENT = 128
"""Names that the next step leaves out: SCAN repeats what shares a bucket since the table shrank."""

MARK = 11
"""Characters of each such name: 66 bits, so that no two names are taken for one."""

MOST_CALLS = 50
"""SCANs of one step: other applications' keys may be many."""

COUNTED = 5_000
"""Keys that one step of an exact count passes."""

SLOTS = 16384
FEW_SLOTS, MOST_SLOTS = 16, 1024
"""That a step asks for at first, each time twice as many, and in all."""

KEYS_OF_A_SLOT = 100_000
"""The most that a slot may have; a hundred million sessions put six thousand into each."""

Read: TypeAlias = Callable[[Sequence[Command]], Awaitable[list[Any]]]

_NAME = re.compile(rb"[A-Za-z0-9_-]{21}[AQgw]")
_SERVER = re.compile(r"([0-9a-f]*)\.([0-9]{1,20})\.((?:[A-Za-z0-9_-]{11})*)")
_CLUSTER = re.compile(r"slot\.([0-9]{1,5})\.((?:[A-Za-z0-9_-]{22})?)")


class Ids(NamedTuple):
    """One step."""

    ids: list[bytes]
    after: str | None
    anew: bool = False


async def ids_of_server(read: Read, prefix: bytes, after: str | None, limit: int) -> Ids:
    """Return the ids of the next step; *read* sends commands to the server.

    Raises `ConfigurationError` for an *after* that is none.
    """
    place = _SERVER.fullmatch(".0." if after is None else after)
    if place is None:
        refuse()
    (info,) = await read([(b"INFO", b"server")])
    run = re.search(rb"run_id:([0-9a-f]*)", info)
    now = "" if run is None else run[1].decode()
    anew = after is not None and place[1] != now
    cursor, marks = (b"0", "") if anew else (place[2].encode(), place[3])
    recent = {marks[i : i + MARK].encode() for i in range(0, len(marks), MARK)}
    names: dict[bytes, None] = {}
    pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + b"*"
    for _ in range(MOST_CALLS):
        command = (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % limit)
        ((cursor, keys),) = await read([command])
        names |= {name: None for name in _names(keys, prefix) if name[:MARK] not in recent}
        if cursor == b"0" or len(names) >= limit:
            break
    ids = [*map(_id, names)]
    if cursor == b"0":
        return Ids(ids, None, anew)
    marks = (marks + "".join(name[:MARK].decode() for name in names))[-RECENT * MARK :]
    return Ids(ids, f"{now}.{cursor.decode()}.{marks}", anew)


async def ids_of_cluster(cluster: Cluster, prefix: bytes, after: str | None, limit: int) -> Ids:
    """Return the ids of the next step.

    Raises `ConfigurationError` for an *after* that is none, and an error of redis-py.
    """
    place = _CLUSTER.fullmatch("slot.0." if after is None else after)
    if place is None or int(place[1]) >= SLOTS:
        refuse()
    slot, behind = int(place[1]), place[2].encode()
    found: list[tuple[int, bytes]] = []
    end, size = min(slot + MOST_SLOTS, SLOTS), FEW_SLOTS
    while slot < end and len(found) < limit:
        slots = range(slot, min(slot + size, end))
        keys_of = await cluster.keys_of(slots, KEYS_OF_A_SLOT)
        if max(map(len, keys_of)) >= KEYS_OF_A_SLOT:
            raise Explained(f"a slot has {KEYS_OF_A_SLOT} keys or more")
        found += sorted(
            (slot, name)
            for slot, keys in zip(slots, keys_of, strict=True)
            for name in _names(keys, prefix)
            if slot > slots[0] or name > behind
        )
        slot, behind, size = slots.stop, b"", 2 * size
    ids = [_id(name) for _, name in found[:limit]]
    if len(found) > limit:
        slot, behind = found[limit - 1]
        return Ids(ids, f"slot.{slot}.{behind.decode()}")
    return Ids(ids, f"slot.{slot}." if slot < SLOTS else None)


async def count_ids(next_ids: Callable[[str | None, int], Awaitable[Ids]]) -> int:
    """Return how many ids all steps have."""
    number, step = 0, await next_ids(None, COUNTED)
    while True:
        number = len(step.ids) + (0 if step.anew else number)
        if step.after is None:
            return number
        step = await next_ids(step.after, COUNTED)


def _names(keys: Sequence[bytes] | set[bytes], prefix: bytes) -> list[bytes]:
    """Return what is behind the prefix in those keys that are sessions'."""
    names = (key[len(prefix) :] for key in keys if key.startswith(prefix))
    return [name for name in names if _NAME.fullmatch(name)]


def _id(name: bytes) -> bytes:
    return urlsafe_b64decode(name + b"==")
