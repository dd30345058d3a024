"""Where the service listens."""

from __future__ import annotations

import errno
import socket

from tornado.netutil import bind_sockets


class CannotListen(Exception):
    """The address is taken or not ours; the text says which and what to do."""


def listen(port: int, address: str) -> list[socket.socket]:
    """Bind *port* (0: any free one) on *address* ("": all). Raises `CannotListen`."""
    try:
        return bind_sockets(port, address or None)
    except OSError as error:
        where = f"port {port} on {address or 'all addresses'}"
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"{where} is in use; choose another with --port") from None
        reason = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {where}: {reason}; see --port, --address") from None
    except UnicodeError:
        raise CannotListen(f"{address!r} is not an address; see --address") from None


def address_of(sockets: list[socket.socket]) -> str:
    """Return a URL of what *sockets* listen on, for a person to open."""
    host, port = sockets[0].getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
