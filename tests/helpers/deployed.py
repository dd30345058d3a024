"""The files of deploy/, run as they stand: by the real proxies, and by what systemd would do."""

from __future__ import annotations

import configparser
import contextlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from tests.helpers.process import PATIENCE, ROOT, environment, until
from tests.helpers.servers import Server, find, free_port
from tests.helpers.tls import Authority

DEPLOY = ROOT / "deploy"

BACKENDS = (8801, 8802)
"""The ports of the backends in deploy/."""

_HAND_OVER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)
"""What systemd does between fork and exec."""


class Unit:
    """One instance of sessions@.service with its socket, started and stopped as systemd does."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        folder.mkdir()
        self.service = _read("sessions@.service", port)["Service"]
        host, _, bound = _read("sessions@.socket", port)["Socket"]["ListenStream"].rpartition(":")
        self.listening = socket.create_server((host, int(bound)), backlog=1024)
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / "notify"))
        self._notified.settimeout(PATIENCE)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def output(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Return when the service has said that it is ready (Type=notify)."""
        program, *arguments = self.service["ExecStart"].split()
        assert program.endswith("/.venv/bin/python")
        descriptor = str(self.listening.fileno())
        variables = {"LISTEN_FDS": "1", "NOTIFY_SOCKET": str(self.folder / "notify")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _HAND_OVER, descriptor, sys.executable, *arguments],
                cwd=ROOT,
                env=environment(**variables),
                pass_fds=[self.listening.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_to_be_told("READY=1")

    def wait_to_be_told(self, state: str) -> None:
        while self._notified.recv(4096).decode() != state:
            pass

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.wait_to_be_told("STOPPING=1")
        assert self.process.wait(float(self.service["TimeoutStopSec"])) == 0, self.output

    def restart(self) -> None:
        self.stop()
        self.start()

    def end(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.listening.close()
        self._notified.close()


def _read(name: str, instance: int) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string((DEPLOY / name).read_text().replace("%i", str(instance)))
    return parser


class Proxy(Server):
    """A proxy with its file of deploy/, of which only the ports differ; `port` speaks TLS."""

    program: str
    file: str

    def __init__(self, folder: Path, backends: Sequence[int]) -> None:
        self.backends = backends
        self.http_port = free_port()
        super().__init__(folder)

    def prepare(self) -> None:
        text = (DEPLOY / self.file).read_text()
        for shown, real in zip(BACKENDS, self.backends, strict=True):
            assert f"127.0.0.1:{shown}" in text
            text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{real}")
        for standard, own in ((443, self.port), (80, self.http_port)):
            text, count = re.subn(rf"(listen |bind :){standard}\b", rf"\g<1>{own}", text)
            assert count == 1
        (self.folder / self.file).write_text(text)
        for name in ("tls", "logs"):
            (self.folder / name).mkdir(exist_ok=True)
        both = Authority(self.folder / "authority").bundle("localhost")
        key, begin, certificate = both.read_text().partition("-----BEGIN CERTIFICATE-----")
        (self.folder / "tls/key.pem").write_text(key)
        (self.folder / "tls/certificate.pem").write_text(begin + certificate)
        (self.folder / "tls/both.pem").write_text(begin + certificate + key)

    def command(self) -> Sequence[str | Path]:
        program = find(self.program)
        assert program is not None, f"ask missing({self.program!r}) first"
        return [program, *self.arguments()]

    def arguments(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def check(self, *options: str) -> str:
        """Have the program check its file; return what it says, which must be no complaint."""
        done = subprocess.run(
            [*self.command(), *options],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def connect(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.folder / "authority/ca.pem"))
        return HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=context)


class Nginx(Proxy):
    program = "nginx"
    file = "nginx.conf"

    def arguments(self) -> Sequence[str | Path]:
        return ["-p", f"{self.folder}/", "-c", self.file, "-g", "daemon off;"]


class HAProxy(Proxy):
    program = "haproxy"
    file = "haproxy.cfg"

    def arguments(self) -> Sequence[str | Path]:
        return ["-C", self.folder, "-f", self.file]


class Client(threading.Thread):
    """Sends requests through a proxy until told to stop; `wrong` has what was not answered well."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(daemon=True)
        self.proxy = proxy
        self.answered = 0
        self.wrong: list[str] = []
        self.ended = False
        self.start()

    def run(self) -> None:
        with contextlib.closing(self.proxy.connect()) as connection:
            while not self.ended:
                # A POST is never sent twice by a proxy, other than a GET.
                for method, body, status in (("GET", None, 200), ("POST", b"x", 405)):
                    try:
                        connection.request(method, "/sessions/get", body)
                        response = connection.getresponse()
                        response.read()
                    except (OSError, HTTPException) as error:
                        self.wrong.append(f"{method}: {error!r}")
                        connection.close()
                    else:
                        self.answered += 1
                        if response.status != status:
                            self.wrong.append(f"{method}: {response.status}")
                time.sleep(0.002)


@contextlib.contextmanager
def load(proxy: Proxy, clients: int = 6) -> Iterator[Callable[[], None]]:
    """Have clients at work; afterwards fail unless each request was answered well.

    The function given returns when each client has had some more answers.
    """
    working = [Client(proxy) for _ in range(clients)]

    def some_more() -> None:
        wanted = [client.answered + 20 for client in working]
        until(
            lambda: all(c.answered >= n for c, n in zip(working, wanted, strict=True)),
            "the clients to be answered",
        )

    try:
        some_more()
        yield some_more
        some_more()
    finally:
        for client in working:
            client.ended = True
        for client in working:
            client.join(PATIENCE)
    assert [wrong for client in working for wrong in client.wrong] == []


def is_ready(port: int) -> bool:
    """Tell whether a backend says that it is ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return b" 200 " in connection.recv(4096)
    except OSError:
        return False
