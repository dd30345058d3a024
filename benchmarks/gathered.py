"""The least that gathering can cost: by hand, but in one driver call for all who ask meanwhile.

There is no session in it. The key in the cookie is the key of the record, nothing expires, and a
store that fails or hangs is nobody's concern. What it gets through, sessions over the same driver
can hardly reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import tornado.web

from benchmarks.by_hand import ByHand, application, in_mongo

CALLS = 2
"""Driver calls on their way at a time, as many as the session system's."""


class Gathered:
    """Hands *send* what has arrived since it was last free, and gives each asker its answer."""

    def __init__(self, send: Callable[[list[Any]], Awaitable[Sequence[Any]]]) -> None:
        self._send = send
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._in_flight = 0

    def ask(self, item: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._in_flight < CALLS:
            self._in_flight += 1
            call = asyncio.ensure_future(self._call())
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return future

    async def _call(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, []
            answers = await self._send([item for item, _ in asked])
            for (_, future), answer in zip(asked, answers, strict=True):
                future.set_result(answer)
        self._in_flight -= 1  # at once: the task itself ends in a later turn of the loop


def gathered_motor(url: str) -> tornado.web.Application:
    from motor.motor_asyncio import AsyncIOMotorClient
    from pymongo import UpdateOne

    collection, begin = in_mongo(AsyncIOMotorClient(url), "gathered")

    async def read(keys: list[Any]) -> list[Any]:
        cursor = collection.find({"_id": {"$in": keys}}, batch_size=len(keys) + 1)
        found = {document["_id"]: document for document in await cursor.to_list(None)}
        return [found[key] for key in keys]

    async def write(updates: list[Any]) -> list[Any]:
        await collection.bulk_write(updates, ordered=False)
        return updates

    reads, writes = Gathered(read), Gathered(write)

    class Read(ByHand):
        async def get(self) -> None:
            self.write((await reads.ask(self.key))["name"])

    class Write(ByHand):  # reads first, as a session must
        async def get(self) -> None:
            key = self.key
            count = (await reads.ask(key))["count"] + 1
            await writes.ask(UpdateOne({"_id": key}, {"$set": {"count": count}}))
            self.write("written")

    class Count(ByHand):
        async def get(self) -> None:
            self.write(str((await reads.ask(self.key))["count"]))

    return application(begin, Read, Write, Count)
