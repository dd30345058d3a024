"""Where the service listens: a port, a Unix socket, or what a supervisor hands over."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from tornado.netutil import bind_sockets

FIRST_DESCRIPTOR = 3
"""Of those that systemd hands over (sd_listen_fds(3))."""

HIGHEST_PORT = 65535
"""The last port there is."""

BACKLOG = 1024
"""Connections that the system keeps until the service takes them, of a burst or while it starts."""


class CannotListen(Exception):
    """The address is taken or not ours; the text says which and what to do."""


@dataclass(frozen=True)
class Place:
    """Where to listen, as the options say."""

    port: int = 8888
    address: str = ""
    reuse_port: bool = False
    unix_socket: str = ""
    unix_socket_mode: str = "660"
    tls_cert: str = ""
    tls_key: str = ""
    http_port: int | None = None

    def open(self, handed_over: list[socket.socket]) -> list[socket.socket]:
        """Return sockets that listen there, or those *handed_over*. Raises `CannotListen`.

        With a certificate all of them speak TLS, but the one on `http_port`.
        """
        context = self._context()
        plain = self.http_port is not None
        if plain and context is None:
            raise CannotListen("--http-port is for HTTP beside TLS: it needs --tls-cert, or --port")
        if plain and handed_over:
            raise CannotListen("--http-port is of no use with sockets that systemd hands over")
        if self.unix_socket and not handed_over:
            if context is not None:
                raise CannotListen("--tls-cert is for a port: leave it or --unix-socket out")
            return [listen_unix(self.unix_socket, self.unix_socket_mode)]
        sockets = handed_over or listen(self.port, self.address, reuse_port=self.reuse_port)
        if context is not None:
            sockets = [over_tls(listening, context) for listening in sockets]
        if self.http_port is not None:
            sockets += listen(self.http_port, self.address, reuse_port=self.reuse_port)
        return sockets

    def _context(self) -> ssl.SSLContext | None:
        if not self.tls_cert:
            if self.tls_key:
                raise CannotListen("--tls-key needs --tls-cert, the certificate it belongs to")
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        files = f"--tls-cert={self.tls_cert}"
        if self.tls_key:
            files += f", --tls-key={self.tls_key}"
        try:
            context.load_cert_chain(self.tls_cert, self.tls_key or None, _no_password)
        except ssl.SSLError as error:
            reason = (error.reason or "no PEM file").replace("_", " ").lower()
            raise CannotListen(f"{files}: not a certificate with its key: {reason}") from None
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise CannotListen(f"{files}: {reason}") from None
        return context


def listen(
    port: int,
    address: str,
    *,
    reuse_port: bool = False,
    port_option: str = "--port",
    address_option: str = "--address",
) -> list[socket.socket]:
    """Bind *port* (0: any free one) on *address* ("": all). Raises `CannotListen`.

    Its text names the options by which the user chooses others.
    """
    host = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        return bind_sockets(port, host or None, backlog=BACKLOG, reuse_port=reuse_port)
    except OSError as error:
        where = f"port {port} on {address or 'all addresses'}"
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"{where} is in use; choose another with {port_option}") from None
        reason = error.strerror or str(error)
        see = f"see {port_option}, {address_option}"
        raise CannotListen(f"cannot listen on {where}: {reason}; {see}") from None
    except UnicodeError:
        raise CannotListen(f"{address!r} is not an address; see {address_option}") from None
    except ValueError as error:  # no SO_REUSEPORT
        raise CannotListen(f"--reuse-port: {error}") from None


class UnixSocket(socket.socket):
    """A socket with a name in the file system, which goes when the service stops listening."""

    def __init__(self, path: str, mode: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._path = os.path.abspath(path)
        before = os.umask(0o777 & ~mode)  # nobody else gets in before the mode is set
        try:
            self.bind(self._path)
        finally:
            os.umask(before)
        self._identity = _identity(self._path)
        self.listen(BACKLOG)

    def remove(self) -> None:
        """Take the name away, unless it is somebody else's by now."""
        with contextlib.suppress(OSError):
            if _identity(self._path) == self._identity:
                os.unlink(self._path)


def listen_unix(path: str, mode: str) -> UnixSocket:
    """Listen on a Unix socket, in the place of one whose process is gone. Raises `CannotListen`."""
    if not mode or set(mode) - set("01234567") or int(mode, 8) > 0o777:
        raise CannotListen(f"--unix-socket-mode={mode} is not a mode: 660, for example")
    try:
        _remove_stale(path)
        return UnixSocket(path, int(mode, 8))
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotListen(f"cannot listen on --unix-socket={path}: {reason}") from None


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise CannotListen(f"--unix-socket={path} is there, and not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # more wait there than it takes
            pass
    raise CannotListen(f"--unix-socket={path} is in use: a process listens there")


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def handed_over(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """Return the listening sockets that systemd hands over to this process, if it does.

    Raises `CannotListen`. The variables stay, for `--debug` starts the process anew.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environment.get("LISTEN_FDS", "")
    sockets = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count or 0)):
        try:
            given = socket.socket(fileno=descriptor)
            listens = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listens = 0
        if not listens:
            raise CannotListen(
                f"LISTEN_FDS={count}, and descriptor {descriptor} is no listening stream socket: "
                "the socket unit wants ListenStream= and Accept=no"
            )
        sockets.append(given)
    return sockets


def address_of(sockets: list[socket.socket]) -> str:
    """Return what *sockets* listen on: URLs for a person to open, paths of Unix sockets."""
    return ", ".join(dict.fromkeys(map(_address, sockets)))


def _address(listening: socket.socket) -> str:
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "localhost"
    scheme = "https" if isinstance(listening, ssl.SSLSocket) else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def over_tls(listening: socket.socket, context: ssl.SSLContext) -> socket.socket:
    """Return the socket as one whose connections speak TLS."""
    return context.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)


def _no_password() -> str:
    raise ValueError("the key has a password, which the service cannot ask for: take one without")
