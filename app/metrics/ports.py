"""The ports that are scraped: one for each process, opened before the fork.

So a port that is taken is told when the service starts, and a child that is started anew answers on
the port of the one before.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from app.application import Application
from app.listening import address_of, listen
from app.server import Exposed

Listener = Callable[[Application, list[socket.socket]], Exposed]


class MetricsPorts:
    """Listening sockets for each of *processes*: on *port*, *port* + 1, ... of *address*.

    Port 0 takes a free one for each. *listener* answers on them. Raises `CannotListen`.
    """

    def __init__(self, port: int, address: str, processes: int, listener: Listener) -> None:
        self._listener = listener
        self._of_each = [
            listen(
                port and port + number,
                address,
                port_option="--metrics-port",
                address_option="--metrics-address",
            )
            for number in range(processes)
        ]

    @property
    def sockets(self) -> list[socket.socket]:
        """Those of all processes."""
        return [listening for each in self._of_each for listening in each]

    @property
    def addresses(self) -> str:
        """Where the metrics are, for a person to open."""
        return ", ".join(f"{address}/metrics" for address in address_of(self.sockets).split(", "))

    def of(self, number: int) -> Callable[[Application], Exposed]:
        """Return what answers on the sockets of process *number*; those of others are closed."""
        for other, each in enumerate(self._of_each):
            if other != number:
                for listening in each:
                    listening.close()
        own = self._of_each[number]
        return lambda application: self._listener(application, own)
