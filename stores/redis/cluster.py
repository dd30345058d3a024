"""Commands spread over the nodes of a cluster, each to the node that has its key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis import exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisClusterException,
    RedisError,
)

from stores.redis.exchange import Command, connect_anew, exchange

REFRESH_INTERVAL = 1.0
"""Seconds between two refreshes of the slots' map while the cluster does not answer."""

_SIGNS_OF_CHANGE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    ClusterDownError,
    MovedError,
)


class Cluster:
    """A client's nodes. Has the methods of `stores.redis.exchange.OneServer`."""

    def __init__(self, client: RedisCluster) -> None:
        self._client = client
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed = -REFRESH_INTERVAL

    async def open(self) -> None:
        """Load the slots' map. Raises an error of redis-py when no node answers."""
        await self._client.initialize()

    async def close(self) -> None:
        """End what runs in the background."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answers in order, errors among them; a dead node fails its own commands."""
        try:
            answers = await self._send_to([(self._node_of(c), [c]) for c in commands])
            if any(isinstance(answer, _SIGNS_OF_CHANGE) for answer in answers):
                self._refresh_later()
            redirected = [i for i, answer in enumerate(answers) if isinstance(answer, AskError)]
            if redirected:
                directed = [self._redirected(commands[i], answers[i]) for i in redirected]
                for i, answer in zip(redirected, await self._send_to(directed), strict=True):
                    answers[i] = answer
            return answers
        except asyncio.CancelledError:  # a node was too slow
            self._refresh_later()
            raise

    async def send_to_each(self, command: Command) -> list[Any]:
        """Return the answer of each server that keeps sessions."""
        return await self._send_to([(node, [command]) for node in self._client.get_primaries()])

    async def keys_of(self, slots: range, most: int) -> list[set[bytes]]:
        """Return the keys of each slot, but not more than *most* of one node.

        Raises the first error of a node.
        """
        asked = [(b"CLUSTER", b"GETKEYSINSLOT", b"%d" % slot, b"%d" % most) for slot in slots]
        owners = [self._owner_of(slot) for slot in slots]
        primaries = self._client.get_primaries()
        others = [(n, node) for n, o in enumerate(owners) for node in primaries if node != o]
        # A key that moves meanwhile has left its slot's owner, or is found there.
        answers = await self._send_to([(o, [c]) for o, c in zip(owners, asked, strict=True)])
        answers += await self._send_to([(node, [asked[n]]) for n, node in others])
        keys: list[set[bytes]] = [set() for _ in slots]
        for n, answer in zip([*range(len(slots)), *(n for n, _ in others)], answers, strict=True):
            if isinstance(answer, Exception):
                self._refresh_later()
                raise answer
            keys[n].update(answer)
        return keys

    def _owner_of(self, slot: int) -> ClusterNode | RedisError:
        nodes = self._client.nodes_manager.slots_cache.get(slot)
        return nodes[0] if nodes else ClusterDownError("", status_code="CLUSTERDOWN")

    def _node_of(self, command: Command) -> ClusterNode | RedisError:
        key = command[3] if command[0] in (b"EVALSHA", b"EVAL") else command[1]
        return self._owner_of(self._client.keyslot(key))

    def _redirected(
        self, command: Command, error: AskError
    ) -> tuple[ClusterNode | RedisError, list[Command]]:
        """Return the node that an answer MOVED or ASK names, and what to send there."""
        node = self._client.get_node(error.host, error.port)
        if isinstance(error, MovedError):
            return node or error, [command]
        return node or error, [(b"ASKING",), command]

    async def _send_to(
        self, directed: Sequence[tuple[ClusterNode | RedisError, list[Command]]]
    ) -> list[Any]:
        """Return the answer to each item's last command; all commands for a node go together.

        An item with an error in the place of its node has this error as its answer.
        """
        answers: list[Any] = [None] * len(directed)
        by_node: dict[ClusterNode, tuple[list[int], list[Command]]] = {}
        for i, (node, commands) in enumerate(directed):
            if isinstance(node, ClusterNode):
                of, all_commands = by_node.setdefault(node, ([], []))
                of += [i] * len(commands)
                all_commands += commands
            else:
                answers[i] = node
        of_nodes = await asyncio.gather(*(_send(n, c) for n, (_, c) in by_node.items()))
        for (of, _), of_node in zip(by_node.values(), of_nodes, strict=True):
            for i, answer in zip(of, of_node, strict=True):
                answers[i] = answer
        return answers

    def _refresh_later(self) -> None:
        """Load the slots' map again, in the background.

        redis-py does so only before it repeats a command, which this store forbids it.
        """
        now = asyncio.get_running_loop().time()
        if now - self._refreshed >= REFRESH_INTERVAL and (
            self._refreshing is None or self._refreshing.done()
        ):
            self._refreshed = now
            self._refreshing = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        # When this fails, the next operation that fails starts another refresh.
        with suppress(RedisError, RedisClusterException, OSError):
            await self._client.nodes_manager.initialize()


async def _send(node: ClusterNode, commands: list[Command]) -> list[Any]:
    """Send commands to a node; when it cannot be reached, each answer is the error."""
    try:
        connection = node.acquire_connection()
    except exceptions.ConnectionError as error:
        return [error] * len(commands)
    try:
        await node.disconnect_if_needed(connection)
        await connect_anew(connection)
        return await exchange(connection, commands)
    except RedisError as error:
        return [error] * len(commands)
    finally:
        node.release(connection)
