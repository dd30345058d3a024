"""Telling who listens that a session ended or got a new token."""

from __future__ import annotations

import time
from collections.abc import Callable


class Endings:
    """The ends of one manager's sessions, as far as this process knows of them."""

    def __init__(self) -> None:
        self.listeners: set[Callable[[bytes, bytes], None]] = set()
        """Called with a record's id and the hash of the secret that still opens it, or b""."""
        self.last = 0.0
        """Unix time of the last one in seconds, by the machine's clock."""

    def tell(self, id: bytes, secret_hash: bytes = b"") -> None:
        """Tell that only the secret of *secret_hash* opens record *id* now."""
        self.last = time.time()
        for listener in tuple(self.listeners):
            listener(id, secret_hash)
