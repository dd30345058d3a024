"""How many connections and how much memory this process has (Linux only)."""

from __future__ import annotations

import os
from pathlib import Path


def connections_to(port: int) -> int:
    """Return how many connections this process has to a port of the loopback interface."""
    mine = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            mine.add(os.readlink(entry))
        except OSError:  # closed meanwhile
            continue
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    remote = f"0100007F:{port:04X}"
    return sum(row[2] == remote and f"socket:[{row[9]}]" in mine for row in rows)


def resident_bytes() -> int:
    """Return the memory that this process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
