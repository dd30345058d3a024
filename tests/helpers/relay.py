"""A port that passes bytes on to a server, and can be a server that comes up late or a bad line."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Relay:
    """Refuses connections until `switch_on`, then passes them on to 127.0.0.1:*target*."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._sockets: list[socket.socket] = []
        self.cut_next_answer = False
        """Whether to cut a connection once, when the server has done what it was asked."""
        self._passing = threading.Event()  # answers reach who asked
        self._passing.set()
        self._asking = threading.Event()  # requests reach the server
        self._asking.set()
        self._held_back = b""
        self.held = 0
        """Answers or requests that were held back since `hold_answers` or `hold_requests`."""
        # Bound, so that nobody else takes the port; not listening, so that it refuses.
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def switch_on(self) -> None:
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_answers(self) -> None:
        """From now on, requests reach the server and its answers nobody."""
        self.held = 0
        self._passing.clear()

    def hold_requests(self, beginning_with: bytes = b"") -> None:
        """From now on, requests reach nobody; `release` lets them go on, also of who gave up.

        What comes before one that has *beginning_with* in it still passes.
        """
        self.held = 0
        self._held_back = beginning_with
        if not beginning_with:
            self._asking.clear()

    def release(self) -> None:
        """Let all go on that is held back, and pass on as before."""
        self._held_back = b""
        self._passing.set()
        self._asking.set()

    def cut(self) -> None:
        """Reset every connection there is, with the answers held back; then pass on as before."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                # Zero seconds to linger: a reset, as of a peer that has gone.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RD)
            each.close()
        self.release()

    def close(self) -> None:
        self.release()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [here, there]
                for each in (here, there):  # so that no small packet waits for an answer
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for way in ((here, there, False), (there, here, True)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):  # closed
            while chunk := source.recv(65_536):
                if is_answer and self.cut_next_answer:
                    self.cut_next_answer = False
                    source.shutdown(socket.SHUT_RDWR)
                    break
                if not is_answer and self._held_back and self._held_back in chunk:
                    self._held_back = b""
                    self._asking.clear()
                may_pass = self._passing if is_answer else self._asking
                if not may_pass.is_set():
                    self.held += 1
                    may_pass.wait()
                sink.sendall(chunk)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
