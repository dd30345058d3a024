"""An application's own engine: whether the store can use it, and what it is connected to."""

from __future__ import annotations

from sqlalchemy import StaticPool
from sqlalchemy.ext.asyncio import AsyncEngine

from stores.contract import ConfigurationError
from stores.sql.names import DRIVERS


def check_engine(engine: object) -> AsyncEngine:
    """Return *engine*; raise `ConfigurationError` when the store cannot use it."""
    if not isinstance(engine, AsyncEngine):
        raise ConfigurationError(
            "SQLStore takes a URL, or an AsyncEngine of sqlalchemy.ext.asyncio, "
            f"not {type(engine).__name__}"
        )
    dialect = engine.dialect
    if DRIVERS.get(dialect.name) != dialect.driver:
        pairs = ", ".join(f"{name}+{driver}" for name, driver in DRIVERS.items())
        raise ConfigurationError(f"the store needs an engine of one of {pairs}")
    if isinstance(engine.pool, StaticPool):
        raise ConfigurationError(
            "the store needs an engine with several connections; for SQLite, one with a file"
        )
    return engine


def name_of(engine: AsyncEngine) -> str:
    """Return the engine's address, as a URL without user name and password."""
    url = engine.url
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host or ""
    port = f":{url.port}" if url.port else ""
    return f"{engine.dialect.name}://{host}{port}/{url.database or ''}"
