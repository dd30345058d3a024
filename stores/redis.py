"""Sessions in Redis (7 or later) or Valkey, one server or a cluster, through redis-py.

One hash a session, in text that `redis-cli` shows as it is, under the prefix and the session's
public handle::

    HGETALL session:3q2-7wAAAAAAAAAAAAAAAA
    secret "9f86d0…"  created "1763910000.25"  expires "1763996400.25"  persistent "1"
    user "ada"  former "60303a…"  rotated "1763910007.5"          (where there is one)
    d:name "\\"ada\\""  d:cart "[{\\"sku\\":\\"x\\",\\"price\\":9.5}]"   (a field a key, as JSON)

The server expires the key by itself. Creating and changing are one Lua script each, so that the
condition and the change are one step; a script names one key only, as a cluster demands.
"""

from __future__ import annotations

import asyncio
import math
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stores.contract import (
    Change,
    ConfigurationError,
    Create,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Update,
)
from stores.redis_client import MAX_CONNECTIONS, RedisUrl, check_client, name_of, reason_of
from stores.redis_hashes import arguments_of, fields_of, record_of

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

Command: TypeAlias = tuple[str | bytes | int, ...]

REFRESH_INTERVAL = 1.0
"""Seconds between two looks at who serves what in a cluster that does not answer."""


class _Script:
    """A Lua script. The shebang has the server refuse it whole on a replica or when memory is full.

    The server keeps a script by its SHA-1 until it restarts or is told to forget; a script it does
    not know was not run, and is sent in full.
    """

    def __init__(self, body: str) -> None:
        self.source: Final = b"#!lua\n" + body.encode()
        self.sha: Final = sha1(self.source, usedforsecurity=False).hexdigest().encode()


# unpack() takes some thousand values at a time, a session may have more keys than that.
_CREATE = _Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 2 end
for i = 2, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return 1
""")

# A rotation that the record has gone through already is done: an application's own client may send
# a script again whose answer it did not get. Secrets never repeat, so there is no mistaking it.
_UPDATE = _Script("""
local expected, secret, expires, last = ARGV[1], ARGV[2], ARGV[3], 4 + tonumber(ARGV[4])
local now = redis.call('HMGET', KEYS[1], 'secret', 'former', 'expires')
if not now[1] then return 3 end
if expected ~= '' and expected ~= now[1] then
  if secret == now[1] or secret == now[2] then return 1 end
  return 4
end
for i = 5, last, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 999, last)))
end
for i = last + 1, #ARGV, 1000 do
  redis.call('HDEL', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
if expires ~= '' and tonumber(expires) > tonumber(now[3]) then
  redis.call('HSET', KEYS[1], 'expires', expires)
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.ceil(tonumber(expires) * 1000)))
end
return 1
""")

_SOURCES: dict[Any, bytes] = {_CREATE.sha: _CREATE.source, _UPDATE.sha: _UPDATE.source}

_OUTCOMES = {
    0: Outcome.DONE,  # UNLINK: it was not there
    1: Outcome.DONE,
    2: Outcome.EXISTS,
    3: Outcome.MISSING,
    4: Outcome.CONFLICT,
}


class RedisStore(Store):
    """Keeps records in hashes whose keys begin with *prefix*.

    *source* is a URL (`redis://`, `rediss://`, the same with `valkey`, `redis+cluster://` with one
    host or several, comma-separated), or a `redis.asyncio` client of the application's own,
    `Redis` or `RedisCluster`, which is not closed. *timeout* is in seconds and holds for a whole
    operation. What a URL opens never repeats a write whose outcome is unknown; a client that was
    passed in does as its own retry policy says.
    """

    timeout: float

    def __init__(
        self,
        source: str | Redis | RedisCluster,
        *,
        prefix: str = "session:",
        timeout: float = 2.0,
    ) -> None:
        try:
            from redis.asyncio import Redis, RedisCluster
        except ImportError as error:
            raise ConfigurationError(
                f"Redis and Valkey need the package {error.name}: "
                "pip install tornado-server-sessions[redis]"
            ) from None
        self.timeout = timeout
        self._prefix = prefix.encode()
        self._url: RedisUrl | None = None
        self._client: Any = None
        if isinstance(source, str):
            self._url = RedisUrl(source)
            self._name = self._url.name
        elif isinstance(source, Redis | RedisCluster):
            self._client = source
            check_client(source)
            self._name = name_of(source)
        else:
            raise ConfigurationError(
                "RedisStore takes a URL, or a Redis or RedisCluster client of redis.asyncio, "
                f"not {type(source).__name__}"
            )
        self._slots: asyncio.Semaphore | None = None  # there is one while the store is open
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed = -REFRESH_INTERVAL

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> None:
        if self._client is None:
            assert self._url is not None
            self._client = self._url.client(self.timeout)
        if self._slots is None:
            self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        await self.ping()

    async def close(self) -> None:
        self._slots = None
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
            self._refreshing = None
        if self._url is not None and self._client is not None:
            client, self._client = self._client, None
            await client.aclose()
            if self._url.is_cluster:  # a client that found no cluster leaves its nodes as they are
                await client.nodes_manager.aclose("startup_nodes")

    async def ping(self) -> None:
        # A read of a key, because a server answers PING while it is of no use otherwise (a cluster
        # that is down, a replica that lost its master).
        async with self._operation():
            _check(await self._read([("HLEN", self._prefix)]))

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
        async with self._operation():
            answers = await self._read([("HGETALL", self._key(id)) for id in ids])
            _check(answers)
        return {
            id: record_of(id, fields) for id, fields in zip(ids, answers, strict=True) if fields
        }

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        commands = [self._command(change) for change in changes]
        async with self._operation():
            answers = await self._send(commands)
            await self._send_in_full(commands, answers)
            _check(answers)
        return [_OUTCOMES[answer] for answer in answers]

    def _key(self, id: bytes) -> bytes:
        return self._prefix + urlsafe_b64encode(id).rstrip(b"=")

    def _command(self, change: Change) -> Command:
        key = self._key(change.id)
        if isinstance(change, Update):
            return ("EVALSHA", _UPDATE.sha, 1, key, *arguments_of(change))
        if isinstance(change, Create):
            record = change.record
            expires = math.ceil(record.expires * 1000)
            return ("EVALSHA", _CREATE.sha, 1, key, expires, *fields_of(record))
        return ("UNLINK", key)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together and return their answers, errors of the server among them."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    async def _read(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands that change nothing, hence once more where a connection had died."""
        from redis import exceptions

        try:
            answers = await self._send(commands)
        except exceptions.ConnectionError:
            return await self._send(commands)
        if any(isinstance(answer, exceptions.ConnectionError) for answer in answers):
            answers = await self._send(commands)
        return answers

    async def _send_in_full(self, commands: Sequence[Command], answers: list[Any]) -> None:
        """Run the scripts that the server, or a node of the cluster, did not know."""
        from redis.exceptions import NoScriptError

        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            sources = [
                ("EVAL", _SOURCES[sha], *arguments)
                for _, sha, *arguments in (commands[i] for i in unknown)
            ]
            for i, answer in zip(unknown, await self._send(sources), strict=True):
                answers[i] = answer

    @asynccontextmanager
    async def _operation(self) -> AsyncIterator[None]:
        """Bound what is done inside in time and in connections; let it fail in one way only."""
        from redis.exceptions import RedisClusterException, RedisError

        if self._slots is None:
            raise StoreUnavailable("the Redis store is not open")
        try:
            # Cancelled, redis-py closes the connection that still owes an answer.
            async with asyncio.timeout(self.timeout), self._slots:
                yield
            return
        except asyncio.CancelledError:
            self._refresh_later()
            raise
        except TimeoutError:
            reason = f"Redis did not answer within {self.timeout} s"
        except (RedisError, RedisClusterException, OSError) as error:
            reason = reason_of(error)
        self._refresh_later()
        raise StoreUnavailable(reason) from None

    def _refresh_later(self) -> None:
        """After a failure in a cluster, look in the background at who serves what now.

        redis-py would do so before it repeats a command, which it is told not to do.
        """
        now = asyncio.get_running_loop().time()
        if (
            self._slots is not None  # else it has been closed meanwhile
            and self._url is not None
            and self._url.is_cluster
            and now - self._refreshed >= REFRESH_INTERVAL
            and (self._refreshing is None or self._refreshing.done())
        ):
            self._refreshed = now
            self._refreshing = asyncio.create_task(_refresh(self._client))


async def _refresh(client: RedisCluster) -> None:
    from redis.exceptions import RedisClusterException, RedisError

    # If it fails, the next failure of an operation makes it look again.
    with suppress(RedisError, RedisClusterException, OSError):
        await client.nodes_manager.initialize()


def _check(answers: Sequence[Any]) -> None:
    """Raise the first error there is among the answers."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
