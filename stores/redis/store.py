"""Sessions in Redis (7 or later) or Valkey, one server or a cluster, through redis-py.

One hash a session, in text that `redis-cli` shows as it is, under the prefix and the session's
public handle::

    HGETALL session:3q2-7wAAAAAAAAAAAAAAAA
    secret "9f86d0…"  created "1763910000.25"  expires "1763996400.25"  persistent "1"
    user "ada"  former "60303a…"  rotated "1763910007.5"          (each optional)
    authenticated "1763910000.25"  seen "1763910360.0"            (these, too)
    size "57"                              (bytes of the data as JSON text, at most)
    d:name "\\"ada\\""  d:cart "[{\\"sku\\":\\"x\\",\\"price\\":9.5}]"   (a field a key, as JSON)

The server expires the key by itself. One Lua script creates, another changes, so that the condition
and the change are one step.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from stores.contract import (
    Change,
    Count,
    Create,
    Outcome,
    Page,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
    Update,
    deadline,
)
from stores.cursor import loaded
from stores.redis.client import (
    MAX_CONNECTIONS,
    close_client,
    make_client,
    warn_of_plain_text,
    warn_of_slow_reads,
)
from stores.redis.cluster import Cluster
from stores.redis.errors import concerns_one_key, reason_of
from stores.redis.eviction import warn_of_eviction
from stores.redis.exchange import Command, ConnectionBroken, OneServer
from stores.redis.hashes import arguments_of, fields_of, record_of
from stores.redis.own_client import check_client, name_of, uses_tls
from stores.redis.scanning import Ids, count_ids, ids_of_cluster, ids_of_server
from stores.redis.scripts import CREATE, EXPECTING_UPDATE, LATE, OUTCOMES, SOURCES, UPDATE
from stores.redis.server_clock import ServerClock
from stores.redis.url import RedisUrl, read_url

DEFAULT_PREFIX = "session:"

_OUTCOMES = {0: Outcome.DONE, **OUTCOMES}  # 0 is UNLINK's of a key that does not exist


class RedisStore(Store):
    """Keeps records in hashes whose keys begin with *prefix*.

    *source* is a URL (`redis://`, `rediss://` with TLS, `redis+cluster://` or `redis+sentinel://`
    with one host or several, comma-separated, the same with `valkey`, or `unix://`), or a
    `redis.asyncio` client of the application's own, `Redis` or `RedisCluster`. *prefix* is by
    default the one that the URL names, else "session:". The store does not close a client of the
    application's. Make it with `protocol=2`, so that it replaces a connection that the server
    closed. *timeout* bounds a whole operation, in seconds. A write whose outcome is unknown is
    never repeated.

    Raises `ConfigurationError` for a bad URL and a client that cannot be used.
    """

    timeout: float
    expires_itself = True

    def __init__(
        self,
        source: str | Redis | RedisCluster,
        *,
        prefix: str | None = None,
        timeout: float = 2.0,
    ) -> None:
        self.timeout = timeout
        self._url: RedisUrl | None = None
        self._client: Any = None
        if isinstance(source, str):
            self._url = read_url(source)
            self._name, self._tls = self._url.name, self._url.is_tls
            if prefix is None:
                prefix = self._url.prefix
        else:
            self._client = check_client(source)
            self._name, self._tls = name_of(self._client), uses_tls(self._client)
        self._prefix = (DEFAULT_PREFIX if prefix is None else prefix).encode()
        self._servers: OneServer | Cluster | None = None  # set while the store is open
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._clock = ServerClock(self._name)
        self._warned = False

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> None:
        if self._client is None:
            assert self._url is not None
            self._client = make_client(self._url, self.timeout)
        if self._servers is None:
            if isinstance(self._client, RedisCluster):
                self._servers = Cluster(self._client)
            else:
                # Sentinel's pool closes the connections that it has when the primary is another.
                keeps = self._url is not None and self._url.kind != "sentinel"
                self._servers = OneServer(self._client, keeps=keeps)
        async with self._operation() as servers:
            await servers.open()
        await self.ping()
        async with self._operation() as servers:
            await self._clock.look(servers)
        await self._warn()

    async def close(self) -> None:
        # At once, so that what comes meanwhile finds the store closed, or one that is open again.
        servers, self._servers = self._servers, None
        slots, self._slots = self._slots, asyncio.Semaphore(MAX_CONNECTIONS)
        client = None
        if self._url is not None:
            client, self._client = self._client, None
        try:
            if servers is not None:
                # What is in flight would open connections again; it ends at its deadline.
                for _ in range(MAX_CONNECTIONS):
                    await slots.acquire()
                await self._clock.close()
                await servers.close()
        finally:
            if client is not None:
                await close_client(client)

    async def ping(self) -> None:
        # A server may answer PING and yet not serve keys: in a cluster that is down, or as a
        # replica without a primary.
        await self._read([(b"HLEN", self._prefix)])

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        answers = await self._read([(b"HGETALL", self._key(id)) for id in ids])
        return {
            id: self._unread(fields) if isinstance(fields, Exception) else record_of(id, fields)
            for id, fields in zip(ids, answers, strict=True)
            if fields
        }

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        now = asyncio.get_running_loop().time()
        until = now + self.timeout
        given_up = deadline.get()
        if given_up is not None and given_up < until:
            until = given_up
        async with self._operation() as servers:
            self._clock.look_in_time(servers, now)
            answers = await self._send(servers, changes, until)
            if LATE in answers:  # in time, or the answer would not be here: the clock was set
                await self._clock.look(servers)
                late = [i for i, answer in enumerate(answers) if answer == LATE]
                again = await self._send(servers, [changes[i] for i in late], until)
                for i, answer in zip(late, again, strict=True):
                    answers[i] = ResponseError("LATE") if answer == LATE else answer
            _raise_if_all_failed(answers)
        return [
            self._unavailable(answer) if isinstance(answer, Exception) else _OUTCOMES[answer]
            for answer in answers
        ]

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        ids, after, anew = await self._next_ids(after, limit)
        return Page(await loaded(self, ids), after, anew)

    async def count(self, *, exact: bool = False) -> Count:
        if not exact:
            async with self._operation() as servers:
                sizes = await servers.send_to_each((b"DBSIZE",))
                if failed := [size for size in sizes if isinstance(size, Exception)]:
                    raise failed[0]
            return Count(sum(sizes), False)
        return Count(await count_ids(self._next_ids), True)

    async def _next_ids(self, after: str | None, limit: int) -> Ids:
        if isinstance(self._servers, Cluster):
            async with self._operation():
                return await ids_of_cluster(self._servers, self._prefix, after, limit)
        return await ids_of_server(self._read, self._prefix, after, limit)

    def _key(self, id: bytes) -> bytes:
        return self._prefix + urlsafe_b64encode(id).rstrip(b"=")

    async def _send(
        self, servers: OneServer | Cluster, changes: Sequence[Change], until: float
    ) -> list[Any]:
        """Return the answers to the changes; the server refuses those that reach it too late."""
        when = self._clock.when(until)
        commands = [self._command(change, when) for change in changes]
        answers = await servers.send(commands)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            await _resend_failed(servers, [*map(_with_source, commands)], answers, NoScriptError)
        return answers

    def _command(self, change: Change, until: bytes) -> Command:
        key, behind = self._key(change.id), self._clock.behind
        if isinstance(change, Update):
            if not (change.set or change.unset or change.rotation or change.or_create):
                until = b""  # times alone only advance, so a late one does no harm
            script = EXPECTING_UPDATE if change.expected else UPDATE
            return (b"EVALSHA", script.sha, b"1", key, until, *arguments_of(change, behind))
        # A late one of these does no harm, either: the token of a session that was not created is
        # told to nobody, and what is removed was to go: its user asked for that.
        if isinstance(change, Create):
            return (b"EVALSHA", CREATE.sha, b"1", key, *fields_of(change.record, behind))
        return (b"UNLINK", key)

    async def _read(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands that change nothing; send them again when the connection was dead."""
        async with self._operation() as servers:
            answers = await servers.send(commands)
            for _ in range(MAX_CONNECTIONS):  # after a restart, all of them may be dead
                if not any(isinstance(answer, ConnectionBroken) for answer in answers):
                    break
                await _resend_failed(servers, commands, answers, ConnectionBroken)
            _raise_if_all_failed(answers)
        return answers

    def _unread(self, error: Exception) -> Unreadable | StoreUnavailable:
        if concerns_one_key(error):
            return Unreadable(reason_of(error))
        return self._unavailable(error)

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(reason_of(error, tls=self._tls))

    async def _warn(self) -> None:
        """Log once what works and could be better."""
        if self._warned:
            return
        async with self._operation() as servers:
            answers = await servers.send_to_each((b"INFO", b"memory"))
        warn_of_plain_text(self._url)
        warn_of_eviction(self._name, answers)
        warn_of_slow_reads(self._name)
        self._warned = True

    @asynccontextmanager
    async def _operation(self) -> AsyncIterator[OneServer | Cluster]:
        """Bound time and connections; turn every failure into `StoreUnavailable`."""
        servers = self._servers
        if servers is None:
            raise StoreUnavailable("the Redis store is not open")
        try:
            async with asyncio.timeout(self.timeout), self._slots:
                if self._servers is not servers:
                    raise StoreUnavailable("the Redis store was closed")
                yield servers
            return
        except TimeoutError:
            reason = f"Redis did not answer within {self.timeout} s"
        except (RedisError, RedisClusterException, OSError) as error:
            reason = reason_of(error, tls=self._tls)
        raise StoreUnavailable(reason) from None


async def _resend_failed(
    servers: OneServer | Cluster,
    commands: Sequence[Command],
    answers: list[Any],
    after: type[Exception],
) -> None:
    """Send the commands again whose answer is an *after*; put the new answers in their places."""
    failed = [i for i, answer in enumerate(answers) if isinstance(answer, after)]
    again = await servers.send([commands[i] for i in failed])
    for i, answer in zip(failed, again, strict=True):
        answers[i] = answer


def _with_source(command: Command) -> Command:
    """Return *command* with the script's source in the place of its SHA-1, if it has one."""
    if command[0] == b"EVALSHA":
        return (b"EVAL", SOURCES[command[1]], *command[2:])
    return command


def _raise_if_all_failed(answers: Sequence[Any]) -> None:
    """Raise the first error when all answers are errors; a dead node fails its own sessions."""
    if answers and all(
        isinstance(answer, Exception) and not concerns_one_key(answer) for answer in answers
    ):
        raise answers[0]
