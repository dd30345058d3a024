"""The databases by their URL schemes, and encryption: each one's package here, and its driver.

A package is imported when its store is asked for. This is the one place that turns a missing driver
into a sentence.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from stores.contract import ConfigurationError


class Database(NamedTuple):
    """One database, or several that share a driver."""

    needs: str
    """Subject and verb of the sentence about a missing driver."""
    install: str
    """The command that installs what is missing."""
    package: str
    """The package of `stores` that imports the driver."""
    store: str
    """The name of the store's class in that package."""

    def store_class(self) -> Any:
        """Return the class of the store; raise `ConfigurationError` without its driver."""
        return getattr(self.load(self.package), self.store)

    def load(self, module: str) -> Any:
        """Import a module; raise `ConfigurationError` when a package that it needs is missing."""
        return load(module, self.needs, self.install)


def load(module: str, needs: str, install: str) -> Any:
    """Import a module of ours that imports what only an extra installs.

    *needs* is subject and verb of the sentence about what is missing, *install* the command that
    installs it. Raises `ConfigurationError`.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        # A defect of ours, or a driver that is there and broken.
        if missing in ("", "app", "stores"):
            raise
        raise ConfigurationError(f"{needs} the package {missing}: {install}") from None


def _sql(needs: str, extra: str) -> Database:
    return Database(needs, f"make install EXTRAS={extra}", "stores.sql", "SQLStore")


MONGODB = Database("MongoDB needs", "make install", "stores.mongo", "MongoStore")
REDIS = Database("Redis and Valkey need", "make install EXTRAS=redis", "stores.redis", "RedisStore")
ENCRYPTION = Database(
    "Sealed values need", "make install EXTRAS=encryption", "stores.encrypted", "EncryptedStore"
)
SQL = _sql("SQL databases need", "postgresql (or mysql, or sqlite)")

_REDIS_AND_VALKEY = ("redis", "rediss", "valkey", "valkeys")
_REDIS_SCHEMES = (
    *(s + kind for kind in ("", "+cluster", "+sentinel") for s in _REDIS_AND_VALKEY),
    *("unix", "redis+unix", "valkey+unix"),
)

BY_SCHEME = {
    **dict.fromkeys(("mongodb", "mongodb+srv"), MONGODB),
    **dict.fromkeys(_REDIS_SCHEMES, REDIS),
    **dict.fromkeys(("postgresql", "postgres"), _sql("PostgreSQL needs", "postgresql")),
    "mysql": _sql("MySQL needs", "mysql"),
    "mariadb": _sql("MariaDB needs", "mysql"),
    "sqlite": _sql("SQLite needs", "sqlite"),
}
