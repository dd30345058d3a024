"""`python application.py URL asyncio|uvloop`: aiohttp with aiohttp-session in Redis.

The pages are those of benchmarks/applications.py. The port is the first line of the output.
"""

from __future__ import annotations

import asyncio
import sys

import redis.asyncio
import uvloop
from aiohttp import web
from aiohttp_session import get_session, setup
from aiohttp_session.redis_storage import RedisStorage

IDLE = 24 * 60 * 60
"""Seconds, as ours."""

LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}


async def constant(request: web.Request) -> web.Response:
    return web.Response(text="Ada0000")


async def begin(request: web.Request) -> web.Response:
    session = await get_session(request)
    session["name"] = request.match_info["name"]
    session["count"] = 0
    return web.Response(text=session["name"])


async def read(request: web.Request) -> web.Response:
    return web.Response(text=(await get_session(request))["name"])


async def write(request: web.Request) -> web.Response:
    session = await get_session(request)
    session["count"] += 1
    return web.Response(text="written")


async def count(request: web.Request) -> web.Response:
    return web.Response(text=str((await get_session(request))["count"]))


def application(client: redis.asyncio.Redis) -> web.Application:
    app = web.Application()
    setup(app, RedisStorage(client, max_age=IDLE, samesite="Lax"))
    app.router.add_get("/constant", constant)
    app.router.add_get("/begin/{name}", begin)
    app.router.add_get("/read", read)
    app.router.add_get("/write", write)
    app.router.add_get("/count", count)
    return app


async def main(url: str) -> None:
    """Serve until the process is ended."""
    runner = web.AppRunner(application(redis.asyncio.Redis.from_url(url)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[2]]) as own:
        own.run(main(sys.argv[1]))
