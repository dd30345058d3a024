"""Many commands sent together over one connection, and their answers.

redis-py's pipelines take twice the time. They also hide whether the connection broke, after which a
read is worth repeating, or the server does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

from redis import exceptions

Command: TypeAlias = tuple[bytes, ...]


class ConnectionBroken(exceptions.ConnectionError):
    """The connection ended before the answer came. The command may have been run."""


class OneServer:
    """A client's server. Has the methods of `stores.redis.cluster.Cluster`.

    Whoever *keeps* connections has the client to himself: to take one from its pool and to give it
    back takes as long as a small batch.
    """

    def __init__(self, client: Any, *, keeps: bool = False) -> None:
        self._pool = client.connection_pool
        self._keeps = keeps
        self._idle: list[Any] = []

    async def open(self) -> None:
        """Do nothing: one server has no slots' map to load."""

    async def close(self) -> None:
        """Do nothing: nothing runs in the background."""

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answers in order, errors and `ConnectionBroken` among them.

        Raises an error of redis-py when the server cannot be reached.
        """
        if self._idle:
            connection = self._idle.pop()
        else:
            connection = await self._pool.get_connection()  # it replaces a closed one
        try:
            if self._keeps:
                await connect_anew(connection)
            return await exchange(connection, commands)
        finally:
            if self._keeps:
                self._idle.append(connection)
            else:
                await asyncio.shield(self._pool.release(connection))

    async def send_to_each(self, command: Command) -> list[Any]:
        """Return the answer of each server that keeps sessions."""
        return await self.send([command])


async def connect_anew(connection: Any) -> None:
    """Connect where there is no connection, or one that the server has closed meanwhile."""
    if connection.is_connected:
        if not await connection.can_read():
            return
        await connection.disconnect()
    await connection.connect()


async def exchange(connection: Any, commands: Sequence[Command]) -> list[Any]:
    """Send the commands and return their answers; the error that broke a connection fills the rest.

    A cancelled read still has answers to come, so redis-py closes the connection.
    """
    answers: list[Any] = []
    if not commands:  # asyncio of Python 3.12 and 3.13 never finishes an empty write
        return answers
    try:
        await connection.send_packed_command(_pack(commands))
        for _ in commands:
            try:
                answers.append(await connection.read_response())
            except exceptions.ResponseError as error:
                answers.append(error)
    except (exceptions.BusyLoadingError, exceptions.TimeoutError) as error:
        answers += [error] * (len(commands) - len(answers))
    except exceptions.ConnectionError:
        answers += [ConnectionBroken("the connection broke")] * (len(commands) - len(answers))
    return answers


_HEADS = [b"\r\n$%d\r\n" % size for size in range(256)]


def _pack(commands: Sequence[Command]) -> bytes:
    pieces: list[bytes] = []
    add = pieces.append
    for command in commands:
        add(b"*%d" % len(command))
        for word in command:
            size = len(word)
            add(_HEADS[size] if size < 256 else b"\r\n$%d\r\n" % size)
            add(word)
        add(b"\r\n")
    return b"".join(pieces)
