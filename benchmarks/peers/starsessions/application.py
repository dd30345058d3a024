"""`python application.py URL`: Starlette with starsessions in Redis, served by uvicorn.

The pages are those of benchmarks/applications.py. The port is the first line of the output.
"""

from __future__ import annotations

import socket
import sys

import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starsessions import SessionMiddleware, load_session
from starsessions.stores.redis import RedisStore

IDLE = 24 * 60 * 60
"""Seconds, as ours."""


async def constant(request: Request) -> PlainTextResponse:
    return PlainTextResponse("Ada0000")


async def begin(request: Request) -> PlainTextResponse:
    await load_session(request)
    request.session["name"] = request.path_params["name"]
    request.session["count"] = 0
    return PlainTextResponse(request.session["name"])


async def read(request: Request) -> PlainTextResponse:
    await load_session(request)
    return PlainTextResponse(request.session["name"])


async def write(request: Request) -> PlainTextResponse:
    await load_session(request)
    request.session["count"] += 1
    return PlainTextResponse("written")


async def count(request: Request) -> PlainTextResponse:
    await load_session(request)
    return PlainTextResponse(str(request.session["count"]))


def application(url: str) -> Starlette:
    sessions = Middleware(
        SessionMiddleware,
        store=RedisStore(connection=redis.asyncio.Redis.from_url(url)),
        lifetime=IDLE,
        rolling=True,
        cookie_https_only=False,
    )
    pages = {"constant": constant, "begin/{name}": begin, "read": read, "write": write}
    routes = [Route(f"/{path}", page) for path, page in {**pages, "count": count}.items()]
    return Starlette(routes=routes, middleware=[sessions])


def main(url: str) -> None:
    """Serve until the process is ended."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(sock.getsockname()[1], flush=True)
    config = uvicorn.Config(
        application(url),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
        timeout_keep_alive=75,
    )
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main(sys.argv[1])
