"""The applications under load, one a process: `python -m benchmarks.applications KIND PORT [URL]`.

`bare` is the yardstick; `hand-...` are what one writes with a driver and no session system;
`sessions` is this project. The handlers do the same work: a constant, a read, a counter.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

import tornado.web
from tornado.web import RequestHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from stores import open_store

KEY = "k" * 22
"""The record that hand-written handlers read and write."""


class Constant(RequestHandler):
    def get(self) -> None:
        self.write("Ada")


class Read(SessionMixin, RequestHandler):
    def get(self) -> None:
        self.write(self.session.get("name", "n/a"))


class Write(SessionMixin, RequestHandler):
    def get(self) -> None:
        self.session["name"] = "Ada"
        self.session["count"] = self.session.get("count", 0) + 1
        self.write("Ada")


def bare(url: str) -> tornado.web.Application:
    return tornado.web.Application([("/constant", Constant)])


def sessions(url: str) -> tornado.web.Application:
    routes = Group(
        "/",
        Route("constant", Constant),
        Group("", Route("read", Read), Route("write", Write), sessions=True),
    )
    return make_app(Config(routes, SessionManager(open_store(url))))


def hand_mongo(url: str, client_class: Any) -> tornado.web.Application:
    from pymongo import WriteConcern

    collection = (
        client_class(url)
        .get_default_database()
        .get_collection("hand", write_concern=WriteConcern("majority"))
    )

    class FindOne(RequestHandler):
        async def get(self) -> None:
            document = await collection.find_one({"_id": KEY})
            self.write(document["data"]["name"])

    class UpdateOne(RequestHandler):
        async def get(self) -> None:
            await collection.update_one(
                {"_id": KEY},
                {"$set": {"data.name": "Ada"}, "$inc": {"data.count": 1}},
                upsert=True,
            )
            self.write("Ada")

    return tornado.web.Application([("/read", FindOne), ("/write", UpdateOne)])


def hand_motor(url: str) -> tornado.web.Application:
    from motor.motor_asyncio import AsyncIOMotorClient

    return hand_mongo(url, AsyncIOMotorClient)


def hand_pymongo(url: str) -> tornado.web.Application:
    from pymongo import AsyncMongoClient

    return hand_mongo(url, AsyncMongoClient)


def hand_redis(url: str) -> tornado.web.Application:
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(url.replace("valkey:", "redis:"))

    class Get(RequestHandler):
        async def get(self) -> None:
            fields = await client.hgetall(KEY)
            self.write(fields[b"name"])

    class Set(RequestHandler):
        async def get(self) -> None:
            await client.hset(KEY, mapping={"name": "Ada"})
            self.write("Ada")

    return tornado.web.Application([("/read", Get), ("/write", Set)])


def hand_sql(url: str) -> tornado.web.Application:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), pool_size=10)
    table = sa.Table(
        "hand",
        sa.MetaData(),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("count", sa.Integer),
    )
    made = asyncio.Event()

    async def make() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(table.metadata.create_all)
            await connection.execute(sa.delete(table))
            await connection.execute(sa.insert(table).values(id=KEY, name="Ada", count=0))
        made.set()

    asyncio.get_running_loop().create_task(make())

    class Select(RequestHandler):
        async def get(self) -> None:
            await made.wait()
            async with engine.connect() as connection:
                row = await connection.execute(sa.select(table.c.name).where(table.c.id == KEY))
                self.write(row.scalar_one())

    class UpdateRow(RequestHandler):
        async def get(self) -> None:
            await made.wait()
            async with engine.begin() as connection:
                await connection.execute(
                    sa.update(table).where(table.c.id == KEY).values(count=table.c.count + 1)
                )
            self.write("Ada")

    return tornado.web.Application([("/read", Select), ("/write", UpdateRow)])


KINDS: dict[str, Callable[[str], tornado.web.Application]] = {
    "bare": bare,
    "sessions": sessions,
    "hand-motor": hand_motor,
    "hand-pymongo": hand_pymongo,
    "hand-redis": hand_redis,
    "hand-sql": hand_sql,
}


async def main(kind: str, port: str, url: str = "memory:") -> None:
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    KINDS[kind](url).listen(int(port), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
