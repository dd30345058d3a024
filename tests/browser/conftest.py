"""Sites over TLS, which browsers want for some cookies."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import Config, Cookie, Group, SessionManager, make_app
from stores import MemoryStore
from tests.helpers.servers import missing
from tests.helpers.site import Site


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """TLS with a certificate that nobody has signed."""
    if reason := missing("openssl"):
        pytest.skip(reason)
    file = tmp_path_factory.mktemp("tls") / "key-and-certificate.pem"
    _make_certificate(file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


def _make_certificate(file: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", file, "-out", f"{file}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    with file.open("a") as both:
        both.write(Path(f"{file}.crt").read_text())


@pytest.fixture
def serve_tls(io_loop: Any, certificate: ssl.SSLContext) -> Iterator[Callable[..., Site]]:
    """Serve routes over TLS: `site = serve_tls(Group(...), Cookie(...), **tornado_settings)`."""
    sites: list[Site] = []

    def start(routes: Group, cookie: Cookie, **settings: Any) -> Site:
        config = Config(routes, SessionManager(MemoryStore(), cookie=cookie), settings)
        sites.append(Site(make_app(config), ssl_options=certificate))
        return sites[-1]

    yield start
    for site in sites:
        io_loop.run_sync(site.close)
