"""What a million requests a second take, calculated from what was measured for one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REQUESTS = 1_000_000
"""Requests a second."""
WRITES = 0.1
"""Share of them that change their session."""
SESSIONS = 100_000_000
"""Sessions that live at a time."""
BUSY_APPLICATION, BUSY_DATABASE = 0.7, 0.5
"""Shares of a core's time that are planned for; the rest is for peaks and for a server lost."""
CORES_OF_A_SHARD = 16
MEMBERS_OF_A_SHARD = 3
"""A majority of them acknowledges each write."""


def plan(cost: Mapping[str, Mapping[str, Any]], bytes_of_record: float | None) -> list[str]:
    """Return the plan for MongoDB as lines of Markdown, each with its arithmetic."""
    together, alone = _mix(cost, 32), _mix(cost, 1)
    processes = REQUESTS * together["app_cpu"] / 1e6 / BUSY_APPLICATION
    lines = [
        f"- Assumed: {REQUESTS:,} requests a second, {WRITES:.0%} of which change their session; "
        f"{SESSIONS:,} live sessions; cores of the kind measured on, busy {BUSY_APPLICATION:.0%} "
        f"(application) and {BUSY_DATABASE:.0%} (database).",
        f"- Processes: {REQUESTS:,} x {together['app_cpu']:.0f} µs of processor time a request = "
        f"{REQUESTS * together['app_cpu'] / 1e6:,.0f} cores' whole time; / {BUSY_APPLICATION} = "
        f"**{processes:,.0f} processes**, one a core.",
    ]
    for title, mix in (
        ("at best, if the database gets as many at a time as here under load", together),
        ("at worst, if it gets each by itself", alone),
    ):
        cores = REQUESTS * mix["cpu"] / 1e6
        shards = cores / BUSY_DATABASE / CORES_OF_A_SHARD
        lines.append(
            f"- Shards, {title}: {REQUESTS:,} x {mix['cpu']:.0f} µs = {cores:,.0f} cores' whole "
            f"time; / {BUSY_DATABASE} / {CORES_OF_A_SHARD} cores of a primary = "
            f"**{max(shards, 1):,.0f} shards** of {MEMBERS_OF_A_SHARD} members; "
            f"{REQUESTS * mix['calls']:,.0f} commands a second; "
            f"{REQUESTS * (mix['bytes_in'] + mix['bytes_out']) * 8 / 1e9:.1f} Gbit/s between "
            "application and database."
        )
    lines.append(
        f"- Log: {REQUESTS * WRITES:,.0f} writes a second x {together['log_bytes'] / WRITES:.0f} "
        f"bytes = {REQUESTS * together['log_bytes'] / 1e6:,.0f} MB/s of write-ahead log, which "
        "the shards share; each member writes its shard's part."
    )
    if bytes_of_record is not None:
        lines.append(
            f"- Memory: {SESSIONS:,} sessions x {bytes_of_record:.0f} bytes (record and indexes, "
            f"two short values) = {SESSIONS * bytes_of_record / 1e9:,.0f} GB over all shards, to "
            "be held in the databases' caches."
        )
    return lines


def _mix(cost: Mapping[str, Mapping[str, Any]], connections: int) -> dict[str, float]:
    """Return what the average request costs."""
    read = cost[f"read, mongodb, ours, {connections} at a time"]
    write = cost[f"write, mongodb, ours, {connections} at a time"]
    names: Sequence[str] = ("calls", "cpu", "app_cpu", "bytes_in", "bytes_out", "log_bytes")
    return {name: (1 - WRITES) * read[name] + WRITES * write[name] for name in names}
