"""TLS by the service itself: what it speaks where, and clients that do not finish a handshake."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import PATIENCE, Answer, Service, Start, ask, run, starting, until
from tests.helpers.tls import Authority

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    """A file of a key and its certificate."""
    return authority.bundle("localhost")


def port_of(service: Service) -> int:
    found = re.search(r"serving on https://[^ ]*:(\d+)", service.output)
    assert found, service.output
    return int(found[1])


def context(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def get(service: Service, authority: Authority, path: str = "/sessions/set/Ada") -> Answer:
    connection = http.client.HTTPSConnection(
        "localhost", port_of(service), timeout=PATIENCE, context=context(authority)
    )
    with contextlib.closing(connection):
        return ask(connection, path)


def test_over_tls_cookies_are_secure(
    start: Start, authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    service = start(
        "--port=0", f"--tls-cert={certificate}", "--processes=2", f"--store=sqlite:///{tmp_path}/s"
    )
    answer = get(service, authority)
    assert answer.body == "Ada"
    assert "; Secure" in answer.headers["Set-Cookie"]
    assert "http://" not in service.output
    with socket.create_connection(("localhost", port_of(service))) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not plain.recv(100).startswith(b"HTTP")
    service.stop()
    assert "Traceback" not in service.output


def test_http_beside_tls_is_there_when_asked_for(
    start: Start, authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    first, begin, rest = certificate.read_text().partition("-----BEGIN CERTIFICATE-----")
    key.write_text(first)
    cert.write_text(begin + rest)
    service = start("--port=0", f"--tls-cert={cert}", f"--tls-key={key}", "--http-port=0")
    assert "; Secure" in get(service, authority).headers["Set-Cookie"]
    answer = service.get("/sessions/set/Ada")
    assert answer.body == "Ada"
    assert "; Secure" not in answer.headers["Set-Cookie"]


def test_an_unfinished_handshake_counts_as_idle(
    start: Start, authority: Authority, certificate: Path
) -> None:
    service = start("--port=0", f"--tls-cert={certificate}", "--keep-alive-timeout=1")
    with contextlib.ExitStack() as stack:
        silent, half = (
            stack.enter_context(
                socket.create_connection(("localhost", port_of(service)), timeout=PATIENCE)
            )
            for _ in range(2)
        )
        half.sendall(b"\x16\x03\x01\x02\x00\x01")  # a hello that goes no further
        begun = time.monotonic()
        for stalled in (silent, half):
            with contextlib.suppress(ConnectionResetError):
                assert stalled.recv(100) == b""
        assert 0.5 < time.monotonic() - begun < 5
    assert get(service, authority).status == 200


@pytest.mark.faults
def test_unfinished_handshakes_make_room(
    start: Start, authority: Authority, certificate: Path
) -> None:
    service = start("--port=0", f"--tls-cert={certificate}", "--max-connections=5")
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(("localhost", port_of(service))))
        assert get(service, authority).status == 200
    assert "no room for more connections" in service.output


def test_a_kept_connection_outlives_its_time_outs(
    start: Start, authority: Authority, certificate: Path
) -> None:
    service = start("--port=0", f"--tls-cert={certificate}", "--keep-alive-timeout=2")
    connection = http.client.HTTPSConnection(
        "localhost", port_of(service), timeout=PATIENCE, context=context(authority)
    )
    with contextlib.closing(connection):
        for _ in range(8):
            assert ask(connection, "/healthz").status == 200
            time.sleep(0.4)


def test_clients_that_leave_at_once_hold_up_nobody(
    start: Start, authority: Authority, certificate: Path
) -> None:
    service = start("--port=0", f"--tls-cert={certificate}")
    for _ in range(100):
        client = socket.create_connection(("localhost", port_of(service)))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
        client.close()
    until(lambda: get(service, authority).status == 200, "an answer")
    assert "no room" not in service.output
    assert "Traceback" not in service.output


def test_files_that_are_no_certificate_are_refused(certificate: Path, tmp_path: Path) -> None:
    key, cert, text = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "text"
    _, begin, rest = certificate.read_text().partition("-----BEGIN CERTIFICATE-----")
    cert.write_text(begin + rest)
    text.write_text("no PEM\n")
    encrypt = ["openssl", "pkey", "-aes128", "-passout", "pass:secret", "-out", str(key)]
    subprocess.run([*encrypt, "-in", str(certificate)], check=True, capture_output=True)
    for options, reason in {
        (f"--tls-cert={tmp_path}/missing",): "No such file or directory",
        (f"--tls-cert={text}",): "not a certificate with its key",
        (f"--tls-cert={cert}",): "not a certificate with its key",
        (f"--tls-cert={cert}", f"--tls-key={text}"): "not a certificate with its key",
        (f"--tls-cert={cert}", f"--tls-key={key}"): "the key has a password",
        (f"--tls-key={key}",): "--tls-key needs --tls-cert",
        ("--http-port=0",): "--http-port is for HTTP beside TLS",
        (f"--tls-cert={certificate}", "--unix-socket=x"): "--tls-cert is for a port",
    }.items():
        result = run("--port=0", *options)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
        assert reason in result.stderr
