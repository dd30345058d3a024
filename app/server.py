"""Serving: start, say that it serves, and stop when told to."""

from __future__ import annotations

import asyncio
import logging
import select
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.application import Application
from app.forwarded import TrustedProxies, warn_of_ignored
from app.http_server import Server
from app.limits import Limits
from app.missing_keys import warn_of_missing_keys
from app.shares import Share
from app.stopping import drain
from app.supervisor import Supervisor, stop_signals

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stopping:
    """How long the steps of stopping take, in seconds."""

    delay: float = 0
    """Not ready any more, and serving as before: a balancer takes its time to look."""

    drain: float = 10
    """At most, for requests in flight and WebSockets to end."""


class Exposed(Protocol):
    """What shows elsewhere what an application does."""

    async def stop(self) -> None:
        """Show it no longer."""


async def serve(
    make: Callable[[], Application],
    sockets: list[socket.socket],
    *,
    xheaders: bool = False,
    trusted_proxies: TrustedProxies | None = None,
    limits: Limits | None = None,
    stopping: Stopping | None = None,
    handed_over: bool = False,
    parent: int | None = None,
    share: Share | None = None,
    announce: Callable[[], None] | None = None,
    expose: Callable[[Application], Exposed] | None = None,
) -> None:
    """Serve what *make* returns until a signal of `stop_signals` or the end of the pipe *parent*.

    *trusted_proxies* are believed, and others are not, whatever *xheaders* says.
    *handed_over* says that the sockets are a supervisor's, and go on when this process has ended.
    *share* is this process's of the connections, where others accept on the sockets, too.
    *announce* is called when it serves and can be told to stop. *expose* shows elsewhere what the
    application does, until it has stopped.
    """
    stopping = stopping or Stopping()
    supervisor = Supervisor() if parent is None else None  # the parent has one
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    signals = stop_signals()
    for signum in signals:
        loop.add_signal_handler(signum, stop.set)
    if parent is not None:
        loop.add_reader(parent, stop.set)
    application = make()
    application.forwarded = trusted_proxies or (None if xheaders else warn_of_ignored())
    server = Server(application, limits or Limits(), xheaders=xheaders and trusted_proxies is None)
    server.add_sockets(sockets, share)
    exposed = None if expose is None else expose(application)
    if announce is not None:
        announce()
    if supervisor is not None:
        supervisor.tell("READY=1")
        supervisor.keep_watching(loop)
    looking: asyncio.Task[None] | None = None
    try:
        for failure in await application.open():
            log.error("%s; answering 503 where it is needed until it is back", failure.what)
        looking = asyncio.create_task(warn_of_missing_keys(application.managers))
        await stop.wait()
        if parent is not None:
            loop.remove_reader(parent)
        for signum in signals:
            loop.remove_signal_handler(signum)  # a second one ends the process at once
        if signal.SIGHUP in signals:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that goes may send several
        if supervisor is not None:
            supervisor.tell("STOPPING=1")
        application.readiness.stopping = True
        if stopping.delay:
            log.info("not ready any more; serving for another %g s", stopping.delay)
            await asyncio.sleep(stopping.delay)
        last = not handed_over and (parent is None or await _ends(parent))
        await drain(server, application, stopping.drain, last=last)
    finally:
        if looking is not None:
            looking.cancel()
        if exposed is not None:
            await exposed.stop()
        await application.close()


async def _ends(parent: int) -> bool:
    """Tell whether the parent stops as well, and not this process alone."""
    await asyncio.sleep(0.05)  # a terminal's SIGINT may get to the parent after its children
    return bool(select.select([parent], [], [], 0)[0])
