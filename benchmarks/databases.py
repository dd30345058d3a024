"""The database servers that are measured with, started here."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stores import ConfigurationError, open_store
from tests.helpers.database_servers import Mongod, Postgres, Valkey
from tests.helpers.servers import Server, missing

SERVERS: dict[str, tuple[type[Server], tuple[str, ...]]] = {
    "mongodb": (Mongod, ("mongod",)),
    "redis": (Valkey, ("valkey-server",)),
    "postgresql": (Postgres, ("postgres", "initdb")),
}


@dataclass(frozen=True)
class Database:
    """A store to measure: its name, its URL, and the server's process unless it is memory."""

    name: str
    url: str
    server: Server | None = None


@contextlib.contextmanager
def databases(names: Sequence[str] = tuple(SERVERS)) -> Iterator[dict[str, Database]]:
    """Start the servers of these names; leave out, with a sentence, what cannot be had here."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        found = {}
        for name in names:
            make, programs = SERVERS[name]
            if reason := missing(*programs):
                print(f"{name} is left out: {reason}", file=sys.stderr)
                continue
            server = make(Path(folder) / name)
            stack.callback(server.stop)
            found[name] = Database(name, server.url, server)
        yield found


def has_store(database: Database) -> bool:
    """Tell whether this project has a store for it; say so if not."""
    try:
        open_store(database.url)
    except ConfigurationError as error:
        print(f"sessions in {database.name} are left out: {error}", file=sys.stderr)
        return False
    return True
