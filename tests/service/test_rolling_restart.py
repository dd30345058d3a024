"""Backends restarted one after the other under load, behind the proxies of deploy/."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.deployed import HAProxy, Nginx, Proxy, Unit, is_ready, load
from tests.helpers.process import Service, Start, starting, until
from tests.helpers.servers import free_port, missing

NGINX_LOOKS_AGAIN = 10.5
"""Seconds after which nginx asks a backend again that refused it (fail_timeout, 10 s)."""

HAPROXY_LOOKS = 3.0
"""Seconds in which HAProxy finds out about a backend: two checks, a second apart."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def units(tmp_path: Path) -> Iterator[list[Unit]]:
    """Two instances of the documented unit."""
    with contextlib.ExitStack() as stack:
        instances = []
        for n in range(2):
            instances.append(Unit(tmp_path / f"unit-{n}", free_port()))
            stack.callback(instances[n].end)
        yield instances


@contextlib.contextmanager
def running(kind: type[Proxy], folder: Path, ports: list[int]) -> Iterator[Proxy]:
    if reason := missing(kind.program, "openssl"):
        pytest.skip(reason)
    proxy = kind(folder / kind.program, ports)
    try:
        yield proxy
    finally:
        proxy.kill()


@pytest.mark.parametrize("kind", [Nginx, HAProxy])
def test_restarting_the_units_fails_no_request(
    kind: type[Proxy], units: list[Unit], tmp_path: Path
) -> None:
    """The documented procedure: `systemctl restart` of one, then of the other."""
    ports = [unit.port for unit in units]
    with running(kind, tmp_path, ports) as proxy, load(proxy) as some_more:
        for _ in range(2):
            for unit in units:
                unit.restart()
                some_more()
    assert all("Traceback" not in unit.output for unit in units)


@pytest.mark.parametrize(
    ("kind", "wait", "delay"), [(Nginx, NGINX_LOOKS_AGAIN, 0), (HAProxy, HAPROXY_LOOKS, 3)]
)
def test_restarting_without_systemd_fails_no_request(
    kind: type[Proxy], wait: float, delay: float, start: Start, tmp_path: Path
) -> None:
    """Nobody holds the ports: one backend is back for the proxy before the other one stops."""
    ports = [free_port(), free_port()]

    def backend(port: int) -> Service:
        return start(f"--port={port}", "--address=127.0.0.1", f"--stop-delay={delay}")

    services = [backend(port) for port in ports]
    with running(kind, tmp_path, ports) as proxy, load(proxy) as some_more:
        for n, port in enumerate(ports):
            services[n].stop()
            services[n] = backend(port)
            until(lambda port=port: is_ready(port), "the backend to be ready")  # type: ignore[misc]
            time.sleep(wait)  # the proxy's clock, which nobody can look at
            some_more()
