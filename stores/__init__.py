"""Where sessions are kept: the store contract, the stores, and `open_store` for a URL."""

from stores.contract import ConfigurationError as ConfigurationError
from stores.contract import Store as Store
from stores.contract import StoreUnavailable as StoreUnavailable
from stores.memory import MemoryStore as MemoryStore
from stores.mongo import MongoStore as MongoStore
from stores.redis import RedisStore as RedisStore
from stores.sql import SQLStore as SQLStore
from stores.url import open_store as open_store

__all__ = [
    "ConfigurationError",
    "MemoryStore",
    "MongoStore",
    "RedisStore",
    "SQLStore",
    "Store",
    "StoreUnavailable",
    "open_store",
]
