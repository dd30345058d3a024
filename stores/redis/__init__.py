"""Sessions in Redis or Valkey."""

from stores.redis.store import RedisStore as RedisStore
