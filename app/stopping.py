"""Stopping in peace: nobody who was let in is cut off, and time is bounded."""

from __future__ import annotations

import asyncio
import logging

from app.application import Application
from app.backlog import SETTLE
from app.http_server import Server

log = logging.getLogger(__name__)

GOING_AWAY = 1001
"""What a WebSocket is closed with (RFC 6455, section 7.4.1)."""

PATIENCE = 1.0
"""Seconds in which a connection without a request may send one more, before it is closed.

Closing it at once would cut off the request that is on its way to us.
"""

LOOK = 0.05
"""Seconds between two looks at what is left."""


async def drain(server: Server, application: Application, seconds: float, *, last: bool) -> None:
    """Take in no more connections, and return when those that are there have ended.

    *last* says that nobody else accepts on the sockets from now on.
    """
    activity = application.activity
    log.info(
        "stopping: %d requests in flight, %d open WebSockets",
        len(activity.requests),
        len(activity.sockets),
    )
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    server.conn_params.no_keep_alive = True
    if last:
        server.let_nobody_in()
        await asyncio.sleep(SETTLE)
        waiting = not server.take_rest()
    else:
        server.stop()
        waiting = False
    begun = clock()
    while clock() < deadline and (waiting or server.has_connections() or _is_busy(application)):
        if waiting:  # for room
            waiting = not server.take_rest()
        # Again each time: a handshake may have been in flight.
        for handler in list(activity.sockets):
            handler.close(GOING_AWAY)
        server.close_silent(begun, PATIENCE)
        await asyncio.sleep(LOOK)
    if activity.requests or activity.sockets:
        log.warning(
            "%d requests and %d WebSockets were cut off after %g s",
            len(activity.requests),
            len(activity.sockets),
            seconds,
        )
    elif server.is_sending():
        log.warning("answers that their clients did not take were cut off after %g s", seconds)
    server.stop()
    await server.close_all_connections()


def _is_busy(application: Application) -> bool:
    activity = application.activity
    return bool(activity.requests or activity.sockets or application.unsettled)
