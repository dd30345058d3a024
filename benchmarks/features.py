"""The applications whose instructions are counted: `python -m benchmarks.features NAME [LOOP]`.

`bare` is Tornado's own; all others are this project over the memory store, each with one thing
switched on, or with one taken out that cannot be switched off. Besides the pages of
`benchmarks.applications` they have

    /enter/<name>   signs the user in, answers the name
"""

from __future__ import annotations

import logging
import operator
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import tornado.web
from tornado.log import access_log
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app import access_queue as queue
from app.access_log import AccessLog
from app.application import Application
from app.logs import TextFormatter
from app.metrics import loop_lag
from app.metrics.listener import MetricsListener
from app.sessions.counters import OPERATIONS, Calls
from benchmarks.applications import Begin, Constant, Read, Write, run
from stores import open_store

IDLE = timedelta(days=1)

SLOWER = 50
"""About how many times slower a process is under callgrind. What goes by the clock, and not by the
request, is slowed down alike, else it would count for so many times as much."""

GATHER = queue.GATHER * SLOWER
"""Seconds for which lines of the access log are gathered."""


class Enter(SessionMixin, RequestHandler):
    def get(self, name: str) -> None:
        self.session["name"] = name
        self.session["count"] = 0
        self.session.sign_in(name)
        self.write(name)


class Clock:
    """Unix time, plus what the requests have added."""

    def __init__(self) -> None:
        self.added = 0.0

    def __call__(self) -> float:
        return time.time() + self.added


class Touch(Read):
    """Reads, and lets so much time pass that eight clients in turn extend their session each time,
    and none comes too late."""

    def on_finish(self) -> None:
        self.application.settings["clock"].added += IDLE.total_seconds() / 60
        super().on_finish()


class _Uncounted(Calls):
    """Counts no call of a store, and takes little more time than if nobody called it."""

    __slots__ = ()

    note = staticmethod(operator.is_)  # type: ignore[assignment]  # takes two and changes nothing


class _Unnoted(Application):
    """Asks for nobody who counts requests."""

    def log_request(self, handler: RequestHandler) -> None:
        self.settings["log_function"](handler)


def _ours(
    *,
    keys: str = "",
    settings: Mapping[str, Any] | None = None,
    read: type[Read] = Read,
    make: Callable[[Config], Application] = make_app,
    **manager: Any,
) -> Application:
    routes = Group(
        "/",
        Route("constant", Constant),
        Group(
            "",
            Route("begin/<name>", Begin),
            Route("enter/<name>", Enter),
            Route("read", read),
            Route("write", Write),
            sessions=True,
        ),
    )
    sessions = SessionManager(open_store("memory:", keys), idle_timeout=IDLE, **manager)
    return make(Config(routes, sessions, settings or {}))


def _bare() -> tornado.web.Application:
    return tornado.web.Application([("/constant", Constant)])


def _touched() -> Application:
    clock = Clock()
    return _ours(clock=clock, settings={"clock": clock}, read=Touch)


def _with_listener() -> Application:
    return _ours(on_event=lambda event: None)


def _with_metrics() -> Application:
    application = _ours()
    loop_lag.INTERVAL *= SLOWER
    # It lives as long as the process.
    listener = MetricsListener(application, bind_sockets(0, "127.0.0.1"))
    application.settings["metrics"] = listener
    return application


def _sealed() -> Application:
    return _ours(keys=f"1:{os.urandom(32).hex()}")


def _without_agent() -> Application:
    return _ours(keep_agent=False)


def _limited() -> Application:
    return _ours(max_per_user=5)


def _logged() -> Application:
    """Return one that logs requests as `main.py` does, to nowhere."""
    handler = logging.StreamHandler(open(os.devnull, "w"))  # noqa: SIM115 - as long as the process
    handler.setFormatter(TextFormatter())
    logging.getLogger().addHandler(handler)
    access_log.setLevel(logging.INFO)
    queue.GATHER = GATHER
    return _ours(settings={"log_function": AccessLog(queue.AccessQueue([handler]).defer)})


def _without_log() -> Application:
    return _ours(settings={"log_function": id})  # takes one and does nothing


def _without_counts() -> Application:
    application = _ours(make=_Unnoted)
    for manager in application.managers:
        counted = manager.counters.calls
        # In the same places, for what calls them has them by now.
        for operation in OPERATIONS:
            counted[operation].__class__ = _Uncounted
    return application


APPLICATIONS: Mapping[str, Callable[[], tornado.web.Application]] = {
    "bare": _bare,
    "ours": _ours,
    "touched": _touched,
    "with-listener": _with_listener,
    "with-metrics": _with_metrics,
    "sealed": _sealed,
    "without-agent": _without_agent,
    "limited": _limited,
    "logged": _logged,
    "without-log": _without_log,
    "without-counts": _without_counts,
}
"""What makes each; called in the loop that serves it."""


def main(name: str, loop: str = "asyncio") -> None:
    run(APPLICATIONS[name], loop)


if __name__ == "__main__":
    main(*sys.argv[1:])
