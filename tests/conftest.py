"""Fixtures that every test may use: a clock, a site to send requests to, stores, real servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app import Config, Group, SessionManager, make_app
from tests.helpers import loops
from tests.helpers.cancelled_connects import close_what_is_cancelled
from tests.helpers.clock import FakeClock
from tests.helpers.site import Site

pytest_plugins = [
    "tests.helpers.every_store",
    "tests.helpers.fixtures_servers",
    "tests.helpers.own_stores",
    "tests.helpers.operator",
]


@pytest.fixture(scope="session", autouse=True)
def first_loop() -> Iterator[None]:
    """Hold the loop that pytest-tornado asks for first; asyncio.run() would leave it unclosed."""
    with pytest.MonkeyPatch.context() as patch:
        loops.set_up(patch)
        loop = asyncio.new_event_loop()
        close_what_is_cancelled(type(loop), patch)
        asyncio.set_event_loop(loop)
        yield
        loop.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until a test moves it."""
    return FakeClock()


@pytest.fixture
def serve(io_loop: Any) -> Iterator[Callable[..., Site]]:
    """Serve routes on a free port: `site = serve(Group(...), manager, **tornado_settings)`."""
    sites: list[Site] = []

    def start(routes: Group, sessions: SessionManager | None = None, **settings: Any) -> Site:
        site = Site(make_app(Config(routes, sessions, settings)))
        sites.append(site)
        return site

    yield start
    for site in sites:
        io_loop.run_sync(site.close)


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Leave the log levels as they were."""
    levels = {name: logging.getLogger(name).level for name in ("", "tornado", "app", "stores")}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
