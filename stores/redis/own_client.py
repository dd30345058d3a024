"""An application's own client: whether the store can use it, and what it is connected to."""

from __future__ import annotations

from redis.asyncio import Redis, RedisCluster, SSLConnection

from stores.contract import ConfigurationError


def check_client(client: object) -> Redis | RedisCluster:
    """Return *client*; raise `ConfigurationError` when the store cannot use it."""
    if not isinstance(client, Redis | RedisCluster):
        raise ConfigurationError(
            "RedisStore takes a URL, or a Redis or RedisCluster client of redis.asyncio, "
            f"not {type(client).__name__}"
        )
    if client.get_connection_kwargs().get("decode_responses"):
        raise ConfigurationError("the store needs a Redis client made with decode_responses=False")
    if getattr(client, "read_from_replicas", None) or getattr(
        client, "load_balancing_strategy", None
    ):
        raise ConfigurationError(
            "the store needs a Redis client that reads from primaries: a replica may not have "
            "the latest writes"
        )
    return client


def name_of(client: Redis | RedisCluster) -> str:
    """Return the client's address, as a URL without user name and password."""
    if isinstance(client, RedisCluster):
        node = client.startup_nodes[0]
        return f"redis+cluster://{node.host}:{node.port}"
    options = client.get_connection_kwargs()  # type: ignore[no-untyped-call]
    if "path" in options:
        return f"unix://{options['path']}"
    if "host" not in options:  # it asks Sentinel for the address
        return f"redis:{getattr(client.connection_pool, 'service_name', '')}"
    return f"redis://{options['host']}:{options['port']}/{options.get('db', 0)}"


def uses_tls(client: Redis | RedisCluster) -> bool:
    """Tell whether the client's connections use TLS."""
    if isinstance(client, RedisCluster):
        return bool(client.connection_kwargs.get("ssl"))
    return issubclass(client.connection_pool.connection_class, SSLConnection)
