"""What one writes with a driver and no session system: one driver call a request, by primary key.

A client's cookie is the key of its record. The pages are those of `benchmarks.applications`. These
handlers do less than a session system does: the key in the cookie is not secret from the database,
nothing expires, and a write does not read first.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import tornado.web
from tornado.web import RequestHandler


class ByHand(RequestHandler):
    """The key of the client's record, from its cookie."""

    def new_key(self) -> str:
        key = secrets.token_urlsafe(16)
        self.set_cookie("session", key)
        return key

    @property
    def key(self) -> str:
        key = self.get_cookie("session")
        if key is None:
            raise tornado.web.HTTPError(401)
        return key


def application(
    begin: type[ByHand], read: type[ByHand], write: type[ByHand], count: type[ByHand]
) -> tornado.web.Application:
    return tornado.web.Application(
        [(r"/begin/(\w+)", begin), ("/read", read), ("/write", write), ("/count", count)]
    )


def hand_motor(url: str) -> tornado.web.Application:
    from motor.motor_asyncio import AsyncIOMotorClient

    return _mongo(AsyncIOMotorClient(url))


def hand_pymongo(url: str) -> tornado.web.Application:
    from pymongo import AsyncMongoClient

    return _mongo(AsyncMongoClient(url))


def in_mongo(client: Any, name: str) -> tuple[Any, type[ByHand]]:
    """Return a collection whose writes a majority acknowledges, and the page that begins a record
    in it.
    """
    from pymongo import WriteConcern

    collection = client.get_default_database().get_collection(
        name, write_concern=WriteConcern("majority")
    )

    class Begin(ByHand):
        async def get(self, name: str) -> None:
            await collection.insert_one({"_id": self.new_key(), "name": name, "count": 0})
            self.write(name)

    return collection, Begin


def _mongo(client: Any) -> tornado.web.Application:
    collection, begin = in_mongo(client, "by_hand")

    class Read(ByHand):
        async def get(self) -> None:
            self.write((await collection.find_one({"_id": self.key}))["name"])

    class Write(ByHand):
        async def get(self) -> None:
            await collection.update_one({"_id": self.key}, {"$inc": {"count": 1}})
            self.write("written")

    class Count(ByHand):
        async def get(self) -> None:
            self.write(str((await collection.find_one({"_id": self.key}))["count"]))

    return application(begin, Read, Write, Count)


def hand_redis(url: str) -> tornado.web.Application:
    import redis.asyncio

    client: Any = redis.asyncio.Redis.from_url(url)

    class Begin(ByHand):
        async def get(self, name: str) -> None:
            await client.hset(self.new_key(), mapping={"name": name, "count": 0})
            self.write(name)

    class Read(ByHand):
        async def get(self) -> None:
            self.write((await client.hgetall(self.key))[b"name"])

    class Write(ByHand):
        async def get(self) -> None:
            await client.hincrby(self.key, "count", 1)
            self.write("written")

    class Count(ByHand):
        async def get(self) -> None:
            self.write(await client.hget(self.key, "count"))

    return application(Begin, Read, Write, Count)


def hand_sql(url: str) -> tornado.web.Application:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    # A pool for all connections of the load: opening more when it is short would cost the baseline.
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), pool_size=32)
    metadata = sa.MetaData()
    table = sa.Table(
        "by_hand",
        metadata,
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("count", sa.Integer),
    )
    making = asyncio.Lock()
    made = False

    async def make_table() -> None:
        nonlocal made
        async with making:
            if not made:
                async with engine.begin() as connection:
                    await connection.run_sync(metadata.create_all)
                made = True

    class Begin(ByHand):
        async def get(self, name: str) -> None:
            await make_table()
            async with engine.begin() as connection:
                await connection.execute(
                    sa.insert(table).values(id=self.new_key(), name=name, count=0)
                )
            self.write(name)

    class Read(ByHand):
        async def get(self) -> None:
            async with engine.connect() as connection:
                row = await connection.execute(sa.select(table).where(table.c.id == self.key))
                self.write(row.one().name)

    class Write(ByHand):
        async def get(self) -> None:
            async with engine.begin() as connection:
                await connection.execute(
                    sa.update(table).where(table.c.id == self.key).values(count=table.c.count + 1)
                )
            self.write("written")

    class Count(ByHand):
        async def get(self) -> None:
            async with engine.connect() as connection:
                row = await connection.execute(sa.select(table).where(table.c.id == self.key))
                self.write(str(row.one()[2]))

    return application(Begin, Read, Write, Count)
