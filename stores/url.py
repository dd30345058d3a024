"""From a URL to the store it names."""

from __future__ import annotations

from stores.contract import ConfigurationError, Store
from stores.drivers import BY_SCHEME
from stores.memory import MemoryStore


def open_store(url: str) -> Store:
    """Return the store that *url* names, without connecting it.

    Raises `ConfigurationError` for an unknown scheme, for a malformed URL, and when the store's
    driver is not installed.
    """
    scheme, colon, _ = url.partition(":")
    scheme = scheme.lower()
    if colon and scheme == "memory":
        return _memory(url)
    if not colon or scheme not in BY_SCHEME:
        # The message quotes nothing: the text before the colon may be half of a password.
        raise ConfigurationError(
            "the store's URL must begin with memory:, mongodb://, redis://, postgresql://, "
            "mysql://, sqlite:/// or another one of stores/README.md"
        )
    store: Store = BY_SCHEME[scheme].store_class()(url)
    return store


def _memory(url: str) -> Store:
    if url.lower() not in ("memory:", "memory://"):
        raise ConfigurationError("the memory store takes no host or path: write memory:")
    return MemoryStore()
