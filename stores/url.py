"""From a URL to the store it names."""

from __future__ import annotations

from collections.abc import Callable

from stores.contract import ConfigurationError, Store
from stores.memory import MemoryStore
from stores.mongo import MongoStore
from stores.redis import RedisStore
from stores.sql import SQLStore

_STORES: dict[str, Callable[[str], Store]] = {
    "memory": lambda url: _memory(url),
    **dict.fromkeys(("mongodb", "mongodb+srv"), MongoStore),
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys", "redis+cluster"), RedisStore),
    **dict.fromkeys(("postgresql", "mysql", "mariadb", "sqlite"), SQLStore),
}


def open_store(url: str) -> Store:
    """Return the store that *url* names; nothing is connected yet.

    Raises `ConfigurationError` for an unknown scheme, for a malformed URL, and when the store's
    driver is not installed.
    """
    scheme, colon, _ = url.partition(":")
    make = _STORES.get(scheme.lower()) if colon else None
    if make is None:
        known = ", ".join(f"{name}:" if name == "memory" else f"{name}://" for name in _STORES)
        # Not quoted: what stands before the colon may be half of a password.
        raise ConfigurationError(f"the store's URL must begin with one of {known}")
    return make(url)


def _memory(url: str) -> Store:
    if url.lower() not in ("memory:", "memory://"):
        raise ConfigurationError("the memory store takes no host or path: write memory:")
    return MemoryStore()
