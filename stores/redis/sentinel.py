"""The primary that Sentinel names, asked for anew whenever a connection is made."""

from __future__ import annotations

from typing import Any

from redis import exceptions
from redis.asyncio import Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from stores.redis.errors import Explained, reason_of
from stores.redis.url import RedisUrl


def sentinel_client(url: RedisUrl, options: dict[str, Any], timeout: float) -> Redis:
    """Return a client of the primary, not connected yet; *options* are those of a connection."""
    options = {k: v for k, v in options.items() if k not in ("host", "port", "connection_class")}
    # One that is silent leaves time to ask the others, and the primary.
    share = timeout / (len(url.nodes) + 1)
    manager = Sentinels(  # type: ignore[no-untyped-call]
        url.nodes,
        sentinel_kwargs={
            **{k: v for k, v in options.items() if k.startswith("ssl_")},
            **url.sentinel_options,
            "ssl": url.is_tls,
            "protocol": 2,
            "socket_timeout": share,
            "socket_connect_timeout": share,
            "retry": Retry(NoBackoff(), 0),
        },
    )
    client: Redis = manager.master_for(url.service, ssl=url.is_tls, **options)
    return client


class Sentinels(Sentinel):
    """Several Sentinels, which say why they name no primary."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the primary's host and port. Raises `Explained`."""
        reason = ""
        for sentinel in list(self.sentinels):
            try:
                state: Any = await sentinel.sentinel_master(service_name)
            except exceptions.RedisError as error:
                # What one that answers says is worth more than the silence of another.
                if not reason or isinstance(error, exceptions.ResponseError):
                    tls = issubclass(sentinel.connection_pool.connection_class, SSLConnection)
                    reason = reason_of(error, tls=tls)
                continue
            if self.check_master_state(state, service_name):
                # Who asks at the same time may have moved it already.
                self.sentinels.remove(sentinel)
                self.sentinels.insert(0, sentinel)
                return state["ip"], state["port"]
            reason = "the primary is down, and no replica has taken over yet"
        raise Explained(f"Sentinel: {reason}")
