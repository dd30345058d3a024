"""Those who run the service: the signals by which they stop it, and what systemd hears of it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def stop_signals() -> list[signal.Signals]:
    """Return the signals that stop the service: not SIGHUP under nohup, which ignores it."""
    return [s for s in STOP_SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]


class Supervisor:
    """Tells systemd (sd_notify(3)) by the socket that it named; nobody where it named none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.interval: float | None = None
        """Seconds between two signs of life, half of what is allowed; `None` if none is wanted."""
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        if self._address and is_meant and microseconds.isdecimal() and int(microseconds):
            self.interval = int(microseconds) / 2_000_000

    def tell(self, state: str) -> None:
        """Send *state*, for example "READY=1"."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(state.encode(), socket.MSG_DONTWAIT, self._address)
        except OSError as error:
            log.warning("the supervisor was not told %s: %s", state, error.strerror or error)

    def keep_watching(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give signs of life from now on, as long as the loop turns."""
        if self.interval is not None:
            self.tell("WATCHDOG=1")
            loop.call_later(self.interval, self.keep_watching, loop)
