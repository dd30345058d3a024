"""What one client, and all of them together, may take of the service."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass

SPARE_DESCRIPTORS = 64
"""File descriptors kept for the stores and the log; a quarter of them all where those are few."""


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, time-outs in seconds; each is for one process.

    A handler of uploads raises the first two for itself, in `prepare`.
    """

    max_body_size: int = 1_000_000
    """A request with a larger body is refused."""

    body_timeout: float = 60
    """How long a request's body may take to arrive, all of it."""

    header_timeout: float = 20
    """How long a request's header may take to arrive, from its first byte on."""

    keep_alive_timeout: float = 75
    """How long a connection may say nothing, when it is new and between two requests."""

    send_timeout: float = 60
    """How long a client may take nothing of what is sent to it."""

    max_connections: int = 0
    """Open connections; 0 is as many as the process has file descriptors for."""

    bounded_by: str = "--max-connections"
    """Where its user looks when there is no room for more of them."""

    def connections(self) -> int:
        """Return how many connections may be open."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            descriptors = sys.maxsize
        possible = descriptors - min(SPARE_DESCRIPTORS, descriptors // 4)
        return min(self.max_connections or possible, possible)
