"""From a URL to the store it names."""

from __future__ import annotations

from stores.contract import ConfigurationError, Store
from stores.drivers import BY_SCHEME, ENCRYPTION
from stores.memory import MemoryStore


def open_store(
    url: str,
    keys: str = "",
    *,
    seal_with: int | None = None,
    accept_plain: bool = False,
) -> Store:
    """Return the store that *url* names, without connecting it.

    With *keys*, it is an `EncryptedStore` over that one. They are text, NUMBER:KEY in each line, as
    a file of secrets holds them; the rest is said there.

    Raises `ConfigurationError` for an unknown scheme, for a malformed URL or key, and when the
    store's driver or the extra `encryption` is not installed.
    """
    store = _named_by(url)
    if keys:
        package = ENCRYPTION.load("stores.encrypted")
        listed = package.read_keys(keys)
        sealed: Store = package.EncryptedStore(
            store, listed, seal_with=seal_with, accept_plain=accept_plain
        )
        return sealed
    if seal_with is not None or accept_plain:
        # Who wrote this believes that values are sealed.
        raise ConfigurationError("seal_with and accept_plain mean nothing without keys: give some")
    return store


def _named_by(url: str) -> Store:
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
