"""Where sessions are kept: the store contract, the stores, and `open_store` for a URL."""

from typing import TYPE_CHECKING

from stores import drivers
from stores.contract import ConfigurationError as ConfigurationError
from stores.contract import Store as Store
from stores.contract import StoreUnavailable as StoreUnavailable
from stores.memory import MemoryStore as MemoryStore
from stores.moving import MovingStore as MovingStore
from stores.url import open_store as open_store

__all__ = [
    "ConfigurationError",
    "EncryptedStore",
    "MemoryStore",
    "MongoStore",
    "MovingStore",
    "RedisStore",
    "SQLStore",
    "Store",
    "StoreUnavailable",
    "open_store",
]

if TYPE_CHECKING:
    from stores.encrypted import EncryptedStore as EncryptedStore
    from stores.mongo import MongoStore as MongoStore
    from stores.redis import RedisStore as RedisStore
    from stores.sql import SQLStore as SQLStore
else:  # a type checker that saw `__getattr__` would take any name for one of this module
    _PACKAGES = (drivers.MONGODB, drivers.REDIS, drivers.SQL, drivers.ENCRYPTION)
    _ON_DEMAND = {package.store: package for package in _PACKAGES}

    def __getattr__(name: str) -> object:
        """Import a store when it is first asked for, so that nobody needs another's driver."""
        if name not in _ON_DEMAND:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, _ON_DEMAND[name].store_class())

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
