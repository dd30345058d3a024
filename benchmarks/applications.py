"""The applications under load, one a process:
`python -m benchmarks.applications KIND [URL [asyncio|uvloop]]`.

`bare` is the yardstick, `sessions` is this project, `sessions-pymongo` the same with PyMongo's own
client and `sealed` with sealed values, `hand-...` are in `benchmarks.by_hand` and `gathered-...` in
`benchmarks.gathered`. All of them have the same pages, and a client's own record behind each:

    /constant       "Ada0000", without asking for anything
    /begin/<name>   makes the client's record and gives it a cookie
    /read           the name in the client's record
    /write          counts up in the client's record, answers "written"
    /count          the count in the client's record
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app.application import Application
from app.http_server import Server
from app.limits import Limits
from app.loops import loop_factory
from benchmarks.by_hand import hand_motor, hand_pymongo, hand_redis, hand_sql
from benchmarks.gathered import gathered_motor
from stores import MongoStore, Store, open_store

CONSTANT = "Ada0000"


class Constant(RequestHandler):
    def get(self) -> None:
        self.write(CONSTANT)


class Begin(SessionMixin, RequestHandler):
    def get(self, name: str) -> None:
        self.session["name"] = name
        self.session["count"] = 0
        self.write(name)


class Read(SessionMixin, RequestHandler):
    def get(self) -> None:
        self.write(str(self.session["name"]))


class Write(SessionMixin, RequestHandler):
    def get(self) -> None:
        count = self.session["count"]
        assert isinstance(count, int)
        self.session["count"] = count + 1
        self.write("written")


class Count(SessionMixin, RequestHandler):
    def get(self) -> None:
        self.write(str(self.session["count"]))


def bare(url: str) -> tornado.web.Application:
    return tornado.web.Application([("/constant", Constant)])


def over(store: Store) -> tornado.web.Application:
    """Return the application with sessions in *store*."""
    routes = Group(
        "/",
        Route("constant", Constant),
        Group(
            "",
            Route("begin/<name>", Begin),
            Route("read", Read),
            Route("write", Write),
            Route("count", Count),
            sessions=True,
        ),
    )
    return make_app(Config(routes, SessionManager(store)))


def sessions(url: str) -> tornado.web.Application:
    return over(open_store(url))


def sessions_pymongo(url: str) -> tornado.web.Application:
    from pymongo import AsyncMongoClient

    return over(MongoStore(AsyncMongoClient(url)))


def sealed(url: str) -> tornado.web.Application:
    return over(open_store(url, f"1:{os.urandom(32).hex()}"))


KINDS: dict[str, Callable[[str], tornado.web.Application]] = {
    "bare": bare,
    "sessions": sessions,
    "sessions-pymongo": sessions_pymongo,
    "sealed": sealed,
    "hand-motor": hand_motor,
    "gathered-motor": gathered_motor,
    "hand-pymongo": hand_pymongo,
    "hand-redis": hand_redis,
    "hand-sql": hand_sql,
}
"""What makes an application; called in the loop that serves it."""


def main(kind: str, url: str = "memory:", loop: str = "asyncio") -> None:
    run(lambda: KINDS[kind](url), loop)


def run(make: Callable[[], tornado.web.Application], loop: str) -> None:
    """Serve what *make* makes on the loop that is named, until the process is ended."""
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(_serve(make))


async def _serve(make: Callable[[], tornado.web.Application]) -> None:
    """Serve on a free port, whose number is the first line of the output."""
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    application = make()
    if isinstance(application, Application):  # ours is served as main.py serves it
        server: HTTPServer = Server(application, Limits())
    else:
        server = HTTPServer(application)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
